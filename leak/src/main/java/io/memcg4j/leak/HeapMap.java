package io.memcg4j.leak;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.slab.ObjectSnapshot;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What a slab allocator had allocated at one moment, in flat arrays. Immutable but for its arrays.
 */
final class HeapMap {
  /*
   * Layout     one range of addresses in chunks; slabOfChunk[chunk] is the slab that covers it, -1 if
   *            none does. geometry holds GEOMETRY longs for each slab, one cache line for two, since a
   *            pointer needs them all: its base, the bytes covered with objects, the factor that makes
   *            an offset an index, and its first object, whose bit is 0.
   *            A table for marking has the same for each chunk, so that a pointer finds it at once;
   *            where no slab is, no bytes are covered. 32 bytes for 32 KiB of addresses.
   *            A word of the bitmaps has the bits of 64 neighbours, so that the object of an index is
   *            one addition away.
   * Invariant  index = (offset * magic) >>> 32, and 0 for a large object, whose magic is 0. Bits that
   *            stand for no object are 0. old is a part of live.
   */
  static final int GEOMETRY = 4;
  static final int BASE = 0;
  static final int USABLE = 1;
  static final int MAGIC = 2;
  static final int FIRST = 3;
  static final int MAGIC_SHIFT = 32;
  static final long CHUNK_ENTRY_BYTES = GEOMETRY * (long) Long.BYTES;

  private static final long CACHE_LINE_BYTES = 64;

  // An object in one number: its slab, the word of its bit, and the bit's number. A range of
  // addresses has 2^23 chunks, and so as many slabs at most.
  private static final int SLAB_SHIFT = 38;

  /** Log2 of the bits of a word. */
  static final int WORD_SHIFT = 6;

  final long base;
  final long rangeBytes;
  final int chunkShift;
  final int[] slabOfChunk;
  final long[] geometry;

  /** Stands for none: its bit is in a word behind all others, and never set. */
  final long noObject;

  /** Of each slab: bytes from one object to the next; of a large object: all its bytes. */
  final long[] objectBytes;

  /** Of each slab: words of its bitmap. */
  final int[] nrWords;

  /** Of each word: its objects that are allocated. */
  final long[] live;

  /**
   * Of each word: its objects that were allocated before the previous scan began, and not since.
   */
  final long[] old;

  HeapMap(
      long base,
      int chunkShift,
      int[] slabOfChunk,
      long[] geometry,
      long[] objectBytes,
      int[] nrWords,
      long[] live,
      long[] old) {
    this.base = base;
    this.chunkShift = chunkShift;
    this.slabOfChunk = slabOfChunk;
    this.geometry = geometry;
    this.objectBytes = objectBytes;
    this.nrWords = nrWords;
    this.live = live;
    this.old = old;
    rangeBytes = (long) slabOfChunk.length << chunkShift;
    noObject = object(0, live.length, 0);
  }

  static HeapMap of(ObjectSnapshot snapshot) {
    int nrSlabs = snapshot.nrSlabs();
    long[] geometry = new long[nrSlabs * GEOMETRY];
    int[] firstWord = snapshot.firstWord();
    int[] nrWords = new int[nrSlabs];
    for (int slab = 0; slab < nrSlabs; slab++) {
      int at = slab * GEOMETRY;
      geometry[at + BASE] = snapshot.slabBase()[slab];
      geometry[at + USABLE] = snapshot.usableBytes()[slab];
      geometry[at + MAGIC] = snapshot.magic()[slab];
      geometry[at + FIRST] = object(slab, firstWord[slab], 0);
      nrWords[slab] = firstWord[slab + 1] - firstWord[slab];
    }
    return new HeapMap(
        snapshot.base(),
        snapshot.chunkShift(),
        snapshot.slabOfChunk(),
        geometry,
        snapshot.objectSize(),
        nrWords,
        snapshot.live(),
        snapshot.old());
  }

  /** An object by its slab, word and bit. */
  static long object(int slab, int word, int bit) {
    return ((long) slab << SLAB_SHIFT) | ((long) word << WORD_SHIFT) | bit;
  }

  /** Of an object: its slab. */
  static int slabOf(long object) {
    return (int) (object >>> SLAB_SHIFT);
  }

  /** Of an object: the word of its bit. */
  static int wordOf(long object) {
    return (int) (object >>> WORD_SHIFT);
  }

  /** Of an object, or of its index: its bit. A shift takes the low six bits only. */
  static long bitOf(long object) {
    return 1L << object;
  }

  boolean contains(long address) {
    return Long.compareUnsigned(address - base, rangeBytes) < 0;
  }

  /** The object that an address of the range points into; {@link #noObject} if none. */
  long objectAt(long address) {
    int slab = findSlab(address);
    return slab < 0 ? noObject : geometry[slab * GEOMETRY + FIRST] + indexOf(slab, address);
  }

  /**
   * Geometry by chunk: an entry of {@link #CHUNK_ENTRY_BYTES} for each, with the base relative to
   * that of the range.
   *
   * @return its address; to be used while the arena is open
   */
  long chunkTable(Arena arena) {
    MemorySegment table = arena.allocate(slabOfChunk.length * CHUNK_ENTRY_BYTES, CACHE_LINE_BYTES);
    for (int chunk = 0; chunk < slabOfChunk.length; chunk++) {
      int slab = slabOfChunk[chunk];
      if (slab >= 0) {
        long entry = chunk * CHUNK_ENTRY_BYTES;
        MemorySegment.copy(geometry, slab * GEOMETRY, table, JAVA_LONG, entry, GEOMETRY);
        table.set(JAVA_LONG, entry, slabBase(slab) - base);
      }
    }
    return table.address();
  }

  int nrSlabs() {
    return objectBytes.length;
  }

  int firstWord(int slab) {
    return wordOf(geometry[slab * GEOMETRY + FIRST]);
  }

  long slabBase(int slab) {
    return geometry[slab * GEOMETRY + BASE];
  }

  /** The address of the object of a bit. */
  long address(int slab, int word, int bit) {
    long index = ((long) (word - firstWord(slab)) << WORD_SHIFT) + bit;
    return slabBase(slab) + index * objectBytes[slab];
  }

  /**
   * The slab of an address; -1 if none, or if the address is before the first object, as a red zone
   * is, or behind the last one.
   */
  int findSlab(long address) {
    long offset = address - base;
    if (Long.compareUnsigned(offset, rangeBytes) >= 0) {
      return -1;
    }
    int slab = slabOfChunk[(int) (offset >>> chunkShift)];
    return slab >= 0
            && Long.compareUnsigned(address - slabBase(slab), geometry[slab * GEOMETRY + USABLE])
                < 0
        ? slab
        : -1;
  }

  /** The object that an address in a slab lies in, counted from the slab's first. */
  long indexOf(int slab, long address) {
    return ((address - slabBase(slab)) * geometry[slab * GEOMETRY + MAGIC]) >>> MAGIC_SHIFT;
  }

  int wordOf(int slab, long index) {
    return firstWord(slab) + (int) (index >>> WORD_SHIFT);
  }

  /** Whether an object that was allocated before the epoch begins at an address. */
  boolean isOld(long address) {
    int slab = findSlab(address);
    if (slab < 0) {
      return false;
    }
    long index = indexOf(slab, address);
    return (old[wordOf(slab, index)] & bitOf(index)) != 0;
  }

  /** Has nothing count as old that was not allocated when another map was made. */
  void isOldOnlyIn(HeapMap earlier) {
    for (int slab = 0; slab < nrSlabs(); slab++) {
      int then = earlier.findSlab(slabBase(slab));
      boolean isSame = then >= 0 && earlier.objectBytes[then] == objectBytes[slab];
      for (int i = 0; i < nrWords[slab]; i++) {
        old[firstWord(slab) + i] &= isSame ? earlier.live[earlier.firstWord(then) + i] : 0;
      }
    }
  }

  long nrLive() {
    long nrLive = 0;
    for (long word : live) {
      nrLive += Long.bitCount(word);
    }
    return nrLive;
  }
}
