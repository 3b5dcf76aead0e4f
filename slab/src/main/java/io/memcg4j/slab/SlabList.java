package io.memcg4j.slab;

import java.util.Arrays;
import java.util.Objects;
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
   * Locks      none of its own, owned with the slot; calls the range, which has one.
   * Origin     per-CPU partial slabs of SLUB; the low-water mark of tcmalloc's thread caches.
   */
  private static final int MAX_EMPTY_BYTES = 1 << 20;
  private static final int MAX_EMPTY = 32;

  private final SlabGeometry geometry;
  private final boolean keepsContents;
  private @Nullable Slab[] partial = new @Nullable Slab[4];
  private final @Nullable Slab[] empty;
  private int nrPartial;
  private int nrEmpty;
  private int nrIdle;

  /** All slabs of the cache that are at home on the slot, listed or not. Racy, as those below. */
  private int nrSlabs;

  // By the owner of the slot, read by anyone: racy, so a count may be seen late but none is lost.
  private long nrRefills;
  private long nrSlabsTaken;
  private long nrSlabsRetired;
  private long nrCollected;

  /**
   * A list without slabs.
   *
   * @param keepsContents whether what lies in free objects means something to somebody
   */
  SlabList(SlabGeometry geometry, boolean keepsContents) {
    this.geometry = geometry;
    this.keepsContents = keepsContents || geometry.isDebug();
    int slabBytes = geometry.nrChunks() << SlabGeometry.CHUNK_SHIFT;
    empty = new @Nullable Slab[Math.max(2, Math.min(MAX_EMPTY, MAX_EMPTY_BYTES / slabBytes))];
  }

  /** A word of the cache was made ready. */
  void refilled() {
    nrRefills++;
  }

  /** Objects that were freed elsewhere were taken back. */
  void collected(int nrObjects) {
    nrCollected += nrObjects;
  }

  /** Any thread: these counts, with others'. */
  SlabStat.Counts addedTo(SlabStat.Counts sum) {
    return new SlabStat.Counts(
        sum.nrRefills() + nrRefills,
        sum.nrSlabsTaken() + nrSlabsTaken,
        sum.nrSlabsRetired() + nrSlabsRetired,
        sum.nrCollected() + nrCollected);
  }

  int nrEmpty() {
    return nrEmpty;
  }

  int nrPartial() {
    return nrPartial;
  }

  Slab partial(int position) {
    return Objects.requireNonNull(partial[position]);
  }

  /** Any thread: whether the slot has slabs of the cache. */
  boolean hasSlabs() {
    return nrSlabs != 0;
  }

  /** Whether the next word has to come from elsewhere. */
  boolean isUsedUp() {
    return nrPartial == 0 && nrEmpty == 0;
  }

  /** How many slabs are got from elsewhere at a time. */
  int batch() {
    return empty.length / 2;
  }

  /** A slab with objects goes to another slot's list. */
  void moveTo(SlabList heir, Slab slab) {
    nrSlabs--;
    heir.nrSlabs++;
    if (slab.emptyWords != 0) {
      removePartial(slab);
      heir.addPartial(slab);
    }
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

  /** Adds a slab whose words are all empty; half of them go to the range if there is no room. */
  void pushEmpty(Slab slab, SlabRange range) {
    if (nrEmpty == empty.length) {
      retireOldest(range, batch(), System.nanoTime());
    }
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

  /** Gets empty slabs from the range when there is none here; nothing if the range has none. */
  void refill(SlabRange range, SlotSlabs home) {
    nrEmpty = range.allocateSlabs(geometry, empty, batch());
    nrSlabsTaken += nrEmpty;
    nrSlabs += nrEmpty;
    for (int i = 0; i < nrEmpty; i++) {
      Slab slab = Objects.requireNonNull(empty[i]);
      assert slab.isEmpty() : "slab in use: " + slab.base;
      slab.home = home;
      slab.idleWords = 0;
      slab.discardedPages = 0;
    }
  }

  /**
   * Gives back pages of partial slabs: all that no object lies in, or those that only words without
   * owner lie in, now and at the last call.
   *
   * @return whether there are pages that may be given back at the next call
   */
  boolean discardPages(SlabRange range, boolean all) {
    boolean more = false;
    for (int i = 0; i < nrPartial && !keepsContents; i++) {
      Slab slab = Objects.requireNonNull(partial[i]);
      long empty = slab.emptyWords;
      long pages = all ? slab.pagesWithoutObjects() : slab.pagesWithin(empty & slab.idleWords);
      pages &= ~slab.discardedPages;
      if (pages != 0) {
        slab.discardedPages |= pages;
        range.discardPages(slab, pages);
      }
      slab.idleWords = empty;
      more |= (slab.pagesWithin(empty) & ~slab.discardedPages) != 0;
    }
    return more;
  }

  /** Gives back the slabs that have been empty for the longest time. */
  void retireOldest(SlabRange range, int count, long emptySinceNanos) {
    for (int i = 0; i < count; i++) {
      Objects.requireNonNull(empty[i]).home = null;
    }
    range.retire(emptySinceNanos, empty, count);
    nrSlabsRetired += count;
    nrSlabs -= count;
    nrEmpty -= count;
    System.arraycopy(empty, count, empty, 0, nrEmpty);
    Arrays.fill(empty, nrEmpty, nrEmpty + count, null);
    nrIdle = Math.min(nrIdle, nrEmpty);
  }

  /** Gives back the empty slabs that were not needed since the last call. */
  void trim(SlabRange range, long emptySinceNanos) {
    if (nrIdle > 0) {
      retireOldest(range, nrIdle, emptySinceNanos);
    }
    nrIdle = nrEmpty;
  }
}
