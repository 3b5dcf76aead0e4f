package io.memcg4j.slab;

import java.util.concurrent.locks.ReentrantLock;

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
  private final SlabAllocator allocator;
  private final ReentrantLock advancing = new ReentrantLock();
  private final BirthEpoch births = new BirthEpoch();
  private int lastEpoch;

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

  /** Ends tracking. What is known of objects is forgotten; {@link #advance} starts anew. */
  public void stop() {
    advancing.lock();
    try {
      births.end();
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
    if (slab.large) {
      return track.ageMillis(0);
    }
    boolean inside = address >= slab.base && address - slab.base < slab.usableBytes;
    return inside ? track.ageMillis(slab.indexOf(address)) : -1;
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
    if (slab.large) {
      return track.site(0);
    }
    if (address < slab.base || address - slab.base >= slab.usableBytes) {
      return 0;
    }
    int site = track.site(slab.indexOf(address));
    return site == 0 && slab.geometry.isDebug() ? allocator.debug().callSite(slab, address) : site;
  }
}
