package io.memcg4j.slab;

import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.LimitWalk;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.PerCpu;
import io.memcg4j.percpu.SlotWork;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The engine behind {@link Kmalloc} and {@link KmemCache}: the slow halves of the walks "allocate"
 * and "free", found by scope.
 *
 * <p>An operation runs on the slot of the thread's scope; if the thread has none, on a shared slot
 * that is claimed for the length of the operation.
 */
final class SlabAllocator {
  static final long NULL = 0;

  /** Zero the object. */
  static final int ZEROED = 1;

  /** Return {@link #NULL} instead of throwing when refused. */
  static final int MAY_FAIL = 2;

  /** A large object that has grown already: leave address space behind it to grow in place. */
  static final int GROWING = 4;

  /** Give up where a limit refuses, without seeking memory below it. */
  static final int NO_SEEK = 8;

  /** For a request that waits when it is refused: leave the out-of-memory policy alone. */
  static final int WAITING = 16;

  /** Charge nobody, whatever the scope. */
  static final int UNACCOUNTED = 32;

  private final ObjCgroups registry;
  private final Readers readers = new Readers();
  private final Mapper pages;
  private final SlabRange range;
  private final SlabCaches caches;
  private final DeferredFrees deferredFrees;
  private final PerCpu<SlotSlabs> slotSlabs;
  private final int cacheIndex;
  private final boolean accounted;
  private final LazyVmalloc areas;
  private final Purger purger;
  private final SlotWork shrink;
  private final SlotWork trim;
  private final SlotWork settle;
  private final ObjectTracking tracking = new ObjectTracking(this);
  private final AllocationProfile profile = new AllocationProfile(this);
  private final RemoteFree remoteFree;
  private final FaultInjection faults = new FaultInjection(this::settle, this::cacheName);
  private final SlabReports reports = new SlabReports();
  private final GuardedObjects guarded;
  private final SlabDebug debug = new SlabDebug(this);
  private final LargeObjects large;
  private final Magazines overflowMagazines;
  private final AtomicInteger nrAttached;
  private @Nullable ArenaSessions arenas;
  private volatile boolean closed;

  /** Since when a slab counts as empty that was not needed between two trims. */
  private volatile long trimNanos;

  SlabAllocator(MemCgroup root, Mapper mapper, long rangeBytes, boolean accounted) {
    this.registry = ObjCgroups.of(root);
    this.pages = new FaultyMapper(mapper, faults);
    this.range = new SlabRange(pages, rangeBytes, readers.srcu());
    this.caches = new SlabCaches(accounted, range.rangeBytes());
    this.deferredFrees = new DeferredFrees(this, readers.srcu());
    this.accounted = accounted;
    this.areas = new LazyVmalloc(this, pages, rangeBytes);
    this.cacheIndex = registry.newCacheIndex();
    this.guarded = new GuardedObjects(this, registry, accounted);
    this.purger = new Purger(this);
    this.large = new LargeObjects(this, accounted);
    this.slotSlabs =
        new PerCpu<>(registry.slots(), i -> new SlotSlabs(this, registry.slots().slot(i)));
    this.overflowMagazines =
        new Magazines(new SlotSlabs(this, registry.slots().overflow()), registry.noStock(), false);
    this.shrink =
        new SlotWork(registry.slots()) {
          @Override
          protected void run(CpuSlot slot) {
            shrinkSlot(slot);
          }
        };
    this.trim =
        new SlotWork(registry.slots()) {
          @Override
          protected void run(CpuSlot slot) {
            slotSlabs.get(slot).trim(trimNanos);
          }
        };
    this.settle =
        new SlotWork(registry.slots()) {
          @Override
          protected void run(CpuSlot slot) {
            registry.drain(slot, registry.rootHandle().group());
            slotSlabs.get(slot).giveBackRoot();
            slotSlabs.get(slot).collectRemoteFrees();
          }
        };
    this.remoteFree = new RemoteFree(registry, profile);
    this.nrAttached = new AtomicInteger(registry.slots().nrSlots());
  }

  SlabRange range() {
    return range;
  }

  RemoteFree remoteFree() {
    return remoteFree;
  }

  ObjCgroups registry() {
    return registry;
  }

  @Nullable Vmalloc areasIfMade() {
    return areas.ifMade();
  }

  Vmalloc vmalloc() {
    return areas.get();
  }

  /** What shared arenas wait for. Once, before the allocator is used. */
  void attach(ArenaSessions sessions) {
    arenas = sessions;
  }

  ArenaSessions arenas() {
    return Objects.requireNonNull(arenas, "not attached");
  }

  boolean isAccounted() {
    return accounted;
  }

  ObjectTracking tracking() {
    return tracking;
  }

  AllocationProfile profile() {
    return profile;
  }

  FaultInjection faults() {
    return faults;
  }

  /** Where all memory comes from, but for that of guarded objects. */
  Mapper pages() {
    return pages;
  }

  SlabReports reports() {
    return reports;
  }

  GuardedObjects guarded() {
    return guarded;
  }

  SlabDebug debug() {
    return debug;
  }

  /** Whether allocations have to take the general way, for somebody to look at them. */
  boolean isObserved() {
    return profile.isExact() || guarded.isDue() || debug.isOn() || faults.isOn();
  }

  /** Objects that their owners have not freed. Racy while others allocate. */
  long nrObjects() {
    return range.nrLiveObjects() + guarded.nrLive() - debug.nrHeldBack();
  }

  LargeObjects large() {
    return large;
  }

  /** Whether what lies in the free objects of a cache has to stay. */
  boolean keepsContents(SlabGeometry geometry) {
    SlabCache cache = caches.get(geometry.cacheIndex());
    return geometry.typesafe() || (cache != null && cache.constructor() != null);
  }

  String cacheName(int index) {
    return caches.nameOf(index);
  }

  /** The number under which stocks keep magazines of this allocator. */
  int cacheIndex() {
    return cacheIndex;
  }

  SlabCaches caches() {
    return caches;
  }

  Readers readers() {
    return readers;
  }

  DeferredFrees deferredFrees() {
    return deferredFrees;
  }

  /**
   * A slab is empty, or has objects that others freed: if its owner does not come, others have to.
   */
  void noteSomethingToPurge() {
    purger.wake();
  }

  SlotSlabs slabsOf(CpuSlot slot) {
    return slotSlabs.get(slot);
  }

  /** The magazines that a scope allocates from; empty ones for ever if it holds no slot. */
  Magazines magazinesOf(ScopeFrame scope) {
    if (!scope.holdsSlot()) {
      return overflowMagazines;
    }
    return slabsOf(scope.slot()).magazines(payer(scope.slot(), scope, 0));
  }

  /**
   * The magazines that the calling thread allocates from, for the fast path.
   *
   * @param forScope whether the scope pays, if this allocator accounts at all
   * @return null if the slow path has to be taken
   */
  @Nullable Magazines armedMagazines(boolean forScope) {
    ObjStock stock = registry.armedStock();
    if (stock == null) {
      return null;
    }
    return accounted && forScope
        ? (Magazines) stock.cache(cacheIndex)
        : slabsOf(stock.slot()).rootMagazines();
  }

  /** A slot of another tree has the index of one here: what hangs on that would have two owners. */
  void requireSameTree(ScopeFrame scope) {
    if (ObjCgroups.of(scope.current().group()) != registry) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "scope of another tree: scope=%s tree=%s",
              scope,
              registry.rootHandle().group()));
    }
  }

  /** Who pays on a slot that the caller owns. */
  ObjStock payer(CpuSlot slot, @Nullable ScopeFrame scope, int flags) {
    if (!accounted || scope == null || (flags & UNACCOUNTED) != 0) {
      return registry.stock(slot, registry.rootHandle());
    }
    return scope.holdsSlot() ? scope.stock() : registry.stock(slot, scope.current());
  }

  /** As {@link #payer}, without a slot. */
  private MemCgroup groupOf(@Nullable ScopeFrame scope, int flags) {
    if (scope == null || !accounted || (flags & UNACCOUNTED) != 0) {
      return registry.rootHandle().group();
    }
    scope.resync();
    return scope.current().group();
  }

  // ---- allocate

  /**
   * Allocates when the fast path has no answer. Too long to be inlined, as {@link
   * SlotSlabs#allocate}.
   *
   * @param scope the calling thread's innermost scope
   * @param geometry the cache; null for a large object
   * @param nrBytes what was asked for
   * @param alignChunks alignment of a large object
   * @param flags {@link #ZEROED}, {@link #MAY_FAIL}, {@link #GROWING}
   */
  long allocate(
      @Nullable ScopeFrame scope,
      @Nullable SlabGeometry geometry,
      long nrBytes,
      int alignChunks,
      int flags) {
    checkOpen();
    if (faults.isOn() && faults.failsObject(geometry, nrBytes, flags)) {
      return FaultInjection.refused(groupOf(scope, flags), nrBytes, flags);
    }
    if (geometry != null && guarded.isDue() && !geometry.typesafe() && (flags & UNACCOUNTED) == 0) {
      long address = guarded.allocate(geometry, nrBytes);
      if (address != NULL) {
        if ((flags & ZEROED) != 0) {
          zero(address, nrBytes);
        }
        return address;
      }
    }
    SlabGeometry from = geometry != null && debug.isOn() ? debug.geometryFor(geometry) : geometry;
    LimitWalk walk = null;
    while (true) {
      CpuSlot slot = null;
      if (scope != null) {
        scope.resync();
        slot = scope.holdsSlot() ? scope.slot() : null;
      }
      boolean borrowed = slot == null;
      if (slot == null) {
        slot = registry.slots().claimShared();
      }
      MemCgroup group;
      MemCgroup refusedBy;
      boolean faulted;
      long address;
      long overHighPages;
      try {
        SlotSlabs mine = slabsOf(slot);
        ObjStock stock = payer(slot, scope, flags);
        stock.pin();
        try {
          address = allocateOn(slot, mine, stock, from, nrBytes, alignChunks, flags);
          group = stock.handle().group();
          refusedBy = mine.refusedBy();
          faulted = address == NULL && mine.isFaulted();
          if (address == NULL && refusedBy == null && (flags & MAY_FAIL) == 0) {
            throw group.mappingRefused(nrBytes, range.mappedBytes(), range.rangeBytes());
          }
          overHighPages = group.takeOverHighPages(slot);
          // A refusal that is answered with NULL, where nobody could help, makes no garbage.
          if (address == NULL
              && refusedBy != null
              && !faulted
              && ((flags & MAY_FAIL) == 0 || LimitWalk.canReclaim(refusedBy))) {
            walk = walk != null ? walk : new LimitWalk(group, nrBytes, modeOf(flags));
            walk.noteDrain(slot);
          }
        } finally {
          stock.unpin();
        }
      } finally {
        if (borrowed) {
          slot.release();
        }
      }
      // From here on nothing is under way on a slot: shrinkers and policies may run, and sleep.
      if (address != NULL) {
        if (from != null && from.isDebug()) {
          debug.allocated(slabOf(address), address, nrBytes);
        }
        if (overHighPages != 0) {
          overHigh(scope, group, overHighPages);
        }
        if (geometry != null && (flags & ZEROED) != 0) {
          zero(address, nrBytes);
        }
        return address;
      }
      if (faulted) {
        return FaultInjection.refused(group, nrBytes, flags);
      }
      if (deferredFrees.flush() > 0) {
        continue;
      }
      if (refusedBy == null) {
        return NULL;
      }
      if (walk == null) {
        LimitWalk.refused(group, refusedBy, nrBytes);
        return NULL;
      }
      if (!walk.makeRoom(refusedBy)) {
        if ((flags & MAY_FAIL) != 0) {
          return NULL;
        }
        throw walk.refusal(refusedBy);
      }
    }
  }

  static void overHigh(@Nullable ScopeFrame scope, MemCgroup group, long nrPages) {
    if (scope != null) {
      scope.overHigh(group, nrPages);
    } else {
      group.handleOverHigh(nrPages, true);
    }
  }

  private static ChargeMode modeOf(int flags) {
    return (flags & (MAY_FAIL | WAITING)) != 0 ? ChargeMode.RETRY_MAYFAIL : ChargeMode.NORMAL;
  }

  private long allocateOn(
      CpuSlot slot,
      SlotSlabs mine,
      ObjStock stock,
      @Nullable SlabGeometry geometry,
      long nrBytes,
      int alignChunks,
      int flags) {
    long address = attempt(mine, stock, geometry, nrBytes, alignChunks, flags);
    if (address == NULL && mine.refusedBy() == null) {
      // What slots keep, and what waits for the purge, may be enough. Nothing is under way here.
      shrink(slot);
      address = attempt(mine, stock, geometry, nrBytes, alignChunks, flags);
    }
    return address;
  }

  private long attempt(
      SlotSlabs mine,
      ObjStock stock,
      @Nullable SlabGeometry geometry,
      long nrBytes,
      int alignChunks,
      int flags) {
    if (geometry == null) {
      return large.allocate(mine, stock, nrBytes, alignChunks, flags);
    }
    Magazines magazines = mine.magazines(stock);
    long address = mine.allocate(magazines, geometry, flags);
    if (address != NULL && faults.isOn()) {
      mine.leaveActive(magazines, geometry); // so that the next one comes here as well
    }
    return address;
  }

  static void zero(long address, long nrBytes) {
    Mmap.MEMORY.asSlice(address, nrBytes).fill((byte) 0);
  }

  // ---- free

  /**
   * Frees when the fast path has no answer; finds out whether it may.
   *
   * @param onlyCache number of the cache that the object must be of; -1 for any
   * @throws IllegalArgumentException if {@code address} is not an allocated object; nothing changes
   */
  void free(@Nullable ScopeFrame scope, long address, int onlyCache) {
    Slab slab = range.findSlow(address);
    if (slab == null && guarded.contains(address)) {
      guarded.free(address, onlyCache);
      return;
    }
    if (slab == null) {
      throw badFree("wild free", address, null);
    }
    requireObject(slab, address, onlyCache);
    if (slab.large) {
      large.free(scope, slab, address);
      return;
    }
    if (slab.geometry.isDebug() && !debug.freed(slab, address)) {
      return;
    }
    free(scope, slab, address);
  }

  /** Frees what debug mode has checked. */
  void freeChecked(Slab slab, long address) {
    free(registry.currentScope(), slab, address);
  }

  private void free(@Nullable ScopeFrame scope, Slab slab, long address) {
    int index = slab.indexOf(address);
    Word word = slab.wordOf(index);
    long bit = slab.bitOf(index);
    CpuSlot slot = enterNear(scope, slab);
    try {
      SlotSlabs home = slab.home;
      if (word.isFreed(bit) || home == null) {
        throw doubleFree(address, slab, word, bit);
      }
      if (home.slot() == slot) {
        home.free(word, bit);
      } else if (!remoteFree.free(slot, word, bit)) {
        throw badFree("double free", address, slab);
      }
    } finally {
      leave(slot, scope);
    }
  }

  void requireObject(Slab slab, long address, int onlyCache) {
    if (onlyCache >= 0 && cacheOf(slab) != onlyCache) {
      throw badFree("free to the wrong cache", address, slab);
    }
    if (slab.large ? address != slab.base : !slab.isObject(address)) {
      throw badFree("free of an interior address", address, slab);
    }
  }

  IllegalArgumentException doubleFree(long address, Slab slab, Word word, long bit) {
    boolean waits = (slab.deferredBits(word.index()) & bit) != 0;
    return badFree(waits ? "free after deferred free" : "double free", address, slab);
  }

  /** The cache that a slab's objects belong to, in debug mode or not. */
  int cacheOf(Slab slab) {
    return slab.geometry.isDebug() ? debug.normalOf(slab.geometry).cacheIndex() : slab.cacheIndex;
  }

  IllegalArgumentException badFree(String reason, long address, @Nullable Slab slab) {
    return BadFree.of(reason, address, range, slab);
  }

  static long objectSize(Slab slab) {
    return slab.large ? (long) slab.nrPages << MemCgroup.PAGE_SHIFT : slab.objectSize;
  }

  // ---- look

  /**
   * The slab of an allocated object.
   *
   * @throws IllegalArgumentException if {@code address} is not the start of an allocated object
   */
  Slab slabOf(long address) {
    Slab slab = range.findSlow(address);
    if (slab == null) {
      throw badFree("not an object", address, null);
    }
    if (slab.large ? address != slab.base : !slab.isObject(address)) {
      throw badFree("not the start of an object", address, slab);
    }
    int index = slab.large ? 0 : slab.indexOf(address);
    Word word = slab.wordOf(index);
    long bit = slab.bitOf(index);
    if (word.isFreed(bit)) {
      throw badFree("use after free", address, slab);
    }
    return slab;
  }

  /**
   * Bytes of an allocated object that may be used.
   *
   * @throws IllegalArgumentException if {@code address} is not the start of an allocated object
   */
  long usableSize(long address) {
    if (guarded.contains(address)) {
      return guarded.sizeOf(address);
    }
    Slab slab = slabOf(address);
    return slab.geometry.isDebug() ? debug.sizeOf(slab, address) : objectSize(slab);
  }

  /** Changes the size of an object where it stands; false if it has to move. */
  boolean resize(@Nullable ScopeFrame scope, long address, long nrBytes) {
    if (guarded.contains(address)) {
      return false; // so that whoever goes on with the old address is found out
    }
    Slab slab = slabOf(address);
    if (slab.geometry.isDebug()) {
      return debug.resize(slab, address, nrBytes);
    }
    return slab.large ? large.resize(scope, slab, nrBytes) : nrBytes <= slab.objectSize;
  }

  // ---- slots

  /** The slot to work on: the scope's, or a shared one for this operation. */
  CpuSlot enter(@Nullable ScopeFrame scope) {
    if (scope != null) {
      scope.resync();
      if (scope.holdsSlot()) {
        return scope.slot();
      }
    }
    return registry.slots().claimShared();
  }

  /** As {@link #enter}; without a slot of its own the thread takes the object's if that is idle. */
  private CpuSlot enterNear(@Nullable ScopeFrame scope, Slab slab) {
    if (scope != null) {
      scope.resync();
      if (scope.holdsSlot()) {
        return scope.slot();
      }
    }
    SlotSlabs home = slab.home;
    return home != null && registry.slots().tryClaim(home.slot())
        ? home.slot()
        : registry.slots().claimShared();
  }

  static void leave(CpuSlot slot, @Nullable ScopeFrame scope) {
    if (scope == null || slot != scope.slot()) {
      slot.release();
    }
  }

  // ---- whole allocator

  /** Collects, returns empty slabs and gives their memory to the OS. Returns bytes given back. */
  long shrink() {
    if (arenas != null) {
      arenas.retireAll();
    }
    deferredFrees.flush();
    ScopeFrame scope = registry.currentScope();
    if (scope == null || !scope.holdsSlot()) {
      return shrink(null);
    }
    scope.resync();
    return shrink(scope.slot());
  }

  /**
   * As {@link #shrink()}.
   *
   * @param own a slot that the caller owns and has no operation under way on
   */
  private long shrink(@Nullable CpuSlot own) {
    long before = range.mappedBytes();
    debug.flushQuarantine();
    registry.rootHandle().group().drain();
    registry.slots().submit(shrink, own);
    range.purge(0, true);
    return Math.max(0, before - range.mappedBytes()) + areas.shrink();
  }

  /**
   * Has every slot leave the words that it allocates from: idle ones now, busy ones at their next
   * operation.
   */
  void settle() {
    ScopeFrame scope = registry.currentScope();
    CpuSlot own = null;
    if (scope != null && scope.holdsSlot()) {
      scope.resync();
      own = scope.slot();
    }
    registry.slots().submit(settle, own);
  }

  boolean hasSomethingToPurge() {
    if (range.retainedBytes() != 0
        || !deferredFrees.isEmpty()
        || areas.hasSomethingToPurge()
        || (arenas != null && arenas.hasSomethingToRetire())) {
      return true;
    }
    for (int i = 0; i < registry.slots().nrSlots(); i++) {
      if (slotSlabs.get(i).hasSomethingToTrim()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Has every slot take back what others freed and let go of slabs that were empty since the last
   * call, and gives the memory back of what was retired before a time.
   */
  void purge(long retiredUntilNanos) {
    if (arenas != null) {
      arenas.purge(retiredUntilNanos);
    }
    deferredFrees.flush();
    trimNanos = retiredUntilNanos;
    registry.slots().submit(trim);
    range.purge(retiredUntilNanos, false);
    areas.purge();
  }

  long nrBadFrees() {
    long[] sum = {0};
    slotSlabs.forEach(s -> sum[0] += s.nrBadFrees());
    return sum[0];
  }

  /** What slots have counted of a cache. Racy. */
  SlabStat.Counts slowPathCounts(int cacheIndex) {
    SlabStat.Counts sum = new SlabStat.Counts(0, 0, 0, 0);
    for (int i = 0; i < registry.slots().nrSlots(); i++) {
      sum = slotSlabs.get(i).addCounts(cacheIndex, sum);
    }
    return sum;
  }

  private void shrinkSlot(CpuSlot slot) {
    SlotSlabs mine = slotSlabs.get(slot);
    mine.giveBackRoot();
    mine.shrink();
  }

  /** On every path that can take a word, so that a slot that was detached never has one again. */
  void checkOpen() {
    if (closed) {
      throw new IllegalStateException("allocator is closed");
    }
  }

  /**
   * Ends allocation and unmaps the range, if no object is allocated. Slots that are in use may have
   * objects ready, and their owners may be in the middle of an allocation: those let go of the
   * allocator themselves, at their next slow path or when they leave their scope, and the last one
   * unmaps.
   *
   * @return the number of objects that are still allocated, in which case nothing is closed
   * @throws IllegalStateException if areas are still allocated; nothing is closed
   */
  long close() {
    if (closed) {
      return 0;
    }
    areas.requireEmpty();
    readers.requireOutside("close of the allocator");
    deferredFrees.barrier();
    readers.srcu().synchronize(); // typesafe memory may be looked at without an object
    shrink();
    long nrLive = nrObjects() + deferredFrees.nrObjects();
    if (nrLive == 0) {
      closed = true;
      guarded.close();
      purger.close();
      areas.close();
      // In any order on a slot: with allocation closed neither makes work for the other.
      registry.rootHandle().group().drain();
      ScopeFrame scope = registry.currentScope();
      registry
          .slots()
          .submit(new Detach(), scope != null && scope.holdsSlot() ? scope.slot() : null);
    }
    return nrLive;
  }

  /** Runs once on every slot after the end of allocation. */
  private final class Detach extends SlotWork {
    Detach() {
      super(registry.slots());
    }

    @Override
    protected void run(CpuSlot slot) {
      shrinkSlot(slot);
      // An object that was allocated while the end was near: rather keep the range than pull the
      // memory from under it.
      if (nrAttached.decrementAndGet() == 0 && range.nrLiveObjects() == 0) {
        range.close();
      }
    }
  }
}
