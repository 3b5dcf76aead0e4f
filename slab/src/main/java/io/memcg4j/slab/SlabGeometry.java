package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;

/**
 * How objects of one cache lie in a slab.
 *
 * <p>A slab is a run of chunks filled with objects from its start. Objects are grouped into
 * <em>words</em>: up to 64 neighbours that share one long of the free bitmap and one owner. A word
 * spans at most a page, or up to 8 objects and four pages, or where that leaves next to nothing
 * unused 32 objects in two pages or 16 in sixteen: so that a tenant with a single object of a class
 * pins no more than that for it, and not every allocation of a page has to find a new word.
 *
 * @param cacheIndex number of the cache in its allocator
 * @param objectSize bytes from one object to the next
 * @param wordShift log2 of the objects in a word
 * @param nrWords words in a slab
 * @param nrChunks chunks of a slab
 * @param magic {@code ceil(2^32 / objectSize)}: offset to index by multiplication
 * @param chargeBytes what one object is charged: its size and its share of the metadata
 * @param leftBytes red zone before the first object; 0 unless in debug mode
 * @param typesafe whether memory of its slabs may go elsewhere only after a grace period
 */
record SlabGeometry(
    int cacheIndex,
    int objectSize,
    int wordShift,
    int nrWords,
    int nrChunks,
    long magic,
    int chargeBytes,
    int leftBytes,
    boolean typesafe) {
  /** Unit of address space; a slab or large object starts at a multiple of it. */
  static final int CHUNK_SHIFT = 15;

  static final int CHUNK_SIZE = 1 << CHUNK_SHIFT;
  static final int MAGIC_SHIFT = 32;
  static final int MAX_WORDS = 64;

  private static final int MAX_WORD_SHIFT = 6;
  private static final int SMALL_FRACTION = 8;
  private static final int TINY_FRACTION = 32;
  // A slab holds the first number of objects in any case, the second in so many chunks if it can.
  private static final int LEAST_OBJECTS = 8;
  private static final int WANTED_OBJECTS = 64;
  private static final int MAX_CHUNKS = 8;

  /** With a live object of each size class a small range is not used up by far. */
  private static final int SLABS_IN_RANGE = 128;

  // Heap bytes of a word with the reference to it, and of a slab with its arrays' headers.
  private static final int WORD_METADATA_BYTES = 60;
  private static final int SLAB_METADATA_BYTES = 220;

  SlabGeometry(
      int cacheIndex,
      int objectSize,
      int wordShift,
      int nrWords,
      int nrChunks,
      long magic,
      int chargeBytes) {
    this(cacheIndex, objectSize, wordShift, nrWords, nrChunks, magic, chargeBytes, 0, false);
  }

  /** For a range that is large. */
  static SlabGeometry of(int cacheIndex, int objectSize) {
    return ofAtMost(MAX_CHUNKS, cacheIndex, objectSize, 0);
  }

  /**
   * For a range of so many bytes.
   *
   * @param leftBytes room for the red zone before the first object
   */
  static SlabGeometry of(int cacheIndex, int objectSize, int leftBytes, long rangeBytes) {
    long most = (rangeBytes >>> CHUNK_SHIFT) / SLABS_IN_RANGE;
    return ofAtMost(Math.clamp(most, 1, MAX_CHUNKS), cacheIndex, objectSize, leftBytes);
  }

  private static SlabGeometry ofAtMost(
      int maxChunks, int cacheIndex, int objectSize, int leftBytes) {
    int nrChunks = 1;
    for (int nr = CHUNK_SIZE / objectSize;
        nr < LEAST_OBJECTS || (nr < WANTED_OBJECTS && nrChunks < maxChunks);
        nr = nrChunks * CHUNK_SIZE / objectSize) {
      nrChunks *= 2;
    }
    int wordShift = 0;
    while (wordShift < MAX_WORD_SHIFT
        && isGoodWord(objectSize << (wordShift + 1), wordShift + 1, nrChunks * CHUNK_SIZE)) {
      wordShift++;
    }
    int nrWords =
        Math.min(MAX_WORDS, ((nrChunks * CHUNK_SIZE - leftBytes) / objectSize) >>> wordShift);
    int nrObjects = nrWords << wordShift;
    int share = (SLAB_METADATA_BYTES + WORD_METADATA_BYTES * nrWords + nrObjects - 1) / nrObjects;
    long magic = ((1L << MAGIC_SHIFT) + objectSize - 1) / objectSize;
    return new SlabGeometry(
        cacheIndex,
        objectSize,
        wordShift,
        nrWords,
        nrChunks,
        magic,
        objectSize + share,
        leftBytes,
        false);
  }

  SlabGeometry asTypesafe() {
    return new SlabGeometry(
        cacheIndex, objectSize, wordShift, nrWords, nrChunks, magic, chargeBytes, leftBytes, true);
  }

  /**
   * Whether a word may be so large: a page, or more where that is few objects and loses little of
   * the slab.
   */
  private static boolean isGoodWord(int wordBytes, int wordShift, int slabBytes) {
    int unused = slabBytes % wordBytes;
    if (wordBytes <= MemCgroup.PAGE_SIZE) {
      return true;
    }
    if (unused <= slabBytes / TINY_FRACTION) {
      return (wordShift <= 5 && wordBytes <= 2 * MemCgroup.PAGE_SIZE)
          || (wordShift <= 4 && wordBytes <= 16 * MemCgroup.PAGE_SIZE);
    }
    return wordShift <= 3
        && wordBytes <= 4 * MemCgroup.PAGE_SIZE
        && unused <= slabBytes / SMALL_FRACTION;
  }

  boolean isDebug() {
    return leftBytes != 0;
  }

  int objectsPerWord() {
    return 1 << wordShift;
  }

  /** Bytes from the start of a slab that are covered with objects. */
  long usableBytes() {
    return ((long) nrWords << wordShift) * objectSize;
  }

  /** All objects of a word, as bits. */
  long wordMask() {
    return -1L >>> (64 - objectsPerWord());
  }

  /** All words of a slab, as bits. */
  long allWords() {
    return -1L >>> (64 - nrWords);
  }
}
