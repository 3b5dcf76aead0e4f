package io.memcg4j.slab;

import java.lang.invoke.VarHandle;
import java.util.function.Supplier;

/** Which objects may have been allocated since an epoch began. */
final class BirthEpoch {
  /*
   * Ordering   whoever activates a word: makes it active, full fence, reads the epoch, stamps the
   *            word's free objects with it, and only then hands one out. Whoever begins an epoch:
   *            writes it (volatile), then reads which words are active and what their magazines
   *            hold. So an object that is handed out in the new epoch was stamped with it by the one,
   *            or recorded as held by the other (BirthEpochStress, twin: no fence).
   *            A watched object that is freed comes back to a magazine, or is free when its word becomes
   *            active; what came back is stamped before the word is left. isWatched looks at the
   *            magazine first, then at the bit, so that it misses neither (WatchStress, twin: the
   *            other way round).
   * Locks      none; begin and end by one thread at a time.
   */
  static final int OFF = 0;

  private volatile int current;

  int current() {
    return current;
  }

  boolean isOn() {
    return current != OFF;
  }

  void begin(int epoch, Supplier<Iterable<Slab>> inUse) {
    current = epoch;
    for (Slab slab : inUse.get()) {
      for (Word word : slab.words) {
        Magazine magazine = word.activeInAcquire();
        long taken = magazine == null ? 0 : magazine.takenAcquire();
        if (taken != 0) {
          slab.trackOrMake().noteHeld(word.index(), taken & slab.wordMask, epoch);
        }
      }
    }
  }

  void end() {
    current = OFF;
  }

  /** By the owner: the magazine has taken these objects and hands none out before this returns. */
  void activated(Word word, long taken) {
    VarHandle.fullFence();
    stamp(word, taken);
  }

  /** By the owner: these came back and may have been handed out again, and the word is left now. */
  void deactivating(Word word, long returned) {
    stamp(word, returned);
  }

  private void stamp(Word word, long bits) {
    int epoch = current;
    if (epoch != OFF && bits != 0) {
      word.slab.trackOrMake().noteYoung(word.index(), bits, epoch);
    }
  }

  /** Objects of a word that may have been allocated since the epoch began. Any thread. */
  static long youngOf(Word word, int epoch) {
    SlabTrack track = word.slab.track();
    long young = track == null ? 0 : track.youngSince(word.index(), epoch);
    return young | backInMagazine(word);
  }

  /** Objects that the word's magazine has, or has had since the word became active. */
  static long backInMagazine(Word word) {
    Magazine magazine = word.activeInAcquire();
    return magazine == null ? 0 : magazine.returned() | magazine.takenAcquire();
  }

  /** Whether an object is the one that was watched. Any thread. */
  static boolean isWatched(Word word, long bit) {
    long back = backInMagazine(word);
    VarHandle.acquireFence();
    SlabTrack track = word.slab.track();
    return track != null && (track.watched(word.index()) & ~back & bit) != 0 && !word.isFreed(bit);
  }
}
