package io.memcg4j.leak;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Finds what can be reached: every block starts white, a word that points into it makes it gray,
 * and a gray block's words are looked at in turn.
 */
final class Marker {
  /*
   * Layout     white, gray: a bit per object, in the words of the map. pending: a bit per slab that has
   *            gray objects. Slabs are visited in the order of their addresses, round and round, so
   *            that a visit finds many gray objects and reads their memory forward.
   * Invariant  a block is in one of: white; gray, and then its slab is pending or being visited; done.
   *            active = slabs that are pending or being visited, while workers run.
   * Ordering   a worker that marks: gray, then pending. One that visits: clears pending, then takes
   *            gray. All volatile, so either the visit takes the gray bit or pending is set after it
   *            (VisitStress). active is raised before pending is set and lowered after the visit, so it
   *            is 0 only when nothing is left. One worker alone writes plainly.
   * Locks      none. Blocks' memory is read as it is, while others write, free and allocate it: slab
   *            address space stays mapped as long as its allocator is open.
   * Not        that a pointer is seen which is moved from memory not yet read to memory already read.
   * guaranteed Who reports a leak looks twice.
   * Origin     the colours and the rules for words are kmemleak's; gray bits per slab instead of a list
   *            of objects are this project's.
   */
  private static final VarHandle LONGS = MethodHandles.arrayElementVarHandle(long[].class);

  final HeapMap map;
  final RangeMap ranges;
  final Specials specials;
  final boolean isShared;

  final long[] white;
  final long[] gray;
  final long[] pending;
  final AtomicInteger active = new AtomicInteger();
  volatile boolean isAborted;

  /** Of each range: references counted, and whether it is done. Guarded by this. */
  private final int[] counts;

  /** Of each range: references that make it gray; -1 if it is black. */
  private final int[] minCounts;

  private final LongList grayRanges = new LongList();

  // What the filter of a word needs.
  final long min;
  final long span;

  /**
   * All blocks white, those that need no reference gray.
   *
   * @param isShared whether more than one worker will mark
   */
  Marker(HeapMap map, RangeMap ranges, Specials specials, boolean isShared) {
    this.map = map;
    this.ranges = ranges;
    this.specials = specials;
    this.isShared = isShared;
    white = map.live.clone();
    gray = new long[white.length];
    pending = new long[(map.nrSlabs() + Long.SIZE - 1) / Long.SIZE];
    counts = new int[ranges.size()];
    min = Math.min(map.base, ranges.min());
    span = Math.max(map.base + map.rangeBytes, ranges.max()) - min;
    minCounts = new int[counts.length];
    for (int range = 0; range < counts.length; range++) {
      minCounts[range] = ranges.minCount(range);
    }
    specials.forEach(this::paint);
    for (int range = 0; range < counts.length; range++) {
      if (minCounts[range] == 0) {
        grayRanges.add(range);
      }
    }
  }

  private void paint(long address, Attributes attributes) {
    int slab = map.findSlab(address);
    if (slab < 0) {
      paintRange(ranges.find(address), attributes.colour);
      return;
    }
    long index = map.indexOf(slab, address);
    switch (attributes.colour) {
      case WHITE -> {}
      case GRAY -> markObject(slab, map.wordOf(slab, index), map.bitOf(slab, index));
      case BLACK -> white[map.wordOf(slab, index)] &= ~map.bitOf(slab, index);
    }
  }

  private void paintRange(int range, Attributes.Colour colour) {
    if (range >= 0) {
      switch (colour) {
        case WHITE -> {}
        case GRAY -> minCounts[range] = 0;
        case BLACK -> minCounts[range] = -1;
      }
    }
  }

  /** A word that may be a pointer, found in {@code [holder, holderEnd)}. */
  void mark(long value, long holder, long holderEnd) {
    long offset = value - map.base;
    if (Long.compareUnsigned(offset, map.rangeBytes) >= 0) {
      markRange(value, holder, holderEnd);
      return;
    }
    int slab = map.slabOfChunk[(int) (offset >>> map.chunkShift)];
    if (slab < 0) {
      return;
    }
    long[] geometry = map.geometry;
    int at = slab * HeapMap.GEOMETRY;
    long inSlab = value - geometry[at + HeapMap.BASE];
    // Unsigned: before the first object may be a red zone.
    if (Long.compareUnsigned(inSlab, geometry[at + HeapMap.USABLE]) >= 0) {
      return;
    }
    long index = (inSlab * geometry[at + HeapMap.MAGIC]) >>> HeapMap.MAGIC_SHIFT;
    long words = geometry[at + HeapMap.WORDS];
    int shift = (int) words; // a shift takes the low six bits only
    int word = (int) (words >>> HeapMap.SHIFT_BITS) + (int) (index >>> shift);
    long bit = 1L << (index & ((1L << shift) - 1));
    // Racy: it may still look white after another worker's mark; markObject looks again.
    if ((white[word] & bit) != 0) {
      markObject(slab, word, bit);
    }
  }

  void markObject(int slab, int word, long bit) {
    if (!isShared) {
      white[word] &= ~bit;
      gray[word] |= bit;
      pending[slab >>> 6] |= 1L << slab;
    } else if (((long) LONGS.getAndBitwiseAnd(white, word, ~bit) & bit) != 0) {
      LONGS.getAndBitwiseOr(gray, word, bit);
      setPending(slab);
    }
  }

  private void setPending(int slab) {
    long bit = 1L << slab;
    if (((long) LONGS.getVolatile(pending, slab >>> 6) & bit) == 0) {
      active.getAndIncrement();
      if (((long) LONGS.getAndBitwiseOr(pending, slab >>> 6, bit) & bit) != 0) {
        active.getAndDecrement();
      }
    }
  }

  /** Of a worker that shares: takes a slab out of those that are pending; false if it is not. */
  boolean claim(int slab) {
    long bit = 1L << slab;
    return ((long) LONGS.getAndBitwiseAnd(pending, slab >>> 6, ~bit) & bit) != 0;
  }

  /** Of a worker that shares, after a claim: the objects of a word to look into. */
  long takeGray(int word) {
    return (long) LONGS.getVolatile(gray, word) == 0 ? 0 : (long) LONGS.getAndSet(gray, word, 0L);
  }

  /** Makes all workers stop. */
  void abort() {
    isAborted = true;
  }

  /** Before workers share: active is what pending says. */
  void startWorkers() {
    int nrPending = 0;
    for (long bits : pending) {
      nrPending += Long.bitCount(bits);
    }
    active.set(nrPending);
  }

  /** Slabs that are pending, 64 from the one of a number. */
  long pendingVolatile(int index) {
    return (long) LONGS.getVolatile(pending, index);
  }

  /** Makes white objects of a word gray, by one thread while no worker runs. */
  void grayObjects(int slab, int word, long bits) {
    white[word] &= ~bits;
    gray[word] |= bits;
    pending[slab >>> 6] |= 1L << slab;
  }

  private void markRange(long value, long holder, long holderEnd) {
    if (value >= holder && value < holderEnd) {
      return;
    }
    int range = ranges.find(value);
    if (range >= 0 && minCounts[range] > 0) {
      countRange(range, 1);
    }
  }

  /** Makes a white range gray for this scan. */
  void grayRange(int range) {
    countRange(range, minCounts[range]);
  }

  private synchronized void countRange(int range, int more) {
    int before = counts[range];
    // Saturates: only the step to the bound matters.
    counts[range] = Math.min(minCounts[range], before + more);
    if (before < minCounts[range] && counts[range] == minCounts[range]) {
      grayRanges.add(range);
    }
  }

  synchronized boolean isWhiteRange(int range) {
    return minCounts[range] > counts[range];
  }

  /** Takes a gray range to look into; -1 if there is none. */
  synchronized int takeRange() {
    return grayRanges.isEmpty() ? -1 : (int) grayRanges.removeLast();
  }

  synchronized boolean hasRange() {
    return !grayRanges.isEmpty();
  }

  /** What only some blocks have, by their address. */
  interface Specials {
    /** No block has anything. */
    Specials NONE =
        new Specials() {
          @Override
          public @Nullable Attributes of(long address) {
            return null;
          }

          @Override
          public void forEach(Each each) {}

          @Override
          public boolean isEmpty() {
            return true;
          }
        };

    @Nullable Attributes of(long address);

    void forEach(Each each);

    boolean isEmpty();

    /** Gets a block. */
    interface Each {
      void accept(long address, Attributes attributes);
    }
  }
}
