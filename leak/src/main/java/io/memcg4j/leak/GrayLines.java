package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** Memory of gray objects that is to be looked into, of one slab or of several. One thread. */
final class GrayLines {
  /*
   * Layout     starts of pieces of LINE_BYTES, and what is left of objects behind the last whole one.
   * Why        an object that is read alone is a miss of all caches. So the lines of many are touched,
   *            in a loop with nothing else in it, before any of them is looked at: the processor then
   *            waits for dozens of lines at a time, as many as it has room for the instructions between
   *            them. Slabs with few gray objects are put together for the same reason.
   */
  private static final MemorySegment ALL = Memory.ALL;
  private static final int LINE_BYTES = PointerBatch.LINE_BYTES;
  private static final int UNROLLED = 4;

  // What is touched together has to stay in a near cache until it is read.
  private static final int BATCH = 320;
  private static final int CAPACITY = BATCH + Long.SIZE + UNROLLED;

  private final PointerBatch found;
  private final long[] lines = new long[CAPACITY];
  private final long[] tails = new long[CAPACITY];
  private final int[] tailBytes = new int[CAPACITY];
  private int nrLines;
  private int nrTails;

  /** What was touched: so that touching it is not left out. */
  long touched;

  /** For a batch that gets the words of all of it. */
  GrayLines(PointerBatch found) {
    this.found = found;
  }

  boolean isEmpty() {
    return nrLines == 0 && nrTails == 0;
  }

  /** Adds the objects of a word of the bitmap, the first of which would be at an address. */
  void add(long address, long objectBytes, long objects, MarkShare share) {
    if (objectBytes == LINE_BYTES) {
      addLines(address, objects);
    } else {
      for (long bits = objects; bits != 0; ) {
        int first = Long.numberOfTrailingZeros(bits);
        int length = Long.numberOfTrailingZeros(~(bits >>> first));
        add(address + first * objectBytes, length * objectBytes, share);
        bits &= first + length < Long.SIZE ? -1L << (first + length) : 0;
      }
    }
    if (nrLines >= BATCH) {
      readInto(share);
    }
  }

  /** Some lines at a time: how many bits a word has cannot be foretold. */
  private void addLines(long address, long objects) {
    long[] into = lines;
    int to = nrLines;
    int end = to + Long.bitCount(objects);
    for (long bits = objects; to < end; to += UNROLLED) {
      into[to] = address + (long) Long.numberOfTrailingZeros(bits) * LINE_BYTES;
      bits &= bits - 1;
      into[to + 1] = address + (long) Long.numberOfTrailingZeros(bits) * LINE_BYTES;
      bits &= bits - 1;
      into[to + 2] = address + (long) Long.numberOfTrailingZeros(bits) * LINE_BYTES;
      bits &= bits - 1;
      into[to + 3] = address + (long) Long.numberOfTrailingZeros(bits) * LINE_BYTES;
      bits &= bits - 1;
    }
    nrLines = end;
  }

  /** Adds a stretch of memory; hands on what is here whenever it is full. */
  void add(long start, long nrBytes, MarkShare share) {
    long at = start;
    for (long end = start + nrBytes - LINE_BYTES; at <= end; at += LINE_BYTES) {
      if (nrLines >= BATCH) {
        readInto(share);
      }
      lines[nrLines++] = at;
    }
    int rest = (int) (start + nrBytes - at);
    if (rest > 0) {
      if (nrTails >= BATCH) {
        readInto(share);
      }
      tailBytes[nrTails] = rest;
      tails[nrTails++] = at;
    }
  }

  /** Hands all of it on. */
  void readInto(MarkShare share) {
    touched += touch(lines, nrLines) + touch(tails, nrTails);
    found.readLines(lines, nrLines, share);
    found.readTails(tails, tailBytes, nrTails, share);
    nrLines = 0;
    nrTails = 0;
    found.mark(share);
  }

  private static long touch(long[] starts, int nrStarts) {
    long sum = 0;
    for (int i = 0; i < nrStarts; i++) {
      sum += ALL.get(JAVA_LONG_UNALIGNED, starts[i] & PointerBatch.ADDRESS_MASK);
    }
    return sum;
  }
}
