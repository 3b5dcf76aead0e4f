package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** Words that were read and may be addresses of objects, until these are marked. One thread. */
final class PointerBatch {
  /*
   * Layout     values: what was read. bits: of each the number of its object's bit among all words of
   *            the bitmaps. Both are small enough to stay in the first cache.
   * Why        whether a word is an address, and its object white, cannot be foretold, and a branch
   *            that is foretold wrongly costs more than all else that is done for the word. So the words
   *            pass three loops, and what goes on to the next one is kept by adding 0 or 1 to a
   *            position: find, locate, select. The processor is far ahead in the memory that is read
   *            and in the bitmaps, instead of waiting for one of them at a time.
   */
  private static final MemorySegment ALL = Memory.ALL;
  private static final int WORD = Long.BYTES;
  private static final int UNROLLED = 8;
  private static final int WORD_SHIFT = 6;

  private static final int CAPACITY = 1024;

  private final long[] values = new long[CAPACITY];
  private final long[] bits = new long[CAPACITY];
  private final Marker marker;
  private final HeapMap map;
  private final long lowest;
  private final long span;
  private int count;

  PointerBatch(Marker marker) {
    this.marker = marker;
    map = marker.map;
    lowest = marker.min;
    span = marker.span;
  }

  /** Reads memory of slabs; what was read before is marked if there is no room. */
  void read(long address, int nrWords, MarkShare share) {
    for (int done = 0; done < nrWords; done += CAPACITY) {
      int piece = Math.min(nrWords - done, CAPACITY);
      if (piece > CAPACITY - count) {
        mark(share);
      }
      find(address + (long) done * WORD, piece);
    }
  }

  private void find(long address, int nrWords) {
    long[] into = values;
    long from = lowest;
    long length = span;
    int to = count;
    int left = nrWords;
    long at = address;
    for (; left >= UNROLLED; left -= UNROLLED, at += UNROLLED * WORD) {
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + WORD), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 2 * WORD), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 3 * WORD), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 4 * WORD), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 5 * WORD), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 6 * WORD), from, length);
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at + 7 * WORD), from, length);
    }
    for (; left > 0; left--, at += WORD) {
      to = keep(into, to, ALL.get(JAVA_LONG_UNALIGNED, at), from, length);
    }
    count = to;
  }

  /** The next position: the same one if the value is outside of what is looked for. */
  private static int keep(long[] into, int to, long value, long from, long length) {
    long offset = value - from;
    into[to] = value;
    return to + (int) (((offset - length) & ~offset) >>> (Long.SIZE - 1));
  }

  /** Makes the white objects that were found gray. */
  void mark(MarkShare share) {
    locate();
    int nrWhite = select(share.white);
    count = 0;
    for (int i = 0; i < nrWhite; i++) {
      long bit = bits[i];
      int word = (int) (bit >>> WORD_SHIFT);
      if ((share.white[word] & 1L << bit) != 0) { // else it was found twice
        share.markObject(map.slabOf(values[i]), word, 1L << bit);
      }
    }
  }

  private void locate() {
    long base = map.base;
    long rangeBytes = map.rangeBytes;
    int chunkShift = map.chunkShift;
    long[] geometry = map.chunkGeometry;
    long[] from = values;
    long[] into = bits;
    int nrValues = count;
    int to = 0;
    for (int i = 0; i < nrValues; i++) {
      long value = from[i];
      long offset = value - base;
      if (Long.compareUnsigned(offset, rangeBytes) >= 0) {
        marker.markRange(value, 0, 0);
        continue;
      }
      // As Marker.mark.
      int at = (int) (offset >>> chunkShift) * HeapMap.GEOMETRY;
      long inSlab = value - geometry[at + HeapMap.BASE];
      if (Long.compareUnsigned(inSlab, geometry[at + HeapMap.USABLE]) >= 0) {
        continue;
      }
      long index = (inSlab * geometry[at + HeapMap.MAGIC]) >>> HeapMap.MAGIC_SHIFT;
      long words = geometry[at + HeapMap.WORDS];
      long word = (words >>> HeapMap.SHIFT_BITS) + (index >>> (int) words);
      from[to] = value;
      into[to++] = (word << WORD_SHIFT) | (index & ~(-1L << (int) words));
    }
    count = to;
  }

  private int select(long[] white) {
    long[] some = values;
    long[] ofThem = bits;
    int nrLocated = count;
    int to = 0;
    for (int i = 0; i < nrLocated; i++) {
      long bit = ofThem[i];
      some[to] = some[i];
      ofThem[to] = bit;
      to += (int) (white[(int) (bit >>> WORD_SHIFT)] >>> bit) & 1;
    }
    return to;
  }
}
