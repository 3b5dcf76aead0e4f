package io.memcg4j.slab;

/**
 * What an allocator holds, in bytes. Racy while others allocate; exact at rest.
 *
 * @param rangeBytes reserved address space
 * @param mappedBytes memory that may be resident: slabs, large objects and what is retained
 * @param peakMappedBytes the highest {@code mappedBytes} so far
 * @param retainedBytes part of {@code mappedBytes} that is in no use and will go back to the OS
 * @param nrSlabs slabs of small objects in use
 * @param nrLargeObjects objects above 8 KiB
 * @param nrObjects allocated objects, large ones included
 * @param nrBadFrees double frees that raced with the first free and were found afterwards
 */
public record SlabInfo(
    long rangeBytes,
    long mappedBytes,
    long peakMappedBytes,
    long retainedBytes,
    int nrSlabs,
    int nrLargeObjects,
    long nrObjects,
    long nrBadFrees) {}
