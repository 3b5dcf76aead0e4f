package io.memcg4j.slab;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Objects of one cache that one stock has ready: an active word, whose free objects are charged
 * already, and the stock's other words that have free objects, which are not.
 *
 * <p>Owned with the slot; plain fields.
 */
final class Magazine {
  /*
   * Invariant  active: slab != null, owners[word] is the stock's handle, the word is in no list, and
   *            the free objects inside mask are charged; those outside mask are not.
   *            inactive: slab == null, free is NO_WORD, mask 0: allocate() finds nothing.
   *            partial[0, nrPartial): words of this handle with free objects, none of them active;
   *            slab.positions[word] is the index in it.
   * Cost       allocate: 5 loads, 1 store, 1 multiply-add; no atomic, no write outside the bitmap.
   */
  private static final long[] NO_WORD = {0};
  private static final int[] NO_PARTIAL = {};

  /** Stands where a stock has no magazine yet; never active. */
  static final Magazine NONE = new Magazine(0);

  private final int objectSize;
  private long[] free = NO_WORD;
  private long wordBase;
  private long mask;
  private int word;
  private @Nullable Slab slab;
  private int[] partial = NO_PARTIAL;
  private int nrPartial;

  /** Charged bytes that the active word had when it was taken: what it may hold at most. */
  private long parkedBytes;

  Magazine(int objectSize) {
    this.objectSize = objectSize;
  }

  /** The lowest free object of the active word; 0 if there is none. */
  long allocate() {
    long[] bits = free;
    int w = word;
    long old = bits[w];
    long available = old & mask;
    if (available == 0) {
      return 0;
    }
    bits[w] = old ^ (available & -available);
    return wordBase + (long) Long.numberOfTrailingZeros(available) * objectSize;
  }

  boolean isActive(Slab candidate, int candidateWord) {
    return slab == candidate && word == candidateWord;
  }

  /** Whether a free object of the active word counts as charged. */
  boolean isCharged(long bit) {
    return (mask & bit) != 0;
  }

  /** Makes a word active with {@code charged} of its free objects. */
  void activate(Slab newSlab, int newWord, long charged, long chargedBytes) {
    slab = newSlab;
    word = newWord;
    free = newSlab.free;
    wordBase = newSlab.wordBase(newWord);
    mask = charged;
    parkedBytes = chargedBytes;
  }

  @Nullable Slab activeSlab() {
    return slab;
  }

  int activeWord() {
    return word;
  }

  long parkedBytes() {
    return parkedBytes;
  }

  /** Free objects of the active word that are charged. */
  long chargedFree() {
    return free[word] & mask;
  }

  /** These objects are no longer charged in advance. */
  void uncharge(long bits) {
    mask &= ~bits;
  }

  /** Leaves the active word; what becomes of it is the caller's business. */
  void deactivate() {
    slab = null;
    word = 0;
    free = NO_WORD;
    mask = 0;
    parkedBytes = 0;
  }

  void pushPartial(Slab ofSlab, int ofWord) {
    if (nrPartial == partial.length) {
      partial = Arrays.copyOf(partial, Math.max(4, 2 * nrPartial));
    }
    ofSlab.positions[ofWord] = nrPartial;
    partial[nrPartial++] = ofSlab.wordRef(ofWord);
  }

  boolean hasPartial() {
    return nrPartial > 0;
  }

  /** The word whose object was freed last; its name as {@link Slab#wordRef} made it. */
  int topPartial() {
    return partial[nrPartial - 1];
  }

  void removePartial(Slab ofSlab, int ofWord, SlabRange range) {
    int position = ofSlab.positions[ofWord];
    int last = partial[--nrPartial];
    if (position != nrPartial) {
      Slab moved = range.slabOfWord(last);
      partial[position] = last;
      moved.positions[last & 63] = position;
    }
    ofSlab.positions[ofWord] = Slab.NOT_LISTED;
  }

  int nrPartial() {
    return nrPartial;
  }
}
