package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Objects of one cache that one stock has ready: an active word, whose free objects are charged
 * already, and the stock's other words that have free objects, which are not.
 *
 * <p>Owned with the slot; plain fields.
 */
final class Magazine {
  /*
   * Layout     available alone decides the fast path; it and the fields beside it are one cache line.
   * Invariant  active: word != null, owned by the stock's handle and in no list. It has given all its
   *            free objects to available (charged already; a subset of mask) and uncharged (charged
   *            when handed out). Freed objects come back to the one or the other, by mask.
   *            inactive: word == null, available == uncharged == mask == 0.
   *            returned: objects that came back since the word became active, and so may have been
   *            allocated again since (ObjectTracking).
   *            partial[0, nrPartial): words of this handle with free objects, none of them active;
   *            a word's position is its index in it.
   * Ordering   plain by the slot's owner; remote frees read what it has taken (Word.isFree).
   * Cost       allocate: 3 loads, 1 store, a multiply-add; no atomic. Successive calls depend on each
   *            other only through one field, which the CPU forwards from its store buffer.
   */
  private static final VarHandle AVAILABLE =
      fieldVarHandle(lookup(), "available", VarHandle.class, Magazine.class, long.class);
  private static final VarHandle UNCHARGED =
      fieldVarHandle(lookup(), "uncharged", VarHandle.class, Magazine.class, long.class);
  private static final @Nullable Word[] NO_PARTIAL = {};

  /** Of the words that wait: the emptiest of all of them would keep all of them in use. */
  static final int MOST_LOOKED_AT = 16;

  static final int ENOUGH_OBJECTS = 8;

  /** Stands where a stock has no magazine yet; never active. */
  static final Magazine NONE = new Magazine(0);

  private long available;
  private long wordBase;
  private final int objectSize;
  private int nrPartial;
  private long mask;
  private long uncharged;
  private long returned;
  private @Nullable Word word;
  private @Nullable Word[] partial = NO_PARTIAL;

  /** Bytes of the active word that were charged in advance: what it may hold at most. */
  private long parkedBytes;

  /** Whether {@link Magazines} will look at it when all that is ready is given back. */
  boolean isNoted;

  /** Bytes to hand out before an object's call site is recorded; of {@link #profileRun} only. */
  long bytesToSample;

  /** The run of {@link AllocationProfile} that the active word was counted for, if any. */
  int profileRun;

  Magazine(int objectSize) {
    this.objectSize = objectSize;
  }

  /** The lowest available object of the active word; 0 if there is none. */
  long allocate() {
    long old = available;
    if (old == 0) {
      return 0;
    }
    available = old & (old - 1);
    return wordBase + (long) Long.numberOfTrailingZeros(old) * objectSize;
  }

  /** The lowest object that is not charged yet; 0 if there is none. The caller has charged it. */
  long allocateUncharged() {
    long old = uncharged;
    if (old == 0) {
      return 0;
    }
    uncharged = old & (old - 1);
    return wordBase + (long) Long.numberOfTrailingZeros(old) * objectSize;
  }

  boolean hasUncharged() {
    return uncharged != 0;
  }

  long uncharged() {
    return uncharged;
  }

  /** Some of the objects that are not charged have been: from now on they are ready. */
  void charged(long bits, long nrBytes) {
    mask |= bits;
    parkedBytes += nrBytes;
    // In this order, as takenAcquire() looks at the other one first: no bit is in neither.
    AVAILABLE.setRelease(this, available | bits);
    UNCHARGED.setRelease(this, uncharged & ~bits);
  }

  boolean isActive(Word candidate) {
    return word == candidate;
  }

  /**
   * Takes an object of the active word back.
   *
   * @return true if it stays charged, for the next allocation; false if it has to be uncharged
   */
  boolean putBack(long bit) {
    returned |= bit;
    if ((mask & bit) != 0) {
      available |= bit;
      return true;
    }
    uncharged |= bit;
    return false;
  }

  /** Makes a word active; {@code charged} of its free objects are charged already. */
  void activate(Word newWord, long charged, long chargedBytes) {
    word = newWord;
    wordBase = newWord.base();
    mask = charged;
    parkedBytes = chargedBytes;
    returned = 0;
    newWord.activate(this, charged);
  }

  @Nullable Word activeWord() {
    return word;
  }

  long parkedBytes() {
    return parkedBytes;
  }

  long available() {
    return available;
  }

  /** What it can hand out, charged or not. */
  long taken() {
    return available | uncharged;
  }

  void take(long charged, long notCharged) {
    AVAILABLE.setRelease(this, charged);
    UNCHARGED.setRelease(this, notCharged);
  }

  /** Objects that came back since the word became active. Racy by anyone but the owner. */
  long returned() {
    return returned;
  }

  /** Any thread. */
  long takenAcquire() {
    return (long) UNCHARGED.getAcquire(this) | (long) AVAILABLE.getAcquire(this);
  }

  /** Any thread: what it can hand out that is charged already. */
  long availableAcquire() {
    return (long) AVAILABLE.getAcquire(this);
  }

  /** Takes objects of the active word back that others have freed and uncharged. */
  void addUncharged(long bits) {
    returned |= bits;
    UNCHARGED.setRelease(this, uncharged | bits);
  }

  /** Leaves the active word; what becomes of it is the caller's business. */
  void deactivate(Word oldWord) {
    oldWord.deactivate(this);
    word = null;
    mask = 0;
    parkedBytes = 0;
  }

  void pushPartial(Word newWord) {
    assert this != NONE : "no magazine: word=" + newWord.base();
    if (nrPartial == partial.length) {
      partial = Arrays.copyOf(partial, Math.max(4, 2 * nrPartial));
    }
    newWord.position = nrPartial;
    partial[nrPartial++] = newWord;
  }

  /**
   * Takes a word with many free objects among those whose objects were freed last; null if there is
   * none. Where sizes and places differ the very last one has one or two, and each word that is
   * taken costs as much as several objects.
   */
  @Nullable Word popPartial() {
    if (nrPartial == 0) {
      return null;
    }
    Word best = partial(nrPartial - 1);
    int most = Long.bitCount(best.free());
    int last = Math.max(0, nrPartial - MOST_LOOKED_AT);
    for (int i = nrPartial - 2; i >= last && most < ENOUGH_OBJECTS; i--) {
      Word candidate = partial(i);
      int nrFree = Long.bitCount(candidate.free());
      if (nrFree > most) {
        most = nrFree;
        best = candidate;
      }
    }
    removePartial(best);
    return best;
  }

  int nrPartial() {
    return nrPartial;
  }

  Word partial(int position) {
    return Objects.requireNonNull(partial[position]);
  }

  void removePartial(Word oldWord) {
    Word last = partial[--nrPartial];
    partial[nrPartial] = null; // or the slab would be kept on the heap when its memory is gone
    if (last != null && last != oldWord) {
      partial[oldWord.position] = last;
      last.position = oldWord.position;
    }
    oldWord.position = Word.NOT_LISTED;
  }
}
