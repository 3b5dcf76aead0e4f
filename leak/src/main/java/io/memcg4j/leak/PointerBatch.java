package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** Words that were read and may be addresses of objects, until these are marked. One thread. */
final class PointerBatch {
  /*
   * Layout     what was read, then the objects that it points to, few enough to stay in the first cache.
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

  private final long[] values = new long[CAPACITY];

  /** Of the values those that are not in the range of the slabs. */
  private final long[] outside = new long[CAPACITY];

  private final Marker marker;
  private final HeapMap map;
  private final long lowest;
  private final int spanShift;
  private int count;

  PointerBatch(Marker marker) {
    this.marker = marker;
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
    long[] into = values;
    long from = lowest;
    int shift = spanShift;
    int to = count;
    int i = first;
    for (; i < end && to <= CAPACITY - LINE_WORDS; i++) {
      long at = starts[i] & ADDRESS_MASK;
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + WORD), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 2 * WORD), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 3 * WORD), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 4 * WORD), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 5 * WORD), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 6 * WORD), from, shift);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 7 * WORD), from, shift);
    }
    count = to;
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
    long[] into = values;
    long from = lowest;
    int shift = spanShift;
    int to = count;
    int i = first;
    for (; i < end && to <= CAPACITY - LINE_WORDS; i++) {
      long at = starts[i] & ADDRESS_MASK;
      for (int offset = 0; offset + WORD <= nrBytes[i]; offset += WORD) {
        to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + offset), from, shift);
      }
    }
    count = to;
    return i;
  }

  /** The next position: the same one if the value is outside of what is looked for. */
  private static int keep(long[] into, int to, long value, long from, int shift) {
    into[to] = value;
    // 0 if no bit beyond the shift is set: only 0 less one is negative.
    return to + (int) ((((value - from) >>> shift) - 1) >>> (Long.SIZE - 1));
  }

  /** Makes the white objects that were found gray. */
  void mark(MarkShare share) {
    int nrOthers = locate();
    for (int i = 0; i < nrOthers; i++) {
      marker.markRange(outside[i]);
    }
    int nrWhite = select(share.white);
    count = 0;
    share.mark(values, nrWhite);
  }

  /** Replaces addresses by objects; returns how many are outside. */
  private int locate() {
    long[] found = values;
    long[] others = outside;
    int nrValues = count;
    int nrOthers = 0;
    long none = map.noObject;
    for (int i = 0; i < nrValues; i++) {
      long value = found[i];
      if (map.contains(value)) {
        found[i] = map.objectAt(value);
      } else {
        others[nrOthers++] = value;
        found[i] = none;
      }
    }
    return nrOthers;
  }

  private int select(long[] white) {
    long[] found = values;
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
