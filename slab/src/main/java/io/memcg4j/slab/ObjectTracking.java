package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a leak scanner needs to know of an allocator, for the floor above: which objects are
 * allocated, and which of them have been for some time.
 *
 * <p>Age is told by epochs. {@link #advance} begins one; {@link #snapshot} says of every allocated
 * object whether it certainly was allocated before the current epoch began. Nothing is recorded per
 * allocation: a slot notes which objects it may hand out when it turns to another word, once for up
 * to 64 of them. An object whose age is not certain counts as young; that is so for those that are
 * handed out while the slot's owner stays inside a scope without doing anything.
 *
 * <p>Thread-safe; {@code advance} and {@code snapshot} exclude each other.
 */
public final class ObjectTracking {
  /*
   * Locks      advancing. Below it only those of the range and of the slots' work.
   * Origin     "min age" of Linux mm/kmemleak.c, by epochs in the place of a time per object.
   */
  private static final long NANOS_PER_MILLI = 1_000_000;

  private final SlabAllocator allocator;
  private final ReentrantLock advancing = new ReentrantLock();
  private final BirthEpoch births = new BirthEpoch();
  private int lastEpoch;
  private volatile @Nullable PercpuMemory percpu;

  ObjectTracking(SlabAllocator allocator) {
    this.allocator = allocator;
  }

  /**
   * Begins a new epoch, and tracking with the first one. Objects that exist now are old from here
   * on. Cost: a look at every word, and what slots hold in advance is given back.
   *
   * @return number of the epoch, 1 and up
   */
  public int advance() {
    advancing.lock();
    try {
      // Before: active words of idle slots would have to be recorded one by one.
      allocator.settle();
      int next = ++lastEpoch;
      births.begin(next, allocator.range()::inUse);
      return next;
    } finally {
      advancing.unlock();
    }
  }

  /**
   * Ends tracking. What is known of objects is forgotten, and none is watched; {@link #advance}
   * starts anew.
   */
  public void stop() {
    advancing.lock();
    try {
      births.end();
      for (Slab slab : allocator.range().inUse()) {
        SlabTrack track = slab.track();
        if (track != null) {
          track.unwatch();
        }
      }
    } finally {
      advancing.unlock();
    }
  }

  /**
   * Whether epochs are counted.
   *
   * @return false before the first {@link #advance} and after {@link #stop}
   */
  public boolean isOn() {
    return births.current() != BirthEpoch.OFF;
  }

  /**
   * The current epoch.
   *
   * @return 0 if tracking is off
   */
  public int epoch() {
    return births.current();
  }

  BirthEpoch births() {
    return births;
  }

  /**
   * What is allocated now. Racy while others allocate and free: an object that was allocated or
   * freed during the call may be in it or not. Memory of the snapshot's addresses stays readable,
   * if not meaningful, while the allocator is {@linkplain #pin pinned}.
   *
   * @return a copy as flat arrays; about 20 bytes for each word of up to 64 objects
   */
  public ObjectSnapshot snapshot() {
    advancing.lock();
    try {
      allocator.settle();
      return ObjectSnapshot.of(allocator, births.current());
    } finally {
      advancing.unlock();
    }
  }

  /** Gets an object of the slabs. */
  public interface ObjectVisitor {
    /**
     * Is called at once for each object that is found.
     *
     * @param address of its first byte
     * @param nrBytes its size
     */
    void visit(long address, long nrBytes);
  }

  /**
   * Shows the objects of the slabs that may have been allocated since the epoch began, each while
   * it is looked up: microseconds later, not as long after as in a snapshot. Racy while others
   * allocate and free; an object's memory stays readable while the allocator is {@linkplain #pin
   * pinned}. Cost: a look at every word.
   *
   * @param visitor with no lock held
   */
  public void forEachYoung(ObjectVisitor visitor) {
    int epoch = births.current();
    for (Slab slab : allocator.range().inUse()) {
      if (slab.large) {
        if (slab.birthEpoch >= epoch && !slab.words[0].isFreed(1)) {
          visitor.visit(slab.base, (long) slab.nrPages << MemCgroup.PAGE_SHIFT);
        }
        continue;
      }
      for (Word word : slab.words) {
        long young = ObjectSnapshot.allocated(allocator, word);
        young &= young == 0 || epoch == 0 ? -1 : BirthEpoch.youngOf(word, epoch);
        for (; young != 0; young &= young - 1) {
          int index = slab.indexOf(word, young & -young);
          visitor.visit(slab.base + (long) index * slab.objectSize, slab.objectSize);
        }
      }
    }
  }

  /**
   * Has an allocated object of the slabs told from those that take its place, which the address
   * alone does not do. Begins tracking if it has not begun. The caller keeps the object from being
   * freed during the call.
   *
   * @param address an address in the object
   * @return whether {@link #isWatched} tells of it from now on; false if there is no object, or if
   *     it was freed and allocated again just before, by another thread that is inside a scope
   */
  public boolean watch(long address) {
    if (!isOn()) {
      advance();
    }
    Slab slab = allocator.range().findSlow(address);
    int index = slab == null ? -1 : indexIn(slab, address);
    if (slab == null || index < 0) {
      return false;
    }
    Word word = slab.wordOf(index);
    long bit = slab.bitOf(index);
    if ((BirthEpoch.backInMagazine(word) & bit) != 0) {
      allocator.settle(); // the word is left, unless another thread's scope has the slot
    }
    slab.trackOrMake().watch(word.index(), bit);
    return BirthEpoch.isWatched(word, bit);
  }

  /**
   * Whether the object that an address lies in is still the one for which {@link #watch} was
   * called. Racy while others free it.
   *
   * @param address an address in the object
   * @return false if it was freed since, allocated again or not
   */
  public boolean isWatched(long address) {
    Slab slab = allocator.range().findSlow(address);
    int index = slab == null ? -1 : indexIn(slab, address);
    return slab != null
        && index >= 0
        && BirthEpoch.isWatched(slab.wordOf(index), slab.bitOf(index));
  }

  /** The number of the object of a slab that an address lies in; -1 if in none. */
  private static int indexIn(Slab slab, long address) {
    if (slab.large) {
      long nrBytes = (long) slab.nrPages << MemCgroup.PAGE_SHIFT;
      return Long.compareUnsigned(address - slab.base, nrBytes) < 0 ? 0 : -1;
    }
    return Long.compareUnsigned(address - slab.base, slab.usableBytes) < 0
        ? slab.indexOf(address)
        : -1;
  }

  /**
   * Keeps the allocator's address space mapped, also if the allocator is closed meanwhile.
   *
   * @return false if it is closed already; else to be followed by {@link #unpin}
   */
  public boolean pin() {
    return allocator.range().pin();
  }

  /** Undoes one {@link #pin}. */
  public void unpin() {
    allocator.range().unpin();
  }

  /**
   * How long ago an object was allocated, where that is known: with its call site.
   *
   * @param address an address in the object
   * @return milliseconds, up to 49 days; -1 if not known
   */
  public long ageMillis(long address) {
    Slab slab = allocator.range().findSlow(address);
    SlabTrack track = slab == null ? null : slab.track();
    if (slab == null || track == null) {
      return -1;
    }
    int index = indexIn(slab, address);
    return index < 0 ? -1 : track.ageMillis(index);
  }

  /**
   * The call site that allocated an object, where it is known.
   *
   * @param address an address in the object
   * @return a handle of the allocator's stack depot; 0 if none is known
   */
  public int callSite(long address) {
    Slab slab = allocator.range().findSlow(address);
    SlabTrack track = slab == null ? null : slab.track();
    if (slab == null || track == null) {
      return 0;
    }
    int index = indexIn(slab, address);
    int site = index < 0 ? 0 : track.site(index);
    return index >= 0 && site == 0 && slab.geometry.isDebug()
        ? allocator.debug().callSite(slab, address)
        : site;
  }

  /**
   * The object that an address lies in, as far as slabs know it. Racy while others allocate and
   * free it.
   *
   * @param address any
   * @return the object; null if the address is in no allocated object of the slabs
   */
  public @Nullable LiveBlock find(long address) {
    Slab slab = allocator.range().findSlow(address);
    if (slab == null) {
      return null;
    }
    if (slab.large) {
      long nrBytes = (long) slab.nrPages << MemCgroup.PAGE_SHIFT;
      return slab.words[0].isFreed(1) || Long.compareUnsigned(address - slab.base, nrBytes) >= 0
          ? null
          : block(slab, slab.base, nrBytes, "large", slab.largeOwner);
    }
    if (Long.compareUnsigned(address - slab.base, slab.usableBytes) >= 0) {
      return null;
    }
    int index = slab.indexOf(address);
    Word word = slab.wordOf(index);
    Magazines magazines = word.ownerAcquire();
    return (word.allocated() & slab.bitOf(index)) == 0
        ? null
        : block(
            slab,
            slab.base + (long) index * slab.objectSize,
            slab.objectSize,
            allocator.cacheName(slab.cacheIndex),
            magazines == null ? null : magazines.handle());
  }

  private LiveBlock block(
      Slab slab, long start, long nrBytes, String cache, @Nullable ObjCgroup owner) {
    SlabEvent event =
        slab.geometry.isDebug() ? allocator.debug().allocated(slab, start) : SlabEvent.NONE;
    long timeNanos = event.timeNanos();
    if (timeNanos == 0) {
      long ageMillis = ageMillis(start);
      timeNanos = ageMillis < 0 ? 0 : System.nanoTime() - ageMillis * NANOS_PER_MILLI;
    }
    return new LiveBlock(
        start, nrBytes, 1, 0, cache, owner, callSite(start), "", timeNanos, event.thread(), null);
  }

  /**
   * Shows what is allocated outside the slabs: areas, guarded objects and per-CPU memory. Racy
   * while others allocate and free. A block's memory may be gone when it is shown.
   *
   * @param visitor is called for each block, with no lock held
   */
  public void forEachOutside(Consumer<LiveBlock> visitor) {
    Vmalloc areas = allocator.areasIfMade();
    if (areas != null) {
      areas.forEachLive(area ->
          visitor.accept(
              new LiveBlock(
                  area.start(),
                  area.chargedBytes(),
                  1,
                  0,
                  "vmalloc",
                  area.payer(),
                  StackDepot.NONE,
                  area.caller().equals("-") ? "" : area.caller(),
                  0,
                  "",
                  area)));
    }
    allocator.guarded().forEachLive(visitor);
    PercpuMemory memory = percpu;
    if (memory != null) {
      memory.forEachLive(visitor);
    }
  }

  /**
   * Whether a range of addresses has any of the allocator's in it: of what it has reserved for
   * slabs and areas, or of a guarded object or per-CPU memory that is live.
   *
   * @param address of its first byte
   * @param nrBytes its size, 1 or more
   * @return whether it has
   */
  public boolean overlaps(long address, long nrBytes) {
    Vmalloc areas = allocator.areasIfMade();
    SlabRange range = allocator.range();
    boolean[] found = {
      overlap(address, nrBytes, range.base(), range.rangeBytes())
          || (areas != null && areas.overlaps(address, nrBytes))
    };
    Consumer<LiveBlock> look =
        block -> {
          long copies = (block.nrCopies() - 1) * block.copyStride();
          found[0] |= overlap(address, nrBytes, block.address(), copies + block.nrBytes());
        };
    allocator.guarded().forEachLive(look);
    PercpuMemory memory = percpu;
    if (memory != null) {
      memory.forEachLive(look);
    }
    return found[0];
  }

  static boolean overlap(long address, long nrBytes, long other, long otherBytes) {
    return address - other < otherBytes && other - address < nrBytes;
  }

  /** By the maker of both, once. */
  void add(PercpuMemory memory) {
    percpu = memory;
  }
}
