package io.memcg4j.slab;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The slabs of one cache on one slot that have empty words: partial ones, to take words from, and a
 * few wholly empty ones, so that the range's lock is taken once per batch of them.
 */
final class SlabList {
  /*
   * Layout     two stacks: the slab that got an empty word last is used first, so that the others have
   *            a chance to empty.
   * Invariant  partial[i].listPosition == i; slabs in empty have no position.
   *            nrIdle = the fewest empty slabs that there were since the last trim: that many were not
   *            needed.
   * Locks      none; owned with the slot.
   * Origin     per-CPU partial slabs of SLUB; the low-water mark of tcmalloc's thread caches.
   */
  private static final int MAX_EMPTY_BYTES = 1 << 20;
  private static final int MAX_EMPTY = 32;

  private @Nullable Slab[] partial = new @Nullable Slab[4];
  private final @Nullable Slab[] empty;
  private int nrPartial;
  private int nrEmpty;
  private int nrIdle;

  SlabList(SlabGeometry geometry) {
    int slabBytes = geometry.nrChunks() << SlabGeometry.CHUNK_SHIFT;
    empty = new @Nullable Slab[Math.max(2, Math.min(MAX_EMPTY, MAX_EMPTY_BYTES / slabBytes))];
  }

  /** How many empty slabs go to the range and come from it at once. */
  int batch() {
    return empty.length / 2;
  }

  int nrEmpty() {
    return nrEmpty;
  }

  boolean isFullOfEmpty() {
    return nrEmpty == empty.length;
  }

  /** The partial slab to take words from; null if there is none. */
  @Nullable Slab lastPartial() {
    return nrPartial > 0 ? partial[nrPartial - 1] : null;
  }

  void addPartial(Slab slab) {
    if (nrPartial == partial.length) {
      partial = Arrays.copyOf(partial, 2 * nrPartial);
    }
    slab.listPosition = nrPartial;
    partial[nrPartial++] = slab;
  }

  void removePartial(Slab slab) {
    Slab last = partial[--nrPartial];
    partial[nrPartial] = null; // or it would be kept on the heap when its memory is gone
    if (last != null && last != slab) {
      partial[slab.listPosition] = last;
      last.listPosition = slab.listPosition;
    }
    slab.listPosition = Slab.NOT_LISTED;
  }

  /** Adds a slab whose words are all empty; there must be room. */
  void pushEmpty(Slab slab) {
    empty[nrEmpty++] = slab;
  }

  /** The slab that was emptied last; null if there is none. */
  @Nullable Slab popEmpty() {
    if (nrEmpty == 0) {
      return null;
    }
    Slab slab = empty[--nrEmpty];
    empty[nrEmpty] = null;
    nrIdle = Math.min(nrIdle, nrEmpty);
    return slab;
  }

  /** Takes out the slabs that have been empty for the longest time. */
  Slab[] takeOldest(int count) {
    Slab[] oldest = Arrays.copyOf(empty, count, Slab[].class);
    nrEmpty -= count;
    System.arraycopy(empty, count, empty, 0, nrEmpty);
    Arrays.fill(empty, nrEmpty, nrEmpty + count, null);
    nrIdle = Math.min(nrIdle, nrEmpty);
    return oldest;
  }

  /** Takes out the empty slabs that were not needed since the last call. */
  Slab[] takeIdle() {
    Slab[] idle = takeOldest(nrIdle);
    nrIdle = nrEmpty;
    return idle;
  }
}
