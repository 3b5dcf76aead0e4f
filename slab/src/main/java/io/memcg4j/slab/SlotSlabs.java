package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.percpu.CpuSlot;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The slabs of one slot: where the walks "allocate" and "free" go when the magazine has no answer.
 * Everything but {@link #noteRemoteFree} is called by the owner of the slot.
 */
final class SlotSlabs {
  /*
   * Layout     per cache: the slabs with empty words, as a stack. Words with owners hang on the
   *            owners' magazines. Slabs without empty words hang on nothing but the range's array.
   * Invariant  slab.home == this for each of them; a slab is listed exactly while emptyWords != 0;
   *            at most one slab of a cache is kept while all of its words are empty.
   * Ordering   remoteHead: pushed by CAS by anyone, taken whole by the owner. A slab is marked as not
   *            queued before its bits are looked at, so a later free queues it again.
   * Locks      none; calls the range, which has one. Charging comes before a word is chosen, because
   *            the limit-hit walk may give back words of this very slot.
   * Origin     per-CPU partial slabs of SLUB, with words in the place of sheaves.
   */
  private static final VarHandle REMOTE_HEAD =
      fieldVarHandle(lookup(), "remoteHead", VarHandle.class, SlotSlabs.class, Slab.class);

  private final SlabRange range;
  private final SlabAllocator allocator;
  private final CpuSlot slot;
  private Listed[] byCache = {};
  private volatile @Nullable Slab remoteHead;
  private @Nullable Magazines rootMagazines;
  private @Nullable MemCgroup refusedBy;
  private long nrBadFrees;

  /** Slabs of one cache that have empty words. */
  private static final class Listed {
    Slab[] slabs = new Slab[4];
    int nrSlabs;
    int nrEmpty;
  }

  SlotSlabs(SlabAllocator allocator, CpuSlot slot) {
    this.range = allocator.range();
    this.allocator = allocator;
    this.slot = slot;
  }

  CpuSlot slot() {
    return slot;
  }

  /** The magazines that a stock of this slot has in this allocator. */
  Magazines magazines(ObjStock stock) {
    if (stock.handle().id() == ObjCgroup.ROOT_ID) {
      Magazines mine = rootMagazines;
      if (mine == null) {
        mine = new Magazines(this, stock, false);
        rootMagazines = mine;
        stock.setCache(allocator.cacheIndex(), mine);
      }
      return mine;
    }
    assert allocator.isAccounted() : "unaccounted object with an owner: " + stock.handle();
    Magazines mine = (Magazines) stock.cache(allocator.cacheIndex());
    if (mine == null) {
      mine = new Magazines(this, stock, true);
      stock.setCache(allocator.cacheIndex(), mine);
    }
    return mine;
  }

  /** Those of the root's stock; null if nothing was allocated yet. */
  @Nullable Magazines rootMagazines() {
    return rootMagazines;
  }

  /** How the last allocation of this slot failed. */
  void refused(@Nullable MemCgroup by) {
    refusedBy = by;
  }

  /** The group that refused the last allocation that failed; null if memory was not to be had. */
  @Nullable MemCgroup refusedBy() {
    return refusedBy;
  }

  // ---- allocate

  /** Allocates one object, charging and finding a new word as needed; 0 if refused. */
  long allocate(Magazines magazines, SlabGeometry geometry) {
    Magazine magazine = magazines.getOrMake(geometry);
    long address = magazine.allocate();
    if (address != 0) {
      return address;
    }
    retireAndKeep(magazines, magazine);
    ObjStock stock = magazines.stock();
    long objectBytes = geometry.chargeBytes();
    long nrObjects = geometry.objectsPerWord();
    if (magazines.isCharged()) {
      nrObjects = Math.min(nrObjects, magazines.allowance(objectBytes));
      refusedBy = stock.ensure(objectBytes, objectBytes * nrObjects);
      if (refusedBy != null) {
        return 0;
      }
      nrObjects = Math.min(nrObjects, stock.nrBytes() / objectBytes);
    }
    if (!refill(magazines, magazine, geometry, nrObjects)) {
      if (magazines.isCharged()) {
        stock.giveBackAll();
      }
      refusedBy = null;
      return 0;
    }
    return magazine.allocate();
  }

  /** What the retired word had charged goes back to the stock. */
  private void retireAndKeep(Magazines magazines, Magazine magazine) {
    if (magazine.activeSlab() != null) {
      long nrBytes = retire(magazines, magazine);
      if (magazines.isCharged()) {
        magazines.stock().uncharge(nrBytes);
      }
    }
  }

  private boolean refill(
      Magazines magazines, Magazine magazine, SlabGeometry geometry, long maxObjects) {
    if (remoteHead != null) {
      collectRemoteFrees();
    }
    Slab slab;
    int word;
    if (magazine.hasPartial()) {
      int ref = magazine.topPartial();
      slab = range.slabOfWord(ref);
      word = ref & 63;
      magazine.removePartial(slab, word, range);
    } else {
      slab = slabWithEmptyWord(geometry);
      if (slab == null) {
        return false;
      }
      word = takeEmptyWord(slab);
      slab.setOwner(word, magazines.ownerId());
      magazines.stock().pin();
    }
    long bits = lowest(slab.freeBits(word), maxObjects);
    long nrBytes = 0;
    if (magazines.isCharged()) {
      nrBytes = (long) Long.bitCount(bits) * geometry.chargeBytes();
      magazines.stock().take(nrBytes);
      magazines.parked(nrBytes);
    }
    magazine.activate(slab, word, bits, nrBytes);
    return true;
  }

  private static long lowest(long bits, long count) {
    if (count >= Long.bitCount(bits)) {
      return bits;
    }
    long rest = bits;
    for (long i = 0; i < count; i++) {
      rest &= rest - 1;
    }
    return bits ^ rest;
  }

  private @Nullable Slab slabWithEmptyWord(SlabGeometry geometry) {
    Listed listed = listed(geometry.cacheIndex());
    if (listed.nrSlabs > 0) {
      return listed.slabs[listed.nrSlabs - 1];
    }
    Slab slab = range.allocateSlab(geometry);
    if (slab != null) {
      assert slab.isEmpty() : "slab in use: " + slab.base;
      slab.setHome(this);
      list(listed, slab);
      listed.nrEmpty++;
    }
    return slab;
  }

  private int takeEmptyWord(Slab slab) {
    Listed listed = listed(slab.cacheIndex);
    if (slab.isEmpty()) {
      listed.nrEmpty--;
    }
    int word = Long.numberOfTrailingZeros(slab.emptyWords);
    slab.emptyWords &= slab.emptyWords - 1;
    if (slab.emptyWords == 0) {
      unlist(listed, slab);
    }
    return word;
  }

  private Listed listed(int cacheIndex) {
    if (cacheIndex >= byCache.length) {
      int oldLength = byCache.length;
      byCache = Arrays.copyOf(byCache, Math.max(cacheIndex + 1, SizeClasses.COUNT));
      for (int i = oldLength; i < byCache.length; i++) {
        byCache[i] = new Listed();
      }
    }
    return byCache[cacheIndex];
  }

  private static void list(Listed listed, Slab slab) {
    if (listed.nrSlabs == listed.slabs.length) {
      listed.slabs = Arrays.copyOf(listed.slabs, 2 * listed.nrSlabs);
    }
    slab.listPosition = listed.nrSlabs;
    listed.slabs[listed.nrSlabs++] = slab;
  }

  private static void unlist(Listed listed, Slab slab) {
    Slab last = listed.slabs[--listed.nrSlabs];
    listed.slabs[slab.listPosition] = last;
    last.listPosition = slab.listPosition;
    slab.listPosition = Slab.NOT_LISTED;
  }

  // ---- free

  /**
   * Frees an object of this slot that belongs to the given stock, if nothing else has to be done.
   *
   * @return false if the general way has to be taken, with nothing changed
   */
  boolean freeFast(long address, Magazines magazines) {
    Slab slab = range.find(address);
    if (slab == null || !slab.isHome(this)) {
      return false;
    }
    long offset = address - slab.base;
    int index = slab.indexOf(offset);
    int word = index >>> slab.wordShift;
    int wordIndex = 2 * word;
    long[] words = slab.words;
    if ((long) index * slab.objectSize != offset || wordIndex >= words.length) {
      return false;
    }
    long bit = slab.bitOf(index);
    long old = words[wordIndex];
    long now = old | bit;
    if (slab.isPlainlyOwned(wordIndex, magazines.ownerId())) {
      // Full before, empty now, or free already: not for the fast path.
      if (old == 0
          || now == old
          || now == slab.wordMask
          || slab.isRemotelyFreedPlain(word, bit)) {
        return false;
      }
      words[wordIndex] = now;
      if (magazines.isCharged()) {
        magazines.stock().uncharge(slab.chargeBytes);
      }
      return true;
    }
    Magazine magazine = magazines.get(slab.cacheIndex);
    if (!magazine.isActive(slab, word)
        || !magazine.keeps(bit)
        || magazine.isAvailable(bit)
        || now == old
        || slab.isRemotelyFreedPlain(word, bit)) {
      return false;
    }
    magazine.putBack(bit);
    return true;
  }

  /** Frees an allocated object of this slot; the caller has checked that it is one. */
  void free(Slab slab, int word, long bit, ObjStock owner) {
    Magazines magazines = magazines(owner);
    Magazine magazine = magazines.get(slab.cacheIndex);
    boolean active = magazine.isActive(slab, word);
    if (active && magazine.keeps(bit)) {
      magazine.putBack(bit);
      return;
    }
    long old = slab.freeBits(word);
    slab.setFreeBits(word, old | bit);
    if (magazines.isCharged()) {
      owner.uncharge(slab.chargeBytes);
    }
    if (!active) {
      settle(magazines, magazine, slab, word, old == 0);
    }
  }

  /**
   * A word that is not active has more free objects than before: list it if it had none, or let it go
   * if it has nothing else. The owner's stock may be gone afterwards.
   */
  private void settle(
      Magazines magazines, Magazine magazine, Slab slab, int word, boolean wasFull) {
    long free = slab.freeBits(word);
    if (free == slab.wordMask) {
      if (!wasFull) {
        magazine.removePartial(slab, word, range);
      }
      releaseWord(slab, word);
      magazines.stock().unpin();
    } else if (wasFull && free != 0) {
      magazine.pushPartial(slab, word);
    }
  }

  private void releaseWord(Slab slab, int word) {
    Listed listed = listed(slab.cacheIndex);
    slab.setOwner(word, Slab.NO_OWNER);
    if (slab.emptyWords == 0) {
      list(listed, slab);
    }
    slab.emptyWords |= 1L << word;
    if (slab.isEmpty() && ++listed.nrEmpty > 1) {
      retireSlab(listed, slab);
    }
  }

  private void retireSlab(Listed listed, Slab slab) {
    listed.nrEmpty--;
    unlist(listed, slab);
    slab.setHome(null);
    range.retire(slab, allocator.retiredNanos());
  }

  /**
   * Leaves the active word of a magazine.
   *
   * @return what its free objects were charged in advance
   */
  long retire(Magazines magazines, Magazine magazine) {
    Slab slab = Objects.requireNonNull(magazine.activeSlab(), "magazine not active");
    int word = magazine.activeWord();
    long nrBytes = (long) Long.bitCount(magazine.available()) * slab.chargeBytes;
    magazines.parked(-magazine.parkedBytes());
    magazine.deactivate(slab);
    // Like a full word whose objects are freed all at once: it is in no list yet.
    settle(magazines, magazine, slab, word, true);
    return nrBytes;
  }

  // ---- frees by others

  /** Any thread: a slab of this slot has remotely freed objects. */
  void noteRemoteFree(Slab slab) {
    if (slab.enqueue()) {
      Slab head;
      do {
        head = remoteHead;
        slab.nextRemote = head;
      } while (!REMOTE_HEAD.compareAndSet(this, head, slab));
    }
  }

  boolean hasRemoteFrees() {
    return remoteHead != null;
  }

  /** Takes back what others freed. Their owners got the charges back when it was freed. */
  void collectRemoteFrees() {
    Slab slab = (Slab) REMOTE_HEAD.getAndSet(this, null);
    while (slab != null) {
      Slab next = slab.nextRemote;
      slab.nextRemote = null;
      slab.dequeued();
      SlotSlabs owner = slab.homeAcquire();
      if (owner == this) {
        collect(slab);
      } else if (owner != null) {
        owner.noteRemoteFree(slab);
      }
      slab = next;
    }
  }

  private void collect(Slab slab) {
    for (int word = 0; word < slab.nrWords(); word++) {
      long bits = slab.remoteBits(word);
      if (bits != 0) {
        collect(slab, word, bits);
      }
    }
  }

  private void collect(Slab slab, int word, long remoteBits) {
    int ownerId = slab.owner(word);
    long old = slab.freeBits(word);
    Magazines magazines = null;
    Magazine magazine = Magazine.NONE;
    if (ownerId != Slab.NO_OWNER) {
      magazines = magazines(allocator.stockOf(slot, ownerId));
      magazine = magazines.get(slab.cacheIndex);
    }
    boolean active = magazine.isActive(slab, word);
    long twice = remoteBits & (active ? old | magazine.available() : old);
    if (twice != 0) {
      nrBadFrees += Long.bitCount(twice);
      slab.clearRemote(word, twice);
    }
    long bits = remoteBits & ~twice;
    if (bits == 0 || magazines == null) {
      return;
    }
    slab.collect(word, bits);
    if (active) {
      magazine.forget(bits);
    } else {
      settle(magazines, magazine, slab, word, old == 0);
    }
  }

  /** Double frees that were only seen when the second one was collected. */
  long nrBadFrees() {
    return nrBadFrees;
  }

  /** Leaves the active words of the root's stock, which no drain touches as nothing is charged. */
  void giveBackRoot() {
    if (rootMagazines != null) {
      rootMagazines.giveBack();
    }
  }

  /** Collects, and lets every slab go that has no object in it. */
  void shrink() {
    collectRemoteFrees();
    for (Listed listed : byCache) {
      for (int i = listed.nrSlabs - 1; i >= 0; i--) {
        Slab slab = listed.slabs[i];
        if (slab.isEmpty()) {
          retireSlab(listed, slab);
        }
      }
    }
  }
}
