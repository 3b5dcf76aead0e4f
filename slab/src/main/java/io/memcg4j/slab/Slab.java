package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.arrayElementVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.objcg.ObjCgroup;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/** Metadata of a run of chunks, on the Java heap: a slab of small objects, or one large object. */
final class Slab {
  /*
   * Layout     words: two longs a word, side by side: the free bits (set = not allocated), and its
   *            owner and position:
   *              63            62          61      32 31                 0
   *             +---------------+----------+---------+--------------------+
   *             | 1 = no owner  |  active  | owner id|  position in stack |
   *             +---------------+----------+---------+--------------------+
   *            remote: bits of objects freed by threads that do not own the home slot, made on the
   *            first such free.
   * Invariant  while a word is active its magazine has taken the bits that it hands out: an object is
   *            free if its bit is in the free bits or in that magazine's. So both together tell the
   *            truth about every object at any time. A word has no owner exactly while it is in
   *            emptyWords. Of a large object the first free bit is the state.
   * Ordering   words, activeIn, emptyWords: plain, by the home slot's owner; what others read is
   *            stored with release. Activation gives the bits to the magazine, then takes them from
   *            the word; deactivation the other way round: isFree() looks at the word, the magazine
   *            and the word again, so it misses no bit on the move.
   *            A remote free looks at remote, then at isFree, then ORs its bit into remote.
   *            Collecting stores the free bits (release), then clears them in remote (volatile). So a
   *            second free of the same object finds its bit in one of them (RemoteFreeStress, twin:
   *            cleared first). home changes only while every object is free.
   * Not        two frees of one object that run at the same time, one local and one remote, or with
   * guaranteed a collection between them, may both return; the collection then finds the bit set
   *            twice, frees once and counts a bad free. A stale pointer to an object that has been
   *            allocated again cannot be told from a good one.
   * Origin     out-of-band bitmaps as in many collectors; remote word after mimalloc's thread-delayed
   *            free.
   */
  static final int NO_OWNER = -1;
  static final int NOT_LISTED = -1;

  private static final int ACTIVE = 1 << 30;
  private static final int OWNER_SHIFT = 32;

  private static final VarHandle LONGS = arrayElementVarHandle(long[].class);
  private static final VarHandle MAGAZINES = arrayElementVarHandle(Magazine[].class);
  private static final VarHandle REMOTE =
      fieldVarHandle(lookup(), "remote", VarHandle.class, Slab.class, long[].class);
  private static final VarHandle HOME =
      fieldVarHandle(lookup(), "home", VarHandle.class, Slab.class, SlotSlabs.class);
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

  final int bitMask;

  final long[] words;
  private final @Nullable Magazine[] activeIn;
  private long @Nullable [] remote;
  long emptyWords;
  int listPosition = NOT_LISTED;

  /** The slot that allocates from this slab; null while no slot does, and for a large object. */
  private @Nullable SlotSlabs home;

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
    this.bitMask = (1 << wordShift) - 1;
    this.words = new long[2 * geometry.nrWords()];
    this.activeIn = new @Nullable Magazine[large ? 0 : geometry.nrWords()];
    for (int w = 0; w < geometry.nrWords(); w++) {
      words[2 * w] = wordMask;
      words[2 * w + 1] = meta(NO_OWNER, NOT_LISTED);
    }
    this.emptyWords = geometry.allWords();
  }

  /** Index of the object at an offset; meaningless unless {@link #isObject}. */
  int indexOf(long offset) {
    return (int) ((offset * magic) >>> SlabGeometry.MAGIC_SHIFT);
  }

  /** Whether an object starts at this offset. */
  boolean isObject(int index, long offset) {
    return (long) index * objectSize == offset && (index >>> wordShift) < nrWords();
  }

  int wordOf(int index) {
    return index >>> wordShift;
  }

  /** The object's bit in its word. */
  long bitOf(int index) {
    return 1L << (index & bitMask);
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

  int nrWords() {
    return words.length >>> 1;
  }

  // ---- words; by the home's owner unless said otherwise

  private static long meta(int owner, int position) {
    return (long) owner << OWNER_SHIFT | (position & 0xffff_ffffL);
  }

  long freeBits(int word) {
    return words[2 * word];
  }

  void setFreeBits(int word, long bits) {
    LONGS.setRelease(words, 2 * word, bits);
  }

  /** Owner of a word; {@link #NO_OWNER} if it has none. Right for any thread that has an object. */
  int owner(int word) {
    int key = (int) (words[2 * word + 1] >> OWNER_SHIFT);
    return key < 0 ? NO_OWNER : key & ~ACTIVE;
  }

  void setOwner(int word, int ownerId) {
    words[2 * word + 1] = meta(ownerId, NOT_LISTED);
  }

  int position(int word) {
    return (int) words[2 * word + 1];
  }

  void setPosition(int word, int position) {
    words[2 * word + 1] = meta((int) (words[2 * word + 1] >> OWNER_SHIFT), position);
  }

  /**
   * Whether a word belongs to an owner and is not active: what the fast path of free asks.
   *
   * @param wordIndex twice the word
   */
  boolean isPlainlyOwned(int wordIndex, int ownerId) {
    return (int) (words[wordIndex + 1] >> OWNER_SHIFT) == ownerId;
  }

  boolean isActive(int word) {
    return activeIn[word] != null;
  }

  /** The magazine takes bits of a word. */
  void activate(int word, Magazine magazine, long bits) {
    MAGAZINES.setRelease(activeIn, word, magazine);
    magazine.setAvailable(bits);
    setFreeBits(word, words[2 * word] & ~bits);
    words[2 * word + 1] = meta(owner(word) | ACTIVE, NOT_LISTED);
  }

  /** The magazine gives back what it has not handed out. */
  void deactivate(int word, Magazine magazine) {
    setFreeBits(word, words[2 * word] | magazine.available());
    words[2 * word + 1] = meta(owner(word), NOT_LISTED);
    MAGAZINES.setRelease(activeIn, word, (Magazine) null);
    magazine.setAvailable(0);
  }

  /** Whether an object is free and that was collected. Any thread. */
  boolean isFree(int word, long bit) {
    while (true) {
      long first = (long) LONGS.getAcquire(words, 2 * word);
      Magazine magazine = large ? null : (Magazine) MAGAZINES.getAcquire(activeIn, word);
      long taken = 0;
      if (magazine != null) {
        long version = magazine.version();
        taken = magazine.availableAcquire();
        if (MAGAZINES.getAcquire(activeIn, word) != magazine || magazine.version() != version) {
          continue; // it went on to another word: what was read may be that one's
        }
      }
      long second = (long) LONGS.getAcquire(words, 2 * word);
      return ((first | taken | second) & bit) != 0;
    }
  }

  // ---- home

  /** By the owner of a slot: true only if that slot's slabs are meant. */
  boolean isHome(SlotSlabs slabs) {
    return home == slabs;
  }

  /** Any thread. */
  @Nullable SlotSlabs homeAcquire() {
    return (SlotSlabs) HOME.getAcquire(this);
  }

  void setHome(@Nullable SlotSlabs slabs) {
    HOME.setRelease(this, slabs);
  }

  // ---- remote frees

  /** As {@link #isRemotelyFreed}, for whoever owns the home slot and frees: no fence. */
  boolean isRemotelyFreedPlain(int word, long bit) {
    long[] bits = remote;
    return bits != null && (bits[word] & bit) != 0;
  }

  /** Whether the object was freed remotely and not yet collected. Any thread. */
  boolean isRemotelyFreed(int word, long bit) {
    return (remoteBits(word) & bit) != 0;
  }

  /** Marks an object as freed; false if it was already. Any thread. */
  boolean freeRemotely(int word, long bit) {
    long[] bits = (long[]) REMOTE.getAcquire(this);
    if (bits == null) {
      bits = new long[nrWords()];
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

  /** Bits of a word that were freed remotely and not yet collected. */
  long remoteBits(int word) {
    long[] bits = (long[]) REMOTE.getAcquire(this);
    return bits == null ? 0 : (long) LONGS.getVolatile(bits, word);
  }

  /** Moves remotely freed objects to the free bits: free first, so that they are always in one. */
  void collect(int word, long bits) {
    setFreeBits(word, words[2 * word] | bits);
    clearRemote(word, bits);
  }

  void clearRemote(int word, long bits) {
    long[] array = (long[]) REMOTE.getAcquire(this);
    if (array != null) {
      LONGS.getAndBitwiseAnd(array, word, ~bits);
    }
  }

  /** Large objects: from free to allocated, before the address is handed out. */
  void allocateLarge(ObjCgroup owner, int newNrPages) {
    largeOwner = owner;
    nrPages = newNrPages;
    LONGS.setRelease(words, 0, 0L);
  }

  /** Large objects: from allocated to free; false if it was free. Any thread. */
  boolean freeLarge() {
    return ((long) LONGS.getAndBitwiseOr(words, 0, 1L) & 1) == 0;
  }

  /** Allocated objects, those that were freed remotely not counted. Racy while others allocate. */
  int nrLiveObjects() {
    int nrLive = 0;
    for (int w = 0; w < nrWords(); w++) {
      nrLive += nrLiveObjects(w);
    }
    return nrLive;
  }

  int nrLiveObjects(int word) {
    Magazine magazine = large ? null : activeIn[word];
    long taken = magazine == null ? 0 : magazine.available();
    return Long.bitCount(wordMask & ~(words[2 * word] | taken | remoteBits(word)));
  }
}
