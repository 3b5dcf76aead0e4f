package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What an allocator had allocated at some moment, as flat arrays, for the floor above. Nothing in
 * it changes; the arrays are not copied when they are asked for, and must not be written.
 *
 * <p>From an address to its object: {@code chunk = (address - base) >>> chunkShift}; {@code slab =
 * slabOfChunk[chunk]}, -1 for none; {@code offset = address - slabBase[slab]}, in an object only if
 * between 0 and {@code usableBytes[slab]} (exclusive); {@code index = (offset * magic[slab]) >>>
 * 32}, 0 for a large object; its bit is {@code index & 63} of word {@code firstWord[slab] + (index
 * >>> 6)}. These words have the bits of 64 neighbours, whatever the allocator's own words have.
 */
public final class ObjectSnapshot {
  /** Log2 of the bits of a word. */
  private static final int BIT_SHIFT = 6;

  private final SlabAllocator allocator;
  private final long base;
  private final int epoch;
  private final int[] slabOfChunk;
  private final Slab[] slabs;
  private final long[] slabBase;
  private final long[] objectSize;
  private final long[] usableBytes;
  private final long[] magic;
  private final int[] firstWord;
  private final long[] live;
  private final long[] old;

  /** Of each word of the allocator's; firstOwner by slab. */
  private final @Nullable ObjCgroup[] owner;

  private final int[] firstOwner;

  private ObjectSnapshot(SlabAllocator allocator, int epoch, List<Slab> found) {
    this.allocator = allocator;
    this.base = allocator.range().base();
    this.epoch = epoch;
    int nrSlabs = found.size();
    slabs = found.toArray(new Slab[0]);
    slabBase = new long[nrSlabs];
    objectSize = new long[nrSlabs];
    usableBytes = new long[nrSlabs];
    magic = new long[nrSlabs];
    firstWord = new int[nrSlabs + 1];
    firstOwner = new int[nrSlabs];
    int nrChunks = 0;
    for (Slab slab : slabs) {
      nrChunks = Math.max(nrChunks, slab.firstChunk + slab.nrChunks);
    }
    slabOfChunk = new int[nrChunks];
    Arrays.fill(slabOfChunk, -1);
    int nrWords = 0;
    int nrOwners = 0;
    for (int i = 0; i < nrSlabs; i++) {
      firstWord[i] = nrWords;
      firstOwner[i] = nrOwners;
      nrWords += Math.ceilDiv(slabs[i].words.length << slabs[i].wordShift, Long.SIZE);
      nrOwners += slabs[i].words.length;
    }
    firstWord[nrSlabs] = nrWords;
    live = new long[nrWords];
    old = new long[nrWords];
    owner = new @Nullable ObjCgroup[nrOwners];
    for (int i = 0; i < nrSlabs; i++) {
      add(i, slabs[i]);
    }
  }

  static ObjectSnapshot of(SlabAllocator allocator, int epoch) {
    return new ObjectSnapshot(allocator, epoch, allocator.range().inUse());
  }

  private void add(int i, Slab slab) {
    Arrays.fill(slabOfChunk, slab.firstChunk, slab.firstChunk + slab.nrChunks, i);
    slabBase[i] = slab.base;
    if (slab.large) {
      addLarge(i, slab);
      return;
    }
    objectSize[i] = slab.objectSize;
    usableBytes[i] = slab.usableBytes;
    magic[i] = slab.magic;
    for (Word word : slab.words) {
      long allocated = allocated(allocator, word);
      if (allocated != 0) {
        int bit = word.index() << slab.wordShift;
        int w = firstWord[i] + (bit >>> BIT_SHIFT);
        // A shift takes the low six bits only: the place of the first object in its word.
        live[w] |= allocated << bit;
        old[w] |= epoch == 0 ? 0 : (allocated & ~BirthEpoch.youngOf(word, epoch)) << bit;
        Magazines magazines = word.ownerAcquire();
        owner[firstOwner[i] + word.index()] = magazines == null ? null : magazines.handle();
      }
    }
  }

  /** Objects of a word that are allocated now, as their owner sees it. */
  static long allocated(SlabAllocator allocator, Word word) {
    long allocated = word.allocated();
    return word.slab.geometry.isDebug() ? allocated & ~allocator.debug().heldBack(word) : allocated;
  }

  private void addLarge(int i, Slab slab) {
    boolean allocated = !slab.words[0].isFreed(1); // or its free is deferred
    long nrBytes = allocated ? (long) slab.nrPages << MemCgroup.PAGE_SHIFT : 0;
    objectSize[i] = nrBytes;
    usableBytes[i] = nrBytes;
    if (allocated) {
      live[firstWord[i]] = 1;
      old[firstWord[i]] = epoch != 0 && slab.birthEpoch < epoch ? 1 : 0;
      owner[firstOwner[i]] = slab.largeOwner;
    }
  }

  /**
   * First address of the allocator's range.
   *
   * @return a multiple of a chunk's size
   */
  public long base() {
    return base;
  }

  /**
   * Log2 of the bytes of a chunk.
   *
   * @return the shift
   */
  public int chunkShift() {
    return SlabGeometry.CHUNK_SHIFT;
  }

  /**
   * The epoch in which it was taken.
   *
   * @return 0 if tracking was off: then nothing is old
   */
  public int epoch() {
    return epoch;
  }

  /**
   * Slab by chunk.
   *
   * @return -1 where there is none; addresses beyond the array are in no slab
   */
  public int[] slabOfChunk() {
    return slabOfChunk;
  }

  /**
   * How many slabs and large objects there are.
   *
   * @return the length of the arrays by slab
   */
  public int nrSlabs() {
    return slabs.length;
  }

  /**
   * First address by slab.
   *
   * @return addresses
   */
  public long[] slabBase() {
    return slabBase;
  }

  /**
   * Bytes from one object to the next, by slab.
   *
   * @return sizes; of a large object what is mapped for it
   */
  public long[] objectSize() {
    return objectSize;
  }

  /**
   * Bytes that are covered with objects, by slab.
   *
   * @return sizes
   */
  public long[] usableBytes() {
    return usableBytes;
  }

  /**
   * Multiplier from offset to index, by slab, in units of 2^-32.
   *
   * @return multipliers; 0 for a large object
   */
  public long[] magic() {
    return magic;
  }

  /**
   * First word by slab, and the number of all words at the end.
   *
   * @return positions in the arrays by word
   */
  public int[] firstWord() {
    return firstWord;
  }

  /**
   * Allocated objects by word.
   *
   * @return bits
   */
  public long[] live() {
    return live;
  }

  /**
   * Objects that certainly were allocated before the epoch began, by word.
   *
   * @return bits, a subset of {@link #live}
   */
  public long[] old() {
    return old;
  }

  /**
   * Who owns an object.
   *
   * @param slab position in the arrays by slab
   * @param address of the object, or inside it
   * @return the handle; null if it was not allocated
   */
  public @Nullable ObjCgroup owner(int slab, long address) {
    long index = ((address - slabBase[slab]) * magic[slab]) >>> SlabGeometry.MAGIC_SHIFT;
    return owner[firstOwner[slab] + (int) (index >>> slabs[slab].wordShift)];
  }

  /**
   * The cache that the objects of a slab belong to.
   *
   * @param slab position in the arrays by slab
   * @return its name
   */
  public String cacheName(int slab) {
    Slab found = slabs[slab];
    return found.large ? "large" : allocator.cacheName(found.cacheIndex);
  }
}
