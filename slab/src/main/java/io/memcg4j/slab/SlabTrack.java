package io.memcg4j.slab;

import static java.lang.invoke.MethodHandles.arrayElementVarHandle;

import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/** Side arrays of a slab: what is known of its objects beyond their bits. */
final class SlabTrack {
  /*
   * Layout     per word: which objects may have been allocated since an epoch began, and which epoch.
   *            young is stamped by the owner of the home slot when the word becomes active or leaves;
   *            held by whoever advances the epoch, for words that were active at that moment.
   *            sites: a call site per object, 0 where none is known; made when the first is.
   *            watched: objects that somebody wants to tell from those that take their place; made when
   *            the first is.
   * Ordering   young, then youngEpoch, both with release, before any of the objects is handed out: a
   *            reader that takes an old pair together with a new object is set right by its second
   *            look. sites by exchange: one of those who free an object gets what was there.
   *            watched by atomics: set by anyone while the object is allocated, cleared by whoever stamps
   *            young, before the object is handed out again or its word leaves (BirthEpoch.isWatched).
   */
  private static final VarHandle LONGS = arrayElementVarHandle(long[].class);
  private static final VarHandle INTS = arrayElementVarHandle(int[].class);

  private final long[] young;
  private final int[] youngEpoch;
  private final long[] held;
  private final int[] heldEpoch;
  private volatile int @Nullable [] sites;
  private volatile long @Nullable [] watched;

  /** When each object was allocated, in milliseconds of {@link #nowMillis}; made before sites. */
  private volatile int @Nullable [] births;

  private volatile @Nullable AtomicReferenceArray<@Nullable DebugObject> debugObjects;

  SlabTrack(int nrWords) {
    young = new long[nrWords];
    youngEpoch = new int[nrWords];
    held = new long[nrWords];
    heldEpoch = new int[nrWords];
  }

  /** By the owner of the home slot. */
  void noteYoung(int word, long bits, int epoch) {
    long before = youngEpoch[word] == epoch ? young[word] : 0;
    LONGS.setRelease(young, word, before | bits);
    INTS.setRelease(youngEpoch, word, epoch);
    VarHandle.releaseFence();
    long[] mine = watched;
    if (mine != null && (mine[word] & bits) != 0) {
      LONGS.getAndBitwiseAnd(mine, word, ~bits);
    }
  }

  /** By anyone, of allocated objects. */
  void watch(int word, long bits) {
    long[] mine = watched;
    LONGS.getAndBitwiseOr(mine == null ? makeWatched() : mine, word, bits);
  }

  private synchronized long[] makeWatched() {
    long[] mine = watched;
    if (mine == null) {
      mine = new long[young.length];
      watched = mine;
    }
    return mine;
  }

  /** Objects that are watched, unless the word's magazine has had them back since. */
  long watched(int word) {
    long[] mine = watched;
    return mine == null ? 0 : (long) LONGS.getAcquire(mine, word);
  }

  /** Nothing is watched any more. */
  void unwatch() {
    watched = null;
  }

  /** By whoever advances the epoch, one at a time. */
  void noteHeld(int word, long bits, int epoch) {
    LONGS.setRelease(held, word, bits);
    INTS.setRelease(heldEpoch, word, epoch);
  }

  /** Objects that may have been allocated since the epoch began. */
  long youngSince(int word, int epoch) {
    long bits = 0;
    if ((int) INTS.getAcquire(youngEpoch, word) == epoch) {
      bits = (long) LONGS.getAcquire(young, word);
    }
    if ((int) INTS.getAcquire(heldEpoch, word) == epoch) {
      bits |= (long) LONGS.getAcquire(held, word);
    }
    return bits;
  }

  int site(int index) {
    int[] mine = sites;
    return mine == null ? 0 : (int) INTS.getAcquire(mine, index);
  }

  /** Whether the call site of any of some objects is known. */
  boolean hasSite(int from, int to) {
    int[] mine = sites;
    for (int i = from; mine != null && i < Math.min(to, mine.length); i++) {
      if ((int) INTS.getAcquire(mine, i) != 0) {
        return true;
      }
    }
    return false;
  }

  void setSite(int index, int site, int nrObjects) {
    int[] mine = sites;
    if (mine == null) {
      mine = makeSites(nrObjects);
    }
    int[] times = births;
    if (times != null) {
      times[index] = nowMillis();
    }
    INTS.setRelease(mine, index, site);
  }

  /** Wraps round after 49 days; only differences mean something. */
  private static int nowMillis() {
    return (int) (System.nanoTime() / 1_000_000);
  }

  /** Milliseconds since an object with a known call site was allocated; -1 if not known. */
  long ageMillis(int index) {
    int[] times = births;
    return times == null || site(index) == 0
        ? -1
        : Integer.toUnsignedLong(nowMillis() - times[index]);
  }

  private synchronized int[] makeSites(int nrObjects) {
    int[] mine = sites;
    if (mine == null) {
      births = new int[nrObjects];
      mine = new int[nrObjects];
      sites = mine;
    }
    return mine;
  }

  /** What debug mode knows of an object; null if nothing yet. */
  @Nullable DebugObject debugObject(int index) {
    AtomicReferenceArray<@Nullable DebugObject> mine = debugObjects;
    return mine == null ? null : mine.get(index);
  }

  DebugObject debugObject(Slab slab, int index) {
    DebugObject object = debugObject(index);
    return object != null ? object : makeDebugObject(slab, index);
  }

  private synchronized DebugObject makeDebugObject(Slab slab, int index) {
    AtomicReferenceArray<@Nullable DebugObject> mine = debugObjects;
    if (mine == null) {
      mine = new AtomicReferenceArray<>(slab.nrObjects());
      debugObjects = mine;
    }
    DebugObject object = mine.get(index);
    if (object == null) {
      object = new DebugObject(slab.base + (long) index * slab.objectSize, slab.geometry);
      mine.set(index, object);
    }
    return object;
  }

  /** Forgets all call sites. */
  void clearSites() {
    sites = null;
  }

  /** The call site of an object that is being freed; 0 if none is known, or another free has it. */
  int takeSite(int index) {
    int[] mine = sites;
    return mine == null || mine[index] == 0 ? 0 : (int) INTS.getAndSet(mine, index, 0);
  }
}
