package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** Gray objects to be read, of one slab or of several. One thread. */
final class GrayRuns {
  /*
   * Layout     an object each, or a run of neighbours where most of a word's are gray: then the processor
   *            reads ahead by itself.
   * Why        an object that is read alone is a miss of all caches. So the first lines of many are
   *            touched, in a loop with nothing else in it, before any of them is looked at: the
   *            processor then waits for dozens of lines at a time. Slabs with few gray objects are put
   *            together for the same reason.
   */
  private static final MemorySegment ALL = Memory.ALL;
  private static final int LINE_BYTES = 64;
  private static final int WORD = Long.BYTES;
  private static final int MAX_LONE_OBJECTS = 40;
  private static final int MAX_TOUCHED_BYTES = 1024;

  // What is touched together has to stay in a near cache until it is read.
  private static final int BATCH = 192;
  private static final int CAPACITY = BATCH + Long.SIZE;

  private final long[] starts = new long[CAPACITY];
  private final int[] sizes = new int[CAPACITY];
  private int count;
  private long largest;

  /** What was read ahead: so that reading it is not left out. */
  long touched;

  boolean isEmpty() {
    return count == 0;
  }

  /** Whether what is here should be read before more is added. */
  boolean isFull() {
    return count >= BATCH;
  }

  /** Adds the objects of a word of the bitmap, the first of which would be at an address. */
  void add(long address, long objectBytes, long objects) {
    int to = count;
    boolean alone = Long.bitCount(objects) <= MAX_LONE_OBJECTS;
    for (long bits = objects; bits != 0; ) {
      int first = Long.numberOfTrailingZeros(bits);
      int length = alone ? 1 : Long.numberOfTrailingZeros(~(bits >>> first));
      int size = (int) (length * objectBytes);
      starts[to] = address + first * objectBytes;
      sizes[to++] = size;
      bits &= first + length < Long.SIZE ? -1L << (first + length) : 0;
    }
    count = to;
    largest = Math.max(largest, objectBytes);
  }

  /** Hands all of it on. */
  void readInto(PointerBatch batch, MarkShare share) {
    for (int line = 0; line < Math.min(largest, MAX_TOUCHED_BYTES); line += LINE_BYTES) {
      touched += touch(line);
    }
    for (int i = 0; i < count; i++) {
      batch.read(starts[i], sizes[i] / WORD, share);
    }
    count = 0;
    largest = 0;
    batch.mark(share);
  }

  private long touch(int offset) {
    long[] from = starts;
    int[] bytes = sizes;
    int nrRuns = count;
    long sum = 0;
    for (int i = 0; i < nrRuns; i++) {
      sum += ALL.get(JAVA_LONG_UNALIGNED, from[i] + Math.min(offset, bytes[i] - WORD));
    }
    return sum;
  }
}
