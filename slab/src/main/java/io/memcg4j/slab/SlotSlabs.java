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
   * Layout     per cache: the slabs with empty words. Words with owners hang on the owners' magazines.
   *            Slabs without empty words hang on nothing but the range's array.
   * Invariant  slab.home == this for each of them; a slab is listed exactly while emptyWords != 0.
   *            hasEmptySlabs if any list has an empty slab.
   * Ordering   remoteHead: pushed by CAS by anyone, taken whole: by the owner, to collect, or by whoever
   *            sees a slab there that has moved to another slot, to queue each at its home. A slab is
   *            marked as not queued before its bits are looked at, so a later free queues it again.
   * Locks      none; calls the range, which has one. Charging comes before a word is chosen, because
   *            the limit-hit walk may give back words of this very slot.
   * Origin     per-CPU partial slabs of SLUB, with words in the place of sheaves.
   */
  private static final VarHandle REMOTE_HEAD =
      fieldVarHandle(lookup(), "remoteHead", VarHandle.class, SlotSlabs.class, Slab.class);

  private final SlabRange range;
  private final SlabAllocator allocator;
  private final CpuSlot slot;
  private final BirthEpoch births;
  private final AllocationProfile profile;
  private final FaultInjection faults;
  private final SlabAdoption adoption;
  private @Nullable SlabList[] byCache = {};
  private volatile @Nullable Slab remoteHead;
  private @Nullable Magazines rootMagazines;
  private @Nullable MemCgroup refusedBy;
  private boolean faulted;
  private long nrBadFrees;

  /** Written by the owner before it wakes the purge thread, which reads it before it ends. */
  private volatile boolean hasEmptySlabs;

  SlotSlabs(SlabAllocator allocator, CpuSlot slot) {
    this.range = allocator.range();
    this.allocator = allocator;
    this.slot = slot;
    this.births = allocator.tracking().births();
    this.profile = allocator.profile();
    this.faults = allocator.faults();
    this.adoption = new SlabAdoption(allocator, this);
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
    faulted = false;
  }

  /**
   * Whether a charge to the stock's group is to fail for no reason; then that is how the last
   * allocation of this slot failed.
   */
  boolean isFaulted(ObjStock stock, long nrBytes, int flags) {
    if (!faults.isOn() || !faults.failsCharge(nrBytes, flags)) {
      return false;
    }
    refusedBy = stock.handle().group();
    faulted = true;
    return true;
  }

  /** Whether the last allocation that failed would have been granted. */
  boolean isFaulted() {
    return faulted;
  }

  /** The group that refused the last allocation that failed; null if memory was not to be had. */
  @Nullable MemCgroup refusedBy() {
    return refusedBy;
  }

  // ---- allocate

  /**
   * Allocates one object, charging and finding a new word as needed; 0 if refused.
   *
   * <p>One method on purpose: HotSpot inlines no method of more than 325 bytes of code, and the
   * callers' fast paths must not grow by this one. With it inlined an allocation takes twice the
   * time.
   *
   * @param flags {@link SlabAllocator#NO_SEEK}
   */
  long allocate(Magazines magazines, SlabGeometry geometry, int flags) {
    Magazine magazine = magazines.getOrMake(geometry);
    long address = magazine.allocate();
    if (address != 0) {
      return address;
    }
    allocator.checkOpen();
    if ((flags & SlabAllocator.NO_SEEK) != 0 && allocator.isObserved()) {
      return 0; // the general way looks at every allocation
    }
    ObjStock stock = magazines.stock();
    boolean charged = magazines.isCharged();
    long objectBytes = geometry.chargeBytes();
    if (charged && magazine.hasUncharged()) {
      long nrWanted = Math.max(1, magazines.allowance(geometry));
      if (!ensure(stock, objectBytes, objectBytes * nrWanted, flags)) {
        return 0;
      }
      // Charging may have run work that retired the active word; asking for more may have, too.
      if (magazine.hasUncharged()) {
        return allocateUncharged(magazines, magazine, geometry);
      }
    }
    if (magazine.activeWord() != null) { // used up: what it may hold is for the next one
      long nrBytes = retire(magazines, magazine);
      assert nrBytes == 0 : "word left with objects that are charged: nrBytes=" + nrBytes;
    }
    long nrInAdvance = geometry.objectsPerWord();
    if (charged) {
      nrInAdvance = magazines.allowance(geometry);
      if (!ensure(stock, objectBytes, objectBytes * Math.max(1, nrInAdvance), flags)) {
        return 0;
      }
      if (stock.nrBytes() < objectBytes * nrInAdvance) {
        nrInAdvance = stock.nrBytes() / objectBytes;
      }
    }
    Word word = magazine.popPartial();
    if (word == null && list(geometry).isUsedUp()) {
      word = seek(magazines, magazine, geometry);
    }
    if (word != null && word.slab.discardedPages != 0) {
      repopulate(word.slab, word);
    }
    if (word == null) {
      word = takeEmptyWord(geometry);
      if (word == null) {
        if (charged) {
          stock.giveBackAll();
        }
        refused(null);
        return 0;
      }
      word.setOwner(magazines);
      stock.pin();
    }
    long inAdvance = lowest(word.free(), nrInAdvance);
    long nrBytes = 0;
    if (charged) {
      nrBytes = Long.bitCount(inAdvance) * objectBytes;
      stock.take(nrBytes);
      magazines.parked(nrBytes);
    }
    long taken = word.free();
    magazines.noteActive(magazine);
    magazine.activate(word, inAdvance, nrBytes);
    list(geometry).refilled();
    if (geometry.isDebug()) {
      word.setTracked();
    }
    if (births.isOn()) {
      births.activated(word, taken);
    }
    address = magazine.allocate();
    if (address == 0) {
      stock.take(objectBytes);
      address = magazine.allocateUncharged();
    }
    if (profile.isOn()) {
      sample(address, magazine, (long) Long.bitCount(taken) * geometry.objectSize());
    }
    return address;
  }

  /**
   * Before slabs come from the range: what others freed, which is cheaper to take back the more of
   * it there is, then what idle slots have left behind.
   *
   * @return a partial word of the magazine; null if it has none, though there may be empty ones now
   */
  private @Nullable Word seek(Magazines magazines, Magazine magazine, SlabGeometry geometry) {
    Word word = null;
    if (remoteHead != null) {
      collectRemoteFrees();
      word = magazine.popPartial();
    }
    if (word == null && list(geometry).isUsedUp() && adoption.adopt(magazines, geometry)) {
      word = magazine.popPartial();
    }
    return word;
  }

  /**
   * The stock has bytes for one object at least. A word that was taken when the group was allowed
   * less, or nothing, in advance gets what it is allowed now.
   */
  private long allocateUncharged(Magazines magazines, Magazine magazine, SlabGeometry geometry) {
    ObjStock stock = magazines.stock();
    long objectBytes = geometry.chargeBytes();
    long room = magazines.room(geometry);
    long bits =
        room == 0 ? 0 : lowest(magazine.uncharged(), Math.min(room, stock.nrBytes() / objectBytes));
    long address;
    if (bits == 0) {
      bits = 1;
      stock.take(objectBytes);
      address = magazine.allocateUncharged();
    } else {
      long nrBytes = Long.bitCount(bits) * objectBytes;
      stock.take(nrBytes);
      magazines.parked(nrBytes);
      magazine.charged(bits, nrBytes);
      address = magazine.allocate();
    }
    if (profile.isOn()) {
      sample(address, magazine, 0); // the word was counted when it became active
    }
    return address;
  }

  /**
   * Records the call site of an object now and then, or, in exact mode, always: then nothing stays
   * ready, so that the next allocation comes here as well.
   *
   * <p>An object is chosen by what went out before it and its own size. The rest of the word counts
   * for the next word of this magazine, so of the same tenant and size: counted ahead, whoever took
   * a word for one object would be chosen as if all of it went out.
   *
   * @param nrBytes what may be handed out from now on; what was not, comes back in {@link #retire}
   */
  private void sample(long address, Magazine magazine, long nrBytes) {
    Word word = Objects.requireNonNull(magazine.activeWord());
    Slab slab = word.slab;
    if (nrBytes > 0 && magazine.profileRun != profile.run()) {
      magazine.profileRun = profile.run();
      magazine.bytesToSample = profile.nextInterval();
    }
    boolean chosen = nrBytes > 0 && magazine.bytesToSample < slab.objectSize;
    if (chosen) {
      magazine.bytesToSample += profile.nextInterval();
    }
    if (chosen || profile.isExact()) {
      int site = profile.allocated(slab.objectSize);
      slab.trackOrMake().setSite(slab.indexOf(address), site, slab.nrObjects());
      word.setTracked();
    }
    magazine.bytesToSample -= nrBytes;
    if (profile.isExact()) {
      leaveActive(Objects.requireNonNull(word.owner()), magazine);
    }
  }

  /** Has nothing of a cache stay ready, so that the next allocation takes the general way. */
  void leaveActive(Magazines magazines, SlabGeometry geometry) {
    Magazine magazine = magazines.get(geometry.cacheIndex());
    if (magazine.activeWord() != null) {
      leaveActive(magazines, magazine);
    }
  }

  private void leaveActive(Magazines magazines, Magazine magazine) {
    long surplus = retire(magazines, magazine);
    if (magazines.isCharged()) {
      magazines.stock().uncharge(surplus);
    }
  }

  private boolean ensure(ObjStock stock, long needBytes, long wantBytes, int flags) {
    if ((flags & SlabAllocator.NO_SEEK) != 0) {
      return stock.tryEnsure(needBytes, wantBytes);
    }
    if (isFaulted(stock, needBytes, flags)) {
      return false;
    }
    refused(stock.ensure(needBytes, wantBytes));
    return refusedBy == null;
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

  private @Nullable Word takeEmptyWord(SlabGeometry geometry) {
    SlabList list = list(geometry);
    Slab slab = list.lastPartial();
    boolean partial = slab != null;
    if (slab == null) {
      slab = popEmpty(list);
      if (slab == null) {
        return null;
      }
    }
    Word word = slab.words[Long.numberOfTrailingZeros(slab.emptyWords)];
    slab.emptyWords &= slab.emptyWords - 1;
    slab.idleWords &= ~(1L << word.index());
    if (slab.discardedPages != 0) {
      repopulate(slab, word);
    }
    if (!partial && slab.emptyWords != 0) {
      list.addPartial(slab);
    } else if (partial && slab.emptyWords == 0) {
      list.removePartial(slab);
    }
    return word;
  }

  private void repopulate(Slab slab, Word word) {
    long pages = slab.pagesOf(word) & slab.discardedPages;
    if (pages != 0) {
      slab.discardedPages &= ~pages;
      range.repopulate(slab, Long.bitCount(pages));
    }
  }

  private @Nullable Slab popEmpty(SlabList list) {
    if (list.nrEmpty() == 0) {
      list.refill(range, this);
      noteEmptySlabs();
    }
    return list.popEmpty();
  }

  /** There are slabs, or words of some, that the purge thread may give back. */
  void noteEmptySlabs() {
    if (!hasEmptySlabs) {
      hasEmptySlabs = true;
    }
    allocator.noteSomethingToPurge();
  }

  SlabList list(SlabGeometry geometry) {
    int cacheIndex = geometry.cacheIndex();
    if (cacheIndex >= byCache.length) {
      byCache = Arrays.copyOf(byCache, Math.max(cacheIndex + 1, SizeClasses.COUNT));
    }
    SlabList list = byCache[cacheIndex];
    if (list == null) {
      list = new SlabList(geometry, allocator.keepsContents(geometry));
      byCache[cacheIndex] = list;
    }
    return list;
  }

  /** Any thread: whether the slot has slabs of a cache, empty ones included. */
  boolean hasSlabs(int cacheIndex) {
    @Nullable SlabList[] lists = byCache;
    SlabList list = cacheIndex < lists.length ? lists[cacheIndex] : null;
    return list != null && list.hasSlabs();
  }

  /** Any thread: the counts of a cache on this slot, with those of others. */
  SlabStat.Counts addCounts(int cacheIndex, SlabStat.Counts sum) {
    @Nullable SlabList[] lists = byCache;
    SlabList list = cacheIndex < lists.length ? lists[cacheIndex] : null;
    return list == null ? sum : list.addedTo(sum);
  }

  // ---- free

  /**
   * Frees an object that belongs to the given stock, or to another slot's for the same payer, if
   * nothing else has to be done.
   *
   * @param magazines of the stock that the calling thread's slot is armed for
   * @return false if the general way has to be taken, with nothing changed
   */
  static boolean freeFast(SlabRange range, long address, Magazines magazines) {
    return magazines.isNear(address)
        ? freeTo(magazines.near(), magazines.nearBit(address), magazines)
        : freeFar(range, address, magazines);
  }

  private static boolean freeFar(SlabRange range, long address, Magazines magazines) {
    Slab slab = range.find(address);
    if (slab == null) {
      return false;
    }
    long index = slab.indexIfObject(address);
    if (!slab.isIndex(index)) {
      return false;
    }
    Word word = slab.wordOf((int) index);
    long bit = slab.bitOf((int) index);
    return word.owner() == magazines
        ? freeTo(word, bit, magazines) && magazines.freedFar(word)
        : magazines.home().allocator.remoteFree().freeOwn(magazines, word, bit);
  }

  /** Of a word that is the stock's. */
  private static boolean freeTo(Word word, long bit, Magazines magazines) {
    assert word.owner() == magazines : "word of another stock: base=" + word.base();
    int side = word.side();
    return side == Word.ACTIVE
        ? freeToMagazine(word, bit, magazines)
        : side == Word.INACTIVE && freeToInactive(word, bit, magazines);
  }

  private static boolean freeToInactive(Word word, long bit, Magazines magazines) {
    long old = word.free();
    long now = old | bit;
    if (now == old || (word.remotePlain() & bit) != 0) {
      return false;
    }
    if (old == 0 || now == word.slab.wordMask) {
      magazines.home().free(word, bit); // full before, or empty now
      return true;
    }
    word.setFreePlain(now);
    if (magazines.isCharged()) {
      magazines.stock().uncharge(word.slab.chargeBytes);
    }
    return true;
  }

  private static boolean freeToMagazine(Word word, long bit, Magazines magazines) {
    Magazine magazine = Objects.requireNonNull(word.activeIn());
    if (((magazine.taken() | word.remotePlain()) & bit) != 0) {
      return false;
    }
    if (!magazine.putBack(bit) && magazines.isCharged()) {
      magazines.stock().uncharge(word.slab.chargeBytes);
    }
    return true;
  }

  /** Frees an allocated object of this slot; the caller has checked that it is one. */
  void free(Word word, long bit) {
    if (profile.freed(word, bit)) {
      untrack(word);
    }
    Magazines magazines = Objects.requireNonNull(word.owner(), "object without owner");
    Magazine magazine = magazines.get(word.slab.cacheIndex);
    boolean active = magazine.isActive(word);
    long old = word.free();
    if (active) {
      if (magazine.putBack(bit)) {
        return;
      }
    } else {
      word.setFree(old | bit);
    }
    if (magazines.isCharged()) {
      magazines.stock().uncharge(word.slab.chargeBytes);
    }
    if (!active) {
      settle(magazines, magazine, word, old == 0);
    }
  }

  /** Lets frees of a word be fast again if nothing is known of its objects any more. */
  private static void untrack(Word word) {
    Slab slab = word.slab;
    SlabTrack track = slab.track();
    int first = slab.indexOf(word, 1);
    if (!slab.geometry.isDebug()
        && (track == null || !track.hasSite(first, first + slab.objectsPerWord()))) {
      word.clearTracked();
    }
  }

  /**
   * A word that is not active has more free objects than before: list it if it had none, or let it
   * go if it has nothing else. The owner's stock may be gone afterwards.
   */
  private void settle(Magazines magazines, Magazine magazine, Word word, boolean wasFull) {
    long free = word.free();
    if (free == word.slab.wordMask) {
      if (!wasFull) {
        magazine.removePartial(word);
      }
      releaseWord(word);
      magazines.stock().unpin();
    } else if (wasFull && free != 0) {
      magazine.pushPartial(word);
    }
  }

  private void releaseWord(Word word) {
    Slab slab = word.slab;
    SlabList list = list(slab.geometry);
    Magazines owner = word.owner();
    if (owner != null) {
      owner.forget(word);
    }
    word.setOwner(null);
    boolean partial = slab.emptyWords != 0;
    slab.emptyWords |= 1L << word.index();
    if (slab.isEmpty()) {
      if (partial) {
        list.removePartial(slab);
      }
      list.pushEmpty(slab, range);
    } else if (!partial) {
      list.addPartial(slab);
    }
    noteEmptySlabs();
  }

  /**
   * Leaves the active word of a magazine.
   *
   * @return what its free objects were charged in advance
   */
  long retire(Magazines magazines, Magazine magazine) {
    Word word = Objects.requireNonNull(magazine.activeWord(), "magazine not active");
    long nrBytes = (long) Long.bitCount(magazine.available()) * word.slab.chargeBytes;
    magazines.parked(-magazine.parkedBytes());
    if (births.isOn()) {
      births.deactivating(word, magazine.returned());
    }
    if (profile.isOn() && magazine.profileRun == profile.run()) {
      // Never handed out: else a tenant that comes and goes has a whole word counted each time.
      magazine.bytesToSample +=
          (long) Long.bitCount(magazine.taken() & ~magazine.returned()) * word.slab.objectSize;
    }
    magazine.deactivate(word);
    // Like a full word whose objects are freed all at once: it is in no list yet.
    settle(magazines, magazine, word, true);
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
      if (slab.home != this) {
        passOnRemoteFrees(); // it has moved since the caller looked
      }
      allocator.noteSomethingToPurge();
    }
  }

  /** Any thread: queues each slab where it is at home now. */
  void passOnRemoteFrees() {
    Slab slab = remoteHead == null ? null : (Slab) REMOTE_HEAD.getAndSet(this, null);
    while (slab != null) {
      Slab next = slab.nextRemote;
      slab.nextRemote = null;
      slab.dequeued();
      SlotSlabs home = slab.home;
      if (home != null) {
        home.noteRemoteFree(slab);
      }
      slab = next;
    }
  }

  /** Any thread: whether {@link #trim} may find something. */
  boolean hasSomethingToTrim() {
    return remoteHead != null || hasEmptySlabs;
  }

  /** Takes back what others freed. Their owners got the charges back when it was freed. */
  void collectRemoteFrees() {
    Slab slab = (Slab) REMOTE_HEAD.getAndSet(this, null);
    while (slab != null) {
      Slab next = slab.nextRemote;
      slab.nextRemote = null;
      slab.dequeued();
      SlotSlabs home = slab.home;
      if (home == this) {
        collect(slab);
      } else if (home != null) {
        home.noteRemoteFree(slab);
      }
      slab = next;
    }
  }

  private void collect(Slab slab) {
    for (Word word : slab.words) {
      // In this order: a deferred object is marked as such before it is marked as freed.
      long bits = word.remote();
      bits &= ~slab.deferredBits(word.index());
      if (bits != 0) {
        collect(word, bits);
      }
    }
  }

  private void collect(Word word, long remoteBits) {
    long twice = remoteBits & word.allFree();
    Magazines magazines = word.owner();
    if (twice != 0) {
      nrBadFrees += Long.bitCount(twice);
      word.clearRemote(twice);
      if (magazines != null && magazines.isCharged()) {
        chargeAgain(magazines.stock(), (long) Long.bitCount(twice) * word.slab.chargeBytes);
      }
    }
    long bits = remoteBits & ~twice;
    if (bits == 0 || magazines == null) {
      return;
    }
    list(word.slab.geometry).collected(Long.bitCount(bits));
    if (word.isTracked()) {
      untrack(word);
    }
    Magazine magazine = magazines.get(word.slab.cacheIndex);
    if (magazine.isActive(word)) {
      magazine.addUncharged(bits);
      word.clearRemote(bits);
    } else {
      long old = word.free();
      word.collect(bits);
      settle(magazines, magazine, word, old == 0);
    }
  }

  /** Both frees of an object gave its charge back: once too often. */
  private static void chargeAgain(ObjStock stock, long nrBytes) {
    long nrPages = (nrBytes + MemCgroup.PAGE_SIZE - 1) >>> MemCgroup.PAGE_SHIFT;
    stock.handle().group().forceCharge(nrPages);
    // Past the stock: an allocation that is under way may have made sure of what is in it.
    stock.handle().unchargeNow((nrPages << MemCgroup.PAGE_SHIFT) - nrBytes);
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

  /** Collects, and lets go of slabs, and pages of others, that were empty since the last call. */
  void trim(long emptySinceNanos) {
    collectRemoteFrees();
    boolean more = false;
    for (SlabList list : byCache) {
      if (list != null) {
        list.trim(range, emptySinceNanos);
        more |= list.discardPages(range, false);
        more |= list.nrEmpty() != 0;
      }
    }
    hasEmptySlabs = more;
  }

  /** As {@link #shrink()} for one cache, whose active words were left before. */
  void shrink(int cacheIndex) {
    collectRemoteFrees();
    SlabList list = cacheIndex < byCache.length ? byCache[cacheIndex] : null;
    if (list != null) {
      shrink(list);
    }
  }

  /** Collects, and lets go of every slab, and every page of others, that has no object in it. */
  void shrink() {
    collectRemoteFrees();
    for (SlabList list : byCache) {
      if (list != null) {
        shrink(list);
      }
    }
    hasEmptySlabs = false;
  }

  private void shrink(SlabList list) {
    list.retireOldest(range, list.nrEmpty(), System.nanoTime());
    list.discardPages(range, true);
  }
}
