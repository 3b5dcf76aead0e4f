package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.Srcu;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Objects that nobody can find any more, but that readers who found them earlier may still look at:
 * they are freed when those have left.
 */
final class DeferredFrees {
  /*
   * Layout     each stripe gathers addresses; a stripe that is full, holds many bytes or is asked for
   *            is sealed: the batch gets a cookie and joins the queue of all.
   * Invariant  an object in here has its bit in Slab.deferred and in Word.remote: to everybody else it
   *            is freed, to its word it is not, so it is neither handed out nor given back with its
   *            slab, and its charge stays.
   *            nrObjects and nrBytes count an object until it is free.
   * Ordering   begin: the deferred bit, then the remote bit. Collecting looks at the remote bits, then
   *            at the deferred ones. So it never takes an object back too early (DeferredFreeStress,
   *            twin: the remote bit first). end: clear the deferred bit, then queue the slab, so that
   *            it is collected afterwards.
   *            an address is in its stripe before the cookie is taken, so the cookie's grace period
   *            begins after the caller has made the object unreachable.
   * Locks      a stripe's lock, then lock; both for a few steps. Batches are freed with neither held.
   * Not        how much may wait: a reader that stays holds back all that is freed after it came.
   * guaranteed
   * Origin     kvfree_rcu of Linux mm/slab_common.c: batches, a bound, and a barrier.
   */
  static final int BATCH_SIZE = 512;
  static final long BATCH_BYTES = 1 << 18;

  private static final int NR_STRIPES = 8;

  private static final class Batch {
    final long[] addresses;
    final int count;
    final long cookie;

    Batch(long[] addresses, int count, long cookie) {
      this.addresses = addresses;
      this.count = count;
      this.cookie = cookie;
    }
  }

  private final class Stripe {
    private final ReentrantLock mutex = new ReentrantLock();
    private long[] addresses = {};
    private int count;
    private long stripeBytes;

    /** Whether the stripe was sealed by it. */
    boolean add(long address, long objectBytes) {
      mutex.lock();
      try {
        if (count == addresses.length) {
          addresses = Arrays.copyOf(addresses, Math.clamp(4L * count, 16, BATCH_SIZE));
        }
        addresses[count++] = address;
        stripeBytes += objectBytes;
        if (count < BATCH_SIZE && stripeBytes < BATCH_BYTES) {
          return false;
        }
        sealUnderMutex();
        return true;
      } finally {
        mutex.unlock();
      }
    }

    void seal() {
      mutex.lock();
      try {
        sealUnderMutex();
      } finally {
        mutex.unlock();
      }
    }

    private void sealUnderMutex() {
      if (count == 0) {
        return;
      }
      Batch batch = new Batch(addresses, count, readers.startPoll());
      addresses = new long[] {};
      count = 0;
      stripeBytes = 0;
      lock.lock();
      try {
        sealed.addLast(batch);
      } finally {
        lock.unlock();
      }
    }
  }

  private final SlabAllocator allocator;
  private final Srcu readers;
  private final Stripe[] stripes = new Stripe[NR_STRIPES];
  private final LongAdder nrObjects = new LongAdder();
  private final LongAdder nrBytes = new LongAdder();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition allFreed = lock.newCondition();
  private final Deque<Batch> sealed = new ArrayDeque<>();
  private int nrBeingFreed;

  DeferredFrees(SlabAllocator allocator, Srcu readers) {
    this.allocator = allocator;
    this.readers = readers;
    for (int i = 0; i < NR_STRIPES; i++) {
      stripes[i] = new Stripe();
    }
  }

  /**
   * Takes an object out of use now, and frees it when all readers that are here have left. With no
   * operation under way on a slot.
   *
   * @param onlyCache number of the cache that the object must be of; -1 for any
   * @throws IllegalArgumentException if {@code address} is not an allocated object; nothing changes
   */
  void add(long address, int onlyCache) {
    Slab slab = allocator.range().findSlow(address);
    if (slab == null && allocator.guarded().contains(address)) {
      addWatched(address, allocator.guarded().sizeOf(address));
      return;
    }
    if (slab == null) {
      throw allocator.badFree("wild free", address, null);
    }
    allocator.requireObject(slab, address, onlyCache);
    if (slab.geometry.isDebug()) {
      addWatched(address, allocator.debug().sizeOf(slab, address));
      return;
    }
    int index = slab.large ? 0 : slab.indexOf(address);
    Word word = slab.wordOf(index);
    long bit = slab.bitOf(index);
    if (word.isFreed(bit) || (!slab.large && word.ownerAcquire() == null)) {
      throw allocator.doubleFree(address, slab, word, bit);
    }
    if (!begin(slab, word, bit)) {
      throw allocator.doubleFree(address, slab, word, bit);
    }
    count(slab, 1);
    enqueue(address, chargeOf(slab));
  }

  /** A guarded object, or one in debug mode: its double free is found when it is freed. */
  private void addWatched(long address, long objectBytes) {
    nrObjects.increment();
    enqueue(address, objectBytes);
  }

  private void freeWatched(@Nullable ScopeFrame scope, long address) {
    nrObjects.decrement();
    try {
      allocator.free(scope, address, -1);
    } catch (IllegalArgumentException e) {
      allocator.noteSomethingToPurge(); // freed meanwhile, and reported by whoever guards it
    }
  }

  private void enqueue(long address, long objectBytes) {
    long hash = Thread.currentThread().threadId() * 0x9E3779B97F4A7C15L;
    if (stripes[(int) (hash >>> 32) & (NR_STRIPES - 1)].add(address, objectBytes)) {
      freeRipe();
    }
    allocator.noteSomethingToPurge();
  }

  private static long chargeOf(Slab slab) {
    return slab.large ? (long) slab.nrPages << MemCgroup.PAGE_SHIFT : slab.chargeBytes;
  }

  private void count(Slab slab, int change) {
    nrObjects.add(change);
    nrBytes.add(change * chargeOf(slab));
    SlabCache cache = allocator.caches().get(slab.cacheIndex);
    if (cache != null) {
      cache.nrDeferred().add(change);
    }
  }

  /** Marks an object; false, with nothing changed, if it is marked or freed already. */
  static boolean begin(Slab slab, Word word, long bit) {
    ObjectBits deferred = slab.makeDeferred();
    if (!deferred.set(word.index(), bit)) {
      return false;
    }
    if (!word.freeRemotely(bit)) {
      end(slab, word, bit); // somebody else has freed it, and may have been kept from collecting it
      return false;
    }
    return true;
  }

  /** From now on an ordinary free by another slot, which its home's owner collects. */
  static void end(Slab slab, Word word, long bit) {
    slab.makeDeferred().clear(word.index(), bit);
    SlotSlabs home = slab.home;
    if (home != null) {
      home.noteRemoteFree(slab);
    }
  }

  /** Frees objects whose readers have left; returns the bytes given back. */
  private long free(Batch batch) {
    ScopeFrame scope = allocator.registry().currentScope();
    long[] addresses = batch.addresses;
    long freedBytes = 0;
    CpuSlot slot = allocator.enter(scope);
    try {
      for (int i = 0; i < batch.count; i++) {
        Slab slab = allocator.range().find(addresses[i]);
        if (slab != null && !slab.large && !slab.geometry.isDebug()) {
          freedBytes += freeSmall(slot, slab, addresses[i]);
          addresses[i] = SlabAllocator.NULL; // what is there from now on may be anything
        }
      }
      allocator.slabsOf(slot).collectRemoteFrees();
    } finally {
      SlabAllocator.leave(slot, scope);
    }
    for (int i = 0; i < batch.count; i++) {
      Slab slab = addresses[i] == SlabAllocator.NULL ? null : allocator.range().find(addresses[i]);
      if (slab != null && slab.large) {
        freedBytes += freeLarge(scope, slab);
      } else if (addresses[i] != SlabAllocator.NULL) {
        freeWatched(scope, addresses[i]);
      }
    }
    return freedBytes;
  }

  /** The word, and with it the owner, stays until the deferral has ended. */
  private long freeSmall(CpuSlot slot, Slab slab, long address) {
    int index = slab.indexOf(address);
    Word word = slab.wordOf(index);
    Magazines magazines = word.ownerAcquire();
    if (magazines != null && magazines.isCharged()) {
      magazines.handle().uncharge(slot, slab.chargeBytes);
    }
    count(slab, -1);
    allocator.profile().freed(word, slab.bitOf(index));
    end(slab, word, slab.bitOf(index));
    return slab.chargeBytes;
  }

  private long freeLarge(@Nullable ScopeFrame scope, Slab slab) {
    long objectBytes = chargeOf(slab);
    count(slab, -1);
    slab.makeDeferred().clear(0, 1);
    return allocator.large().freeOnce(scope, slab) ? objectBytes : 0;
  }

  /** Objects that wait. Racy; exact at rest. */
  long nrObjects() {
    return nrObjects.sum();
  }

  /** What they are charged. Racy; exact at rest. */
  long nrBytes() {
    return nrBytes.sum();
  }

  boolean isEmpty() {
    return nrObjects.sum() == 0;
  }

  /**
   * Frees all whose readers have left; waits for nobody. With no operation under way on a slot.
   *
   * @return bytes that were given back
   */
  long flush() {
    if (isEmpty()) {
      return 0;
    }
    for (Stripe stripe : stripes) {
      stripe.seal();
    }
    return freeRipe();
  }

  private long freeRipe() {
    long freedBytes = 0;
    Batch batch = takeRipe();
    while (batch != null) {
      try {
        freedBytes += free(batch);
      } finally {
        freed();
      }
      batch = takeRipe();
    }
    return freedBytes;
  }

  private @Nullable Batch takeRipe() {
    lock.lock();
    try {
      Batch batch = sealed.peekFirst();
      if (batch == null || !readers.poll(batch.cookie)) {
        return null;
      }
      sealed.removeFirst();
      nrBeingFreed++;
      return batch;
    } finally {
      lock.unlock();
    }
  }

  private void freed() {
    lock.lock();
    try {
      if (--nrBeingFreed == 0) {
        allFreed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Waits until all that is in here now is free; the caller is in no read section. */
  void barrier() {
    if (isEmpty()) {
      return;
    }
    for (Stripe stripe : stripes) {
      stripe.seal();
    }
    readers.synchronize();
    freeRipe();
    lock.lock();
    try {
      // Whoever took a batch before us frees it now: it needs no lock that we hold.
      while (nrBeingFreed != 0) {
        allFreed.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }
}
