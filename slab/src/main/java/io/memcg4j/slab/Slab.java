package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.arrayElementVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.objcg.ObjCgroup;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Metadata of a run of chunks, on the Java heap: a slab of small objects, or one large object. */
final class Slab {
  /*
   * Layout     free: a bit per object, set = not allocated; owners: a handle id per word; positions:
   *            where the word stands in its owner's stack of partial words; remote: bits of objects
   *            freed by threads that do not own the home slot, made on the first such free.
   * Invariant  an object's bit is clear in free from allocation until its free is collected, so free
   *            tells the truth about every object at any time. owners[w] is NO_OWNER exactly while
   *            word w is in emptyWords. For a large object free[0] bit 0 is the state.
   * Ordering   free, owners, positions, emptyWords: plain, by the home slot's owner. A remote free
   *            reads remote, then free, then ORs its bit into remote (volatile). Collecting stores
   *            free (release), then clears the bits in remote (volatile). So a second free of the
   *            same object finds the bit in one of them (RemoteFreeStress, twin: cleared first).
   *            home changes only while every object is free.
   * Not        two frees of one object that run at the same time, one local and one remote, or with
   * guaranteed a collection between them, may both return; the collection then finds the bit set
   *            twice, frees once and counts a bad free. A stale pointer to an object that has been
   *            allocated again cannot be told from a good one.
   * Origin     out-of-band bitmaps as in many collectors; remote word after mimalloc's thread-delayed
   *            free.
   */
  static final int NO_OWNER = -1;
  static final int NOT_LISTED = -1;

  private static final VarHandle LONGS = arrayElementVarHandle(long[].class);
  private static final VarHandle REMOTE =
      fieldVarHandle(lookup(), "remote", VarHandle.class, Slab.class, long[].class);
  private static final VarHandle QUEUED =
      fieldVarHandle(lookup(), "queued", VarHandle.class, Slab.class, int.class);

  final SlabGeometry geometry;
  final long base;
  final int firstChunk;
  final int nrChunks;

  // Copies of the geometry next to the fields they are used with.
  final int objectSize;
  final int wordShift;
  final long magic;
  final int chargeBytes;
  final int cacheIndex;
  final long wordMask;

  final long[] free;
  final int[] owners;
  final int[] positions;
  private volatile long @Nullable [] remote;
  long emptyWords;
  int listPosition = NOT_LISTED;

  /** The slot that allocates from this slab; null while no slot does, and for a large object. */
  volatile @Nullable SlotSlabs home;

  /** 1 while in the home's stack of slabs with remote frees. */
  private volatile int queued;

  @Nullable Slab nextRemote;

  // Large objects only; written before the address is handed out.
  final boolean large;
  @Nullable ObjCgroup largeOwner;
  int nrPages;

  // Guarded by the range's lock.
  long residentBytes;
  long retiredNanos;

  Slab(SlabGeometry geometry, int firstChunk, int nrChunks, long base, boolean large) {
    this.geometry = geometry;
    this.base = base;
    this.firstChunk = firstChunk;
    this.nrChunks = nrChunks;
    this.objectSize = geometry.objectSize();
    this.wordShift = geometry.wordShift();
    this.magic = geometry.magic();
    this.chargeBytes = geometry.chargeBytes();
    this.cacheIndex = geometry.cacheIndex();
    this.wordMask = geometry.wordMask();
    this.large = large;
    this.free = new long[geometry.nrWords()];
    this.owners = new int[geometry.nrWords()];
    this.positions = new int[geometry.nrWords()];
    Arrays.fill(free, wordMask);
    Arrays.fill(owners, NO_OWNER);
    Arrays.fill(positions, NOT_LISTED);
    this.emptyWords = geometry.allWords();
  }

  /** Index of the object at an offset; meaningless unless {@link #isObject}. */
  int indexOf(long offset) {
    return (int) ((offset * magic) >>> SlabGeometry.MAGIC_SHIFT);
  }

  /** Whether an object starts at this offset. */
  boolean isObject(int index, long offset) {
    return (long) index * objectSize == offset && (index >>> wordShift) < free.length;
  }

  int wordOf(int index) {
    return index >>> wordShift;
  }

  /** The object's bit in its word. */
  long bitOf(int index) {
    return 1L << (index & ((1 << wordShift) - 1));
  }

  long wordBase(int word) {
    return base + ((long) word << wordShift) * objectSize;
  }

  boolean isEmpty() {
    return emptyWords == geometry.allWords();
  }

  /** Names a word of this slab in one int. */
  int wordRef(int word) {
    return firstChunk << 6 | word;
  }

  boolean isFreeAcquire(int word, long bit) {
    return ((long) LONGS.getAcquire(free, word) & bit) != 0;
  }

  /** Whether the object was freed remotely and not yet collected. */
  boolean isRemotelyFreed(int word, long bit) {
    long[] bits = remote;
    return bits != null && ((long) LONGS.getVolatile(bits, word) & bit) != 0;
  }

  /** Marks an object as freed; false if it was already. Any thread. */
  boolean freeRemotely(int word, long bit) {
    long[] bits = remote;
    if (bits == null) {
      bits = new long[free.length];
      long[] witness = (long[]) REMOTE.compareAndExchange(this, null, bits);
      bits = witness == null ? bits : witness;
    }
    return ((long) LONGS.getAndBitwiseOr(bits, word, bit) & bit) == 0;
  }

  /** Whether the caller has to queue this slab at its home. */
  boolean enqueue() {
    return queued == 0 && QUEUED.compareAndSet(this, 0, 1);
  }

  /** Before looking at the bits: what is freed after this queues the slab again. */
  void dequeued() {
    queued = 0;
  }

  /** Bits of a word that were freed remotely; the home's owner only. */
  long remoteBits(int word) {
    long[] bits = remote;
    return bits == null ? 0 : (long) LONGS.getVolatile(bits, word);
  }

  /** Moves remotely freed objects to the free bits: free first, so that they are always in one. */
  void collectBits(int word, long bits) {
    LONGS.setRelease(free, word, free[word] | bits);
    clearRemote(word, bits);
  }

  void clearRemote(int word, long bits) {
    long[] array = remote;
    if (array != null) {
      LONGS.getAndBitwiseAnd(array, word, ~bits);
    }
  }

  /** Large objects: from free to allocated, before the address is handed out. */
  void allocateLarge(ObjCgroup owner, int newNrPages) {
    largeOwner = owner;
    nrPages = newNrPages;
    LONGS.setRelease(free, 0, 0L);
  }

  /** Large objects: from allocated to free; false if it was free. Any thread. */
  boolean freeLarge() {
    return ((long) LONGS.getAndBitwiseOr(free, 0, 1L) & 1) == 0;
  }

  /** Allocated objects, those that were freed remotely not counted. Racy while others allocate. */
  int nrLiveObjects() {
    int nrLive = 0;
    for (int w = 0; w < free.length; w++) {
      nrLive += nrLiveObjects(w);
    }
    return nrLive;
  }

  int nrLiveObjects(int word) {
    return Long.bitCount(wordMask & ~(free[word] | remoteBits(word)));
  }
}
