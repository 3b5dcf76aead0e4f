package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Words that were read and may be addresses of objects, until these are marked. One thread. */
final class PointerBatch {
  /*
   * Layout     values, what was read; then objects, those that it points to. Few enough to stay in the
   *            first cache. Values and the table of chunks are native: where in an array a value goes
   *            cannot be known before, so each would be checked, and a masked address is not.
   * Why        whether a word is an address, and its object white, cannot be foretold, and a branch
   *            that is foretold wrongly costs more than all else that is done for the word. So the words
   *            pass three loops, of which the first and the last keep what goes on by adding 0 or 1 to a
   *            position: find, locate, select. The processor is far ahead in the memory that is read
   *            and in the bitmaps, instead of waiting for one of them at a time. Locating drops nothing
   *            and calls nothing: a position, or what is to outlive a call, would not stay in a register.
   */
  static final int LINE_BYTES = 64;

  /**
   * No address has more bits. Applied to one, it lets the compiler see that the words behind it are
   * within bounds, so that none of them is checked.
   */
  static final long ADDRESS_MASK = (1L << 62) - 1;

  private static final MemorySegment ALL = Memory.ALL;
  private static final int WORD = Long.BYTES;
  private static final int LINE_WORDS = LINE_BYTES / WORD;
  private static final int CAPACITY = 1024;

  private final long[] objects = new long[CAPACITY];

  /** Of the values those that are not in the range of the slabs. */
  private final long[] outside = new long[CAPACITY];

  private final long values;
  private final long chunks;
  private final Marker marker;
  private final HeapMap map;
  private final long lowest;
  private final int spanShift;
  private int count;

  /**
   * Uses memory of an arena, and so only while it is open.
   *
   * @param chunks address of the map's table of chunks
   */
  PointerBatch(Marker marker, long chunks, Arena arena) {
    this.marker = marker;
    this.chunks = chunks;
    values = arena.allocate((long) CAPACITY * WORD, LINE_BYTES).address();
    map = marker.map;
    lowest = marker.min;
    spanShift = Long.SIZE - Long.numberOfLeadingZeros(marker.span);
  }

  /** Reads lines; marks what was found if there is no room for more. */
  void readLines(long[] starts, int nrStarts, MarkShare share) {
    for (int done = 0; done < nrStarts; ) {
      if (count > CAPACITY - LINE_WORDS) {
        mark(share);
      }
      done = findInLines(starts, done, nrStarts);
    }
  }

  private int findInLines(long[] starts, int first, int end) {
    long from = lowest;
    int shift = spanShift;
    long to = values + (long) count * WORD;
    long last = values + (long) (CAPACITY - LINE_WORDS) * WORD;
    int i = first;
    for (; i < end && to <= last; i++) {
      long at = starts[i] & ADDRESS_MASK;
      long into = to & ADDRESS_MASK;
      long kept = keep(into, 0, at, from, shift);
      kept = keep(into, kept, at + WORD, from, shift);
      kept = keep(into, kept, at + 2 * WORD, from, shift);
      kept = keep(into, kept, at + 3 * WORD, from, shift);
      kept = keep(into, kept, at + 4 * WORD, from, shift);
      kept = keep(into, kept, at + 5 * WORD, from, shift);
      kept = keep(into, kept, at + 6 * WORD, from, shift);
      kept = keep(into, kept, at + 7 * WORD, from, shift);
      to = into + kept * WORD;
    }
    count = (int) (to - values) / WORD;
    return i;
  }

  /** Reads less than a line each; marks what was found if there is no room for more. */
  void readTails(long[] starts, int[] nrBytes, int nrStarts, MarkShare share) {
    for (int done = 0; done < nrStarts; ) {
      if (count > CAPACITY - LINE_WORDS) {
        mark(share);
      }
      done = findInTails(starts, nrBytes, done, nrStarts);
    }
  }

  private int findInTails(long[] starts, int[] nrBytes, int first, int end) {
    long from = lowest;
    int shift = spanShift;
    long into = values & ADDRESS_MASK;
    long to = count;
    int i = first;
    for (; i < end && to <= CAPACITY - LINE_WORDS; i++) {
      long at = starts[i] & ADDRESS_MASK;
      for (int offset = 0; offset + WORD <= nrBytes[i]; offset += WORD) {
        to = keep(into, to, at + offset, from, shift);
      }
    }
    count = (int) to;
    return i;
  }

  /**
   * Puts a word behind others; returns how many stay: not this one if nothing there is looked for.
   */
  private static long keep(long into, long nrKept, long at, long from, int shift) {
    long value = ALL.get(JAVA_LONG_UNALIGNED, at);
    ALL.set(JAVA_LONG_UNALIGNED, into + nrKept * WORD, value);
    // 0 if no bit beyond the shift is set: only 0 less one is negative.
    return nrKept + ((((value - from) >>> shift) - 1) >>> (Long.SIZE - 1));
  }

  /** Makes the white objects that were found gray. */
  void mark(MarkShare share) {
    assert count <= CAPACITY : count;
    int nrOthers = locate();
    for (int i = 0; i < nrOthers; i++) {
      marker.markRange(outside[i]);
    }
    int nrWhite = select(share.white);
    count = 0;
    share.mark(objects, nrWhite);
  }

  /** Finds the objects of addresses, as {@link HeapMap#objectAt}; returns how many are outside. */
  private int locate() {
    long from = values & ADDRESS_MASK;
    long[] found = objects;
    long[] others = outside;
    int nrValues = count;
    int nrOthers = 0;
    long table = chunks;
    long base = map.base;
    long rangeBytes = map.rangeBytes;
    long none = map.noObject;
    int entryShift = map.chunkShift - Long.numberOfTrailingZeros(HeapMap.CHUNK_ENTRY_BYTES);
    for (int i = 0; i < nrValues; i++) {
      long offset = ALL.get(JAVA_LONG_UNALIGNED, from + (long) i * WORD) - base;
      if (Long.compareUnsigned(offset, rangeBytes) >= 0) {
        others[nrOthers++] = base + offset;
        found[i] = none;
        continue;
      }
      long entry = (table + ((offset >>> entryShift) & -HeapMap.CHUNK_ENTRY_BYTES)) & ADDRESS_MASK;
      long inSlab = offset - field(entry, HeapMap.BASE);
      // Unsigned: before the first object may be a red zone.
      found[i] =
          Long.compareUnsigned(inSlab, field(entry, HeapMap.USABLE)) < 0
              ? ((inSlab * field(entry, HeapMap.MAGIC)) >>> HeapMap.MAGIC_SHIFT)
                  + field(entry, HeapMap.FIRST)
              : none;
    }
    return nrOthers;
  }

  private static long field(long entry, int field) {
    return ALL.get(JAVA_LONG_UNALIGNED, entry + (long) field * WORD);
  }

  private int select(long[] white) {
    long[] found = objects;
    int nrValues = count;
    int to = 0;
    for (int i = 0; i < nrValues; i++) {
      long object = found[i];
      found[to] = object;
      to += (int) (white[HeapMap.wordOf(object)] >>> object) & 1;
    }
    return to;
  }
}
