package io.memcg4j.slab;

/**
 * Something that was found to be wrong with an object, after the fact: bytes outside of it were
 * written, or it was written after its free.
 *
 * @param cache name of the object's cache
 * @param message what is wrong, in one line
 * @param address start of the object
 * @param text the whole report, in the kernel's layout, with who owns the object and, where they
 *     are known, the call sites that allocated and freed it
 */
public record SlabReport(String cache, String message, long address, String text) {}
