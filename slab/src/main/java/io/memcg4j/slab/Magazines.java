package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.PreCharged;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The magazines of one stock, by cache. Owned with the slot. */
final class Magazines implements PreCharged {
  /*
   * Layout     near: the word that objects are being freed to, so that the next ones of it are found
   *            without their slab. Set at the second free in a row to the same word, as frees in no
   *            order would change it each time, and a store of a reference is dear.
   *            noted: magazines that have been active since all was given back. Few of the sizes are
   *            used at a time, and a stock that is cooled gives back at each change of the tenant.
   * Invariant  near is null or a word of these magazines; nrNear is 0 if it is null.
   *            A magazine that is active is noted, once.
   */
  private static final Magazine[] NO_MAGAZINES = noMagazines();
  private static final @Nullable Magazine[] NONE_NOTED = {};

  /** Often enough for a cache that has come into use, seldom enough that words do not rotate. */
  private static final int STARVED_BEFORE_GIVE_BACK = 4;

  private final SlotSlabs home;
  private final ObjStock stock;
  private final boolean charged;
  private Magazine[] byCache = NO_MAGAZINES;
  private @Nullable Magazine[] noted = NONE_NOTED;
  private int nrNoted;
  private int nrStarved;
  private int nextVictim;
  private long nearBase;
  private long nrNear;
  private long nearInverse;
  private int nearShift;
  private @Nullable Word near;
  private long farBase;

  Magazines(SlotSlabs home, ObjStock stock, boolean charged) {
    this.home = home;
    this.stock = stock;
    this.charged = charged;
  }

  private static Magazine[] noMagazines() {
    Magazine[] array = new Magazine[SizeClasses.COUNT];
    Arrays.fill(array, Magazine.NONE);
    return array;
  }

  /** By kmalloc class; {@link Magazine#NONE} where nothing was allocated yet. May be replaced. */
  Magazine[] classes() {
    return byCache;
  }

  /** The magazine of any cache. */
  Magazine get(int cacheIndex) {
    return cacheIndex < byCache.length ? byCache[cacheIndex] : Magazine.NONE;
  }

  Magazine getOrMake(SlabGeometry geometry) {
    int index = geometry.cacheIndex();
    int length = byCache.length;
    if (index >= length) {
      byCache = Arrays.copyOf(byCache, index + 8);
      Arrays.fill(byCache, length, byCache.length, Magazine.NONE);
    } else if (byCache == NO_MAGAZINES) {
      byCache = NO_MAGAZINES.clone(); // an array that is filled costs several times as much
    }
    if (byCache[index] == Magazine.NONE) {
      byCache[index] = new Magazine(geometry.objectSize());
    }
    return byCache[index];
  }

  /** Whether an object of the near word starts at an address. */
  boolean isNear(long address) {
    return Long.compareUnsigned(nearIndex(address), nrNear) < 0;
  }

  /** The bit of an object for which {@link #isNear} holds. */
  long nearBit(long address) {
    return 1L << (int) nearIndex(address);
  }

  private long nearIndex(long address) {
    return Slab.quotient(address - nearBase, nearInverse, nearShift);
  }

  /** The word of objects for which {@link #isNear} holds. */
  Word near() {
    return Objects.requireNonNull(near);
  }

  /** An object of another word than the near one was freed. Returns true. */
  boolean freedFar(Word word) {
    long base = word.base();
    if (base != farBase) {
      farBase = base;
    } else if (word.owner() == this) {
      near = word;
      nearBase = base;
      nrNear = word.nrObjects();
      nearInverse = word.slab.inverse;
      nearShift = word.slab.inverseShift;
    }
    return true;
  }

  /** A word is given up. */
  void forget(Word word) {
    if (near == word) {
      near = null;
      nrNear = 0;
    }
  }

  ObjStock stock() {
    return stock;
  }

  /** Who pays. Any thread. */
  ObjCgroup handle() {
    return stock.handle();
  }

  SlotSlabs home() {
    return home;
  }

  /**
   * Whether objects of this stock are charged: not those of the root or of an unaccounted
   * allocator.
   */
  boolean isCharged() {
    return charged;
  }

  /** How many objects of a cache may be charged in advance now. */
  long allowance(SlabGeometry geometry) {
    long allowed = room(geometry);
    if (allowed > 0) {
      return allowed;
    }
    // Words of other caches or allocators, idle perhaps, hold the budget: let one go now and then.
    if (++nrStarved < STARVED_BEFORE_GIVE_BACK) {
      return 0;
    }
    nrStarved = 0;
    if (!giveBackOne(get(geometry.cacheIndex()))) {
      stock.giveBackReady();
    }
    return room(geometry);
  }

  /** Leaves the active word of one other magazine, in turn; false if none holds anything. */
  private boolean giveBackOne(Magazine starved) {
    for (int i = 0; i < nrNoted; i++) {
      nextVictim = nextVictim + 1 < nrNoted ? nextVictim + 1 : 0;
      Magazine victim = Objects.requireNonNull(noted[nextVictim]);
      if (victim != starved && victim.parkedBytes() > 0) {
        noted[nextVictim] = noted[--nrNoted];
        victim.isNoted = false;
        stock.uncharge(home.retire(this, victim));
        return true;
      }
    }
    return false;
  }

  /** As {@link #allowance}, by what is parked already; presses nobody. */
  long room(SlabGeometry geometry) {
    long room = stock.readyRoomBytes();
    long objectBytes = geometry.chargeBytes();
    return room < objectBytes
        ? 0
        : room >= objectBytes << geometry.wordShift()
            ? geometry.objectsPerWord()
            : room / objectBytes;
  }

  void parked(long nrBytes) {
    stock.addReady(nrBytes);
  }

  /** A magazine is about to become active. */
  void noteActive(Magazine magazine) {
    if (!magazine.isNoted) {
      magazine.isNoted = true;
      if (nrNoted == noted.length) {
        noted = Arrays.copyOf(noted, Math.max(4, 2 * nrNoted));
      }
      noted[nrNoted++] = magazine;
    }
  }

  @Override
  public long giveBack() {
    long nrBytes = 0;
    while (nrNoted > 0) {
      Magazine magazine = Objects.requireNonNull(noted[--nrNoted]);
      magazine.isNoted = false;
      if (magazine.activeWord() != null) {
        nrBytes += home.retire(this, magazine);
      }
    }
    return charged ? nrBytes : 0;
  }
}
