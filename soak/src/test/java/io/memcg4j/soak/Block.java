package io.memcg4j.soak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Memory that is held: who pays how much, and what is in it. The same number at both ends.
 *
 * @param kind how it is freed
 * @param payer of whose handle it is
 * @param address of its first byte
 * @param nrBytes of which the first and the last eight are written
 * @param chargeBytes what it is charged; of an arena at least that
 * @param tag what is written
 * @param arena of {@link BlockKind#ARENA}
 * @param segments what keeps the arena's memory referenced
 */
record Block(
    BlockKind kind,
    Tenant payer,
    long address,
    long nrBytes,
    long chargeBytes,
    long tag,
    @Nullable AccountedArena arena,
    List<MemorySegment> segments) {
  Block(BlockKind kind, Tenant payer, long address, long nrBytes, long chargeBytes, long tag) {
    this(kind, payer, address, nrBytes, chargeBytes, tag, null, List.of());
  }

  void write() {
    Kmalloc.MEMORY.set(JAVA_LONG_UNALIGNED, address, tag);
    Kmalloc.MEMORY.set(JAVA_LONG_UNALIGNED, address + nrBytes - 8, tag);
  }

  void check() {
    SoakChecks.contents(
        kind + " " + nrBytes + " bytes of " + payer,
        tag,
        Kmalloc.MEMORY.get(JAVA_LONG_UNALIGNED, address),
        Kmalloc.MEMORY.get(JAVA_LONG_UNALIGNED, address + nrBytes - 8));
  }

  /** Not the addresses: what a record prints may be kept, and would be a reference. */
  @Override
  public String toString() {
    return kind + " " + nrBytes + " bytes of " + payer;
  }
}
