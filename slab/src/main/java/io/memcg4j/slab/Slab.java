package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/** Metadata of a run of chunks, on the Java heap: a slab of small objects, or one large object. */
final class Slab {
  /*
   * Layout     first what a free needs to get from an address to an object, then what slow paths use.
   * Invariant  an object starts at offset o exactly if quotient(o) < nrIndexes, and that is its index: a
   *            multiplication by the inverse of the size's odd part, modulo 2^64, sends the multiples,
   *            and only them, to the small numbers. What lies in an object has the high half of
   *            o * magic as its index. A large object has none: it must not be freed as a small one.
   * Ordering   home changes while every object is free, or with all its words while the caller owns
   *            both slots (SlabAdoption).
   *            queued is cleared before the remote bits are looked at, so a later free queues again.
   * Origin     the slab descriptor of SLUB; division by multiplication, and the test for a multiple,
   *            after Granlund and Montgomery.
   */
  static final int NOT_LISTED = -1;

  private static final VarHandle TRACK =
      fieldVarHandle(lookup(), "track", VarHandle.class, Slab.class, SlabTrack.class);
  private static final VarHandle DEFERRED =
      fieldVarHandle(lookup(), "deferred", VarHandle.class, Slab.class, ObjectBits.class);
  private static final VarHandle CONSTRUCTED =
      fieldVarHandle(lookup(), "constructed", VarHandle.class, Slab.class, ObjectBits.class);

  private static final VarHandle QUEUED =
      fieldVarHandle(lookup(), "queued", VarHandle.class, Slab.class, int.class);

  final long base;
  final long inverse;
  final int inverseShift;
  final int nrIndexes;
  final long wordMask;
  final int wordShift;
  final int bitMask;
  final int objectSize;
  final int chargeBytes;
  final int cacheIndex;
  final Word[] words;

  final SlabGeometry geometry;
  final long usableBytes;
  final long magic;
  final int firstChunk;
  final int nrChunks;
  final boolean large;

  /** A bit per word: without owner. By the owner of the home slot. */
  long emptyWords;

  /** A bit per word: without owner at the last two looks. By the owner of the home slot. */
  long idleWords;

  /** A bit per page: given back to the OS, as no object lies in it. By the owner likewise. */
  long discardedPages;

  int listPosition = NOT_LISTED;

  /** The slot that allocates from this slab; null while no slot does, and for a large object. */
  volatile @Nullable SlotSlabs home;

  /** 1 while in the home's stack of slabs with remote frees. */
  private volatile int queued;

  @Nullable Slab nextRemote;

  /** What is known of its objects beyond their bits; null while nobody has asked for it. */
  private volatile @Nullable SlabTrack track;

  /** Objects that are free once their readers have left; null until there is one. */
  private volatile @Nullable ObjectBits deferred;

  /** Objects that a constructor has seen; null until there is one. */
  private volatile @Nullable ObjectBits constructed;

  // Large objects only; written before the address is handed out.
  @Nullable ObjCgroup largeOwner;
  int nrPages;
  int birthEpoch;
  long dirtyBytes;

  // Guarded by the range's lock.
  long residentBytes;
  long retiredNanos;

  /** Typesafe, and retired: when memory may go elsewhere. */
  long graceCookie;

  Slab(SlabGeometry geometry, int firstChunk, int nrChunks, long base, boolean large) {
    this.geometry = geometry;
    this.base = base + geometry.leftBytes();
    this.usableBytes = geometry.usableBytes();
    this.firstChunk = firstChunk;
    this.nrChunks = nrChunks;
    this.objectSize = geometry.objectSize();
    this.wordShift = geometry.wordShift();
    this.bitMask = geometry.objectsPerWord() - 1;
    this.magic = geometry.magic();
    this.inverseShift = Integer.numberOfTrailingZeros(objectSize);
    this.inverse = inverse(objectSize >>> inverseShift);
    this.nrIndexes = large ? 0 : geometry.nrWords() << wordShift;
    this.chargeBytes = geometry.chargeBytes();
    this.cacheIndex = geometry.cacheIndex();
    this.wordMask = geometry.wordMask();
    this.large = large;
    this.emptyWords = geometry.allWords();
    this.words = new Word[geometry.nrWords()];
    for (int w = 0; w < words.length; w++) {
      words[w] = new Word(this, w, wordMask);
    }
  }

  /** Whether an object of this slab starts at an address. */
  boolean isObject(long address) {
    return isIndex(indexIfObject(address));
  }

  /**
   * Index of the object that starts at an address; else nothing for which {@link #isIndex} holds.
   */
  long indexIfObject(long address) {
    return quotient(address - base, inverse, inverseShift);
  }

  boolean isIndex(long index) {
    return Long.compareUnsigned(index, nrIndexes) < 0;
  }

  /**
   * An offset divided by a size, if it is a multiple of it; else more than there can be objects.
   *
   * @param inverse {@link #inverse} of the size's odd part
   * @param shift log2 of the rest of it
   */
  static long quotient(long offset, long inverse, int shift) {
    return Long.rotateRight(offset * inverse, shift);
  }

  /** What an odd number has to be multiplied by to give 1, modulo 2^64. */
  private static long inverse(long odd) {
    long inverse = odd; // right in the lowest 3 bits; each round doubles them
    for (int nrBits = 3; nrBits < Long.SIZE; nrBits *= 2) {
      inverse *= 2 - odd * inverse;
    }
    return inverse;
  }

  /** Index of the object that an address of this slab belongs to. */
  int indexOf(long address) {
    return (int) (((address - base) * magic) >>> SlabGeometry.MAGIC_SHIFT);
  }

  Word wordOf(int index) {
    return words[index >>> wordShift];
  }

  /** The object's bit in its word. */
  long bitOf(int index) {
    return 1L << (index & bitMask);
  }

  private long wordBytes() {
    return (long) objectSize << wordShift;
  }

  /** Pages that lie wholly in some of the words, and in what no word covers behind the last. */
  long pagesWithin(long someWords) {
    long pages = 0;
    for (long rest = someWords; rest != 0; ) {
      int first = Long.numberOfTrailingZeros(rest);
      int end = first + Long.numberOfTrailingZeros(~(rest >>> first));
      long to =
          end == words.length ? (long) nrChunks << SlabGeometry.CHUNK_SHIFT : end * wordBytes();
      long firstPage = (first * wordBytes() + MemCgroup.PAGE_SIZE - 1) >>> MemCgroup.PAGE_SHIFT;
      pages |= bits(firstPage, to >>> MemCgroup.PAGE_SHIFT);
      rest = end >= Long.SIZE ? 0 : rest & (-1L << end);
    }
    return pages;
  }

  /** Pages that a word lies in, be it in part. */
  long pagesOf(Word word) {
    long from = word.index() * wordBytes();
    return bits(
        from >>> MemCgroup.PAGE_SHIFT, ((from + wordBytes() - 1) >>> MemCgroup.PAGE_SHIFT) + 1);
  }

  /**
   * Pages that no object lies in. By the owner of the home slot, with what was freed remotely
   * collected; a word that is active counts as used.
   */
  long pagesWithoutObjects() {
    long used = 0;
    for (Word word : words) {
      if ((emptyWords & (1L << word.index())) == 0) {
        used |= word.activeIn() != null ? pagesOf(word) : pagesOfObjects(word);
      }
    }
    return bits(0, (long) nrChunks << (SlabGeometry.CHUNK_SHIFT - MemCgroup.PAGE_SHIFT)) & ~used;
  }

  private long pagesOfObjects(Word word) {
    long used = 0;
    for (long rest = wordMask & ~word.free(); rest != 0; rest &= rest - 1) {
      long from = (long) indexOf(word, rest & -rest) * objectSize;
      used |=
          bits(
              from >>> MemCgroup.PAGE_SHIFT,
              ((from + objectSize - 1) >>> MemCgroup.PAGE_SHIFT) + 1);
    }
    return used;
  }

  private static long bits(long from, long to) {
    return from >= to ? 0 : (-1L >>> (Long.SIZE - (to - from))) << from;
  }

  int objectsPerWord() {
    return bitMask + 1;
  }

  int nrObjects() {
    return words.length << wordShift;
  }

  /** Index of the only object of a word that a bit stands for. */
  int indexOf(Word word, long bit) {
    return (word.index() << wordShift) + Long.numberOfTrailingZeros(bit);
  }

  boolean isEmpty() {
    return emptyWords == geometry.allWords();
  }

  /** Whether the caller has to queue this slab at its home. */
  boolean enqueue() {
    return queued == 0 && QUEUED.compareAndSet(this, 0, 1);
  }

  /** Before looking at the bits: what is freed after this queues the slab again. */
  void dequeued() {
    queued = 0;
  }

  /** Objects of a word whose free is deferred: not allocated any more, not free yet. Any thread. */
  long deferredBits(int word) {
    ObjectBits bits = deferred;
    return bits == null ? 0 : bits.get(word);
  }

  ObjectBits makeDeferred() {
    return make(DEFERRED);
  }

  /** Objects of a word that are in the state in which their constructor left them. Any thread. */
  long constructedBits(int word) {
    ObjectBits bits = constructed;
    return bits == null ? 0 : bits.get(word);
  }

  ObjectBits makeConstructed() {
    return make(CONSTRUCTED);
  }

  private ObjectBits make(VarHandle field) {
    ObjectBits bits = (ObjectBits) field.getVolatile(this);
    if (bits == null) {
      ObjectBits mine = new ObjectBits(words.length);
      ObjectBits others = (ObjectBits) field.compareAndExchange(this, (ObjectBits) null, mine);
      bits = others == null ? mine : others;
    }
    return bits;
  }

  /** Large objects: from free to allocated, before the address is handed out. */
  void allocateLarge(ObjCgroup owner, int newNrPages) {
    largeOwner = owner;
    nrPages = newNrPages;
    words[0].setAllocated();
  }

  /** Any thread. */
  @Nullable SlabTrack track() {
    return track;
  }

  /** Any thread. */
  SlabTrack trackOrMake() {
    SlabTrack mine = track;
    if (mine == null) {
      SlabTrack made = new SlabTrack(words.length);
      mine = (SlabTrack) TRACK.compareAndExchange(this, null, made);
      mine = mine == null ? made : mine;
    }
    return mine;
  }

  /** Allocated objects, those that were freed remotely not counted. Racy while others allocate. */
  int nrLiveObjects() {
    int nrLive = 0;
    for (Word word : words) {
      nrLive += word.nrLiveObjects();
    }
    return nrLive;
  }
}
