package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/** An allocated object that a shared arena cuts segments from, or that is one segment. */
final class ArenaBlock {
  private static final VarHandle NEXT_FREE =
      fieldVarHandle(lookup(), "nextFree", VarHandle.class, ArenaBlock.class, long.class);

  /** Ends the list of a closed arena. */
  static final ArenaBlock CLOSED = new ArenaBlock();

  final long address;
  final long nrBytes;

  /** The session that the segments belong to; null in {@link #CLOSED} alone. */
  final @Nullable SessionBatch batch;

  /** The whole block, with the session. */
  final MemorySegment segment;

  /**
   * In the list of the arena, later of the batch. Plain: written before the push that publishes.
   */
  @Nullable ArenaBlock next;

  private volatile long nextFree; // address; grows only

  ArenaBlock(long address, long nrBytes, SessionBatch batch) {
    this.address = address;
    this.nrBytes = nrBytes;
    this.batch = batch;
    this.segment = Mmap.segment(address, nrBytes, batch.session());
    this.nextFree = address;
  }

  /** A mark in a list. */
  ArenaBlock() {
    this.address = Kmalloc.NULL;
    this.nrBytes = 0;
    this.batch = null;
    this.segment = MemorySegment.NULL;
  }

  /**
   * Cuts a segment. Any thread; lock-free.
   *
   * @return null if it does not fit
   */
  @Nullable MemorySegment cut(long byteSize, long byteAlignment) {
    while (true) {
      long free = nextFree;
      long start = (free + byteAlignment - 1) & -byteAlignment;
      if (byteSize > address + nrBytes - start) {
        return null;
      }
      if (NEXT_FREE.compareAndSet(this, free, start + byteSize)) {
        return segment.asSlice(start - address, byteSize);
      }
    }
  }
}
