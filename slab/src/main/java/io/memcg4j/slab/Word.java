package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Up to 64 neighbouring objects of a slab: which of them are free, and who owns them. The unit that
 * a handle is charged for in advance.
 */
final class Word {
  /*
   * Layout     56 bytes for up to a page of objects; everything that a free touches on one line.
   * Invariant  bit set in free = the object is not allocated. While the word is active its magazine
   *            has taken the bits, to hand them out, so both together tell the truth about every
   *            object at any time. owner is null exactly while the word is in its slab's emptyWords.
   *            side follows from owner, activeIn and tracked: one look tells the fast path of free where
   *            an object of a word that is the caller's goes.
   * Ordering   plain, by the owner of the home slot; what others read is stored with release.
   *            Activation gives the bits to the magazine, then takes them from the word; deactivation
   *            the other way round: isFree() looks at the word, the magazine and the word again, so it
   *            misses no bit that moves once. That it moved no more than once, and that the magazine
   *            has not gone on to another word, it knows from moves, which changes before activation
   *            and after deactivation (RemoteFreeStress, twins: one look, and no look at moves).
   *            A remote free looks at remote, then at isFree, then ORs its bit into remote. Collecting
   *            stores free (release), then clears the bits in remote (volatile). So a second free of
   *            the same object finds its bit in one of them (RemoteFreeStress, twin: cleared first).
   * Not        two frees of one object that run at the same time, one local and one remote, or with a
   * guaranteed collection between them, may both return; the collection then finds the bit set twice,
   *            frees once, counts a bad free, and takes the second charge back from the word's owner
   *            if it still has one. A stale pointer to an object that has been allocated again cannot
   *            be told from a good one.
   * Origin     out-of-band bitmaps as in many collectors; remote bits after mimalloc's thread-delayed
   *            free.
   */
  private static final VarHandle FREE =
      fieldVarHandle(lookup(), "free", VarHandle.class, Word.class, long.class);
  private static final VarHandle REMOTE =
      fieldVarHandle(lookup(), "remote", VarHandle.class, Word.class, long.class);
  private static final VarHandle OWNER =
      fieldVarHandle(lookup(), "owner", VarHandle.class, Word.class, Magazines.class);
  private static final VarHandle MOVES =
      fieldVarHandle(lookup(), "moves", VarHandle.class, Word.class, int.class);
  private static final VarHandle ACTIVE_IN =
      fieldVarHandle(lookup(), "activeIn", VarHandle.class, Word.class, Magazine.class);

  final Slab slab;
  private final byte index;

  private byte side;

  /** Something is known of one of its objects, so that no free of this word may be fast. */
  private boolean tracked;

  /** Position in the owner's stack of words with free objects. */
  int position = NOT_LISTED;

  /**
   * How often the free bits went to a magazine or came back: what isFree() saw belongs together.
   */
  private int moves;

  private long free;
  private long remote;
  private @Nullable Magazines owner;
  private @Nullable Magazine activeIn;

  static final int NOT_LISTED = -1;

  /** Of an owner whose magazine has not taken the free objects. */
  static final byte INACTIVE = 1;

  /** Of an owner whose magazine has taken the free objects. */
  static final byte ACTIVE = 2;

  Word(Slab slab, int index, long free) {
    this.slab = slab;
    this.index = (byte) index;
    this.free = free;
  }

  int index() {
    return index;
  }

  long base() {
    return slab.base + ((long) index << slab.wordShift) * slab.objectSize;
  }

  int nrObjects() {
    return slab.objectsPerWord();
  }

  // ---- by the owner of the home slot

  long free() {
    return free;
  }

  void setFree(long bits) {
    FREE.setRelease(this, bits);
  }

  /** As {@link #setFree} where nobody can be misled by a late store. */
  void setFreePlain(long bits) {
    free = bits;
  }

  /** {@link #INACTIVE} or {@link #ACTIVE} if nothing but the bits has to be looked at; else 0. */
  int side() {
    return side;
  }

  private void setSide() {
    side = owner == null || tracked ? 0 : activeIn == null ? INACTIVE : ACTIVE;
  }

  @Nullable Magazines owner() {
    return owner;
  }

  void setOwner(@Nullable Magazines magazines) {
    OWNER.setRelease(this, magazines);
    tracked &= magazines != null;
    setSide();
  }

  /** The word, inactive, goes to another slot's magazines of the same handle. */
  void moveTo(Magazines heir) {
    OWNER.setRelease(this, heir);
    setSide();
  }

  /** The magazine that has taken the free objects; null if none has. */
  @Nullable Magazine activeIn() {
    return activeIn;
  }

  /** Bits of objects that were freed elsewhere, as far as the caller must see them. No fence. */
  long remotePlain() {
    return remote;
  }

  /** The magazine takes all free objects, some of them charged. */
  void activate(Magazine magazine, long charged) {
    MOVES.setRelease(this, moves + 1);
    ACTIVE_IN.setRelease(this, magazine);
    magazine.take(charged, free & ~charged);
    setFree(0);
    setSide();
  }

  /** The magazine gives back what it has not handed out. */
  void deactivate(Magazine magazine) {
    setFree(free | magazine.taken());
    ACTIVE_IN.setRelease(this, (Magazine) null);
    magazine.take(0, 0);
    MOVES.setRelease(this, moves + 1);
    setSide();
  }

  /**
   * By the owner, while active: from now on frees take the general way, which looks at the track.
   */
  void setTracked() {
    tracked = true;
    setSide();
  }

  /** By the owner: nothing is known of its objects any more, so that frees may be fast again. */
  void clearTracked() {
    tracked = false;
    setSide();
  }

  boolean isTracked() {
    return tracked;
  }

  /** Free objects, those that the magazine has taken included. */
  long allFree() {
    Magazine magazine = activeIn;
    return magazine == null ? free : free | magazine.taken();
  }

  /** Moves remotely freed objects to the free bits: free first, so that they are always in one. */
  void collect(long bits) {
    setFree(free | bits);
    clearRemote(bits);
  }

  void clearRemote(long bits) {
    REMOTE.getAndBitwiseAnd(this, ~bits);
  }

  // ---- any thread

  @Nullable Magazines ownerAcquire() {
    return (Magazines) OWNER.getAcquire(this);
  }

  /** Bits of objects that were freed remotely and not yet collected. */
  long remote() {
    return (long) REMOTE.getVolatile(this);
  }

  /** Marks an object as freed; false if it was already. */
  boolean freeRemotely(long bit) {
    return ((long) REMOTE.getAndBitwiseOr(this, bit) & bit) == 0;
  }

  /** Whether an object is not allocated: freed, collected or not, or never allocated. */
  boolean isFreed(long bit) {
    return (remote() & bit) != 0 || isFree(bit);
  }

  /** Whether an object is free and that was collected. */
  boolean isFree(long bit) {
    while (true) {
      int before = (int) MOVES.getAcquire(this);
      long first = (long) FREE.getAcquire(this);
      Magazine magazine = (Magazine) ACTIVE_IN.getAcquire(this);
      long taken = magazine == null ? 0 : magazine.takenAcquire();
      long second = (long) FREE.getAcquire(this);
      if ((int) MOVES.getAcquire(this) == before) {
        return ((first | taken | second) & bit) != 0;
      }
    }
  }

  /** Objects that are allocated and not freed, as far as can be told while others go on. */
  long allocated() {
    while (true) {
      int before = (int) MOVES.getAcquire(this);
      long freedElsewhere = remote();
      long first = (long) FREE.getAcquire(this);
      Magazine magazine = (Magazine) ACTIVE_IN.getAcquire(this);
      long taken = magazine == null ? 0 : magazine.takenAcquire();
      long second = (long) FREE.getAcquire(this);
      if ((int) MOVES.getAcquire(this) == before) {
        return slab.wordMask & ~(first | taken | second | freedElsewhere);
      }
    }
  }

  /**
   * What its objects are, a bit each.
   *
   * @param charged part of {@code ready}
   */
  record Parts(long deferred, long ready, long charged, long free, long allocated) {}

  /** As {@link #allocated}, for everything else too: each object is one thing. */
  Parts parts() {
    while (true) {
      int before = (int) MOVES.getAcquire(this);
      long freedElsewhere = remote() & slab.wordMask;
      long deferred = freedElsewhere & slab.deferredBits(index);
      long first = (long) FREE.getAcquire(this);
      Magazine magazine = (Magazine) ACTIVE_IN.getAcquire(this);
      long taken = magazine == null ? 0 : magazine.takenAcquire();
      long charged = magazine == null ? 0 : magazine.availableAcquire();
      long second = (long) FREE.getAcquire(this);
      if ((int) MOVES.getAcquire(this) == before) {
        long ready = taken & slab.wordMask & ~freedElsewhere;
        long free = (first | second | freedElsewhere) & slab.wordMask & ~ready & ~deferred;
        long allocated = slab.wordMask & ~(deferred | ready | free);
        return new Parts(deferred, ready, charged & ready, free, allocated);
      }
    }
  }

  /** The magazine that has the word active, for anyone. */
  @Nullable Magazine activeInAcquire() {
    return (Magazine) ACTIVE_IN.getAcquire(this);
  }

  /** A large object is allocated: its only bit, before the address is handed out. */
  void setAllocated() {
    FREE.setRelease(this, 0L);
  }

  /** A large object is freed; false if it was free. */
  boolean freeOnce() {
    return ((long) FREE.getAndBitwiseOr(this, 1L) & 1) == 0;
  }

  /** Allocated objects, those freed remotely not counted. Racy while others allocate. */
  int nrLiveObjects() {
    return Long.bitCount(slab.wordMask & ~(allFree() | remote()));
  }
}
