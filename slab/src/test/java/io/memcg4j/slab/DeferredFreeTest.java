package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Frees that wait until the readers have left. */
final class DeferredFreeTest {
  private static final long SEED = 0xdef3_44edL;

  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;

  private long nrWaiting() {
    return instance.allocator().deferredFrees().nrObjects();
  }

  private long flush() {
    return instance.allocator().deferredFrees().flush();
  }

  // ---- destroy

  /** S8 of the kernel's tests. */
  @Test
  void close_rightAfterDeferredFree_waitsForIt() {
    KmemCache cache = KmemCache.create(kmalloc, "s8", 64);
    cache.freeDeferred(cache.allocate());
    cache.close();
    assertEquals(0, nrWaiting());
    instance.assertNothingLeft();
    instance.close();
  }

  /** S9 of the kernel's tests: while readers come and go, ten times, with random delays. */
  @Test
  void close_rightAfterDeferredFreeAmongReaders_waitsForIt() throws Exception {
    AtomicBoolean done = new AtomicBoolean();
    Thread reader =
        Thread.ofPlatform()
            .start(() -> {
              Random random = new Random(SEED);
              while (!done.get()) {
                try (ReadSection _ = kmalloc.readSection()) {
                  LockSupport.parkNanos(random.nextInt(2_000_000));
                }
              }
            });
    Random random = new Random(SEED + 1);
    for (int i = 0; i < 10; i++) {
      KmemCache cache = KmemCache.create(kmalloc, "s9", 64);
      for (int n = random.nextInt(3000); n >= 0; n--) {
        cache.freeDeferred(cache.allocate());
      }
      LockSupport.parkNanos(random.nextInt(20_000_000));
      cache.close();
    }
    done.set(true);
    reader.join(60_000);
    assertFalse(reader.isAlive());
    assertEquals(0, nrWaiting(), () -> "seed=" + SEED);
    instance.assertNothingLeft();
    instance.close();
  }

  /** S10 of the kernel's tests: a leaked object beside a deferred one. */
  @Test
  void close_withLeakedObject_reportsItAndKeepsItsMemory() {
    KmemCache cache = KmemCache.create(kmalloc, "s10", 64);
    long leaked = cache.allocate();
    Instance.fill(leaked, 64, 0x5a);
    cache.freeDeferred(cache.allocate());
    IllegalStateException e = assertThrows(IllegalStateException.class, cache::close);
    assertEquals(
        "cache closed with live objects: cache=s10 nrObjects=1"
            + " [group=/ objectSize=64 nrObjects=1]",
        e.getMessage());
    long[] others = new long[5000];
    for (int i = 0; i < others.length; i++) {
      others[i] = kmalloc.allocateZeroed(64);
      assertNotEquals(leaked, others[i]);
    }
    assertEquals(0x5a, Instance.read(leaked, 63));
    for (long address : others) {
      kmalloc.free(address);
    }
    cache.free(leaked);
    cache.close();
    instance.close();
  }

  @Test
  void close_insideAReadSection_isRefused() throws Exception {
    KmemCache cache = KmemCache.create(kmalloc, "c", 64);
    ReadSection section = kmalloc.readSection();
    cache.freeDeferred(cache.allocate());
    IllegalStateException e = assertThrows(IllegalStateException.class, cache::close);
    assertTrue(
        e.getMessage().startsWith("close of cache c inside a read section: "), e::getMessage);
    assertThrows(IllegalStateException.class, kmalloc::close);
    long address = cache.allocate();
    cache.free(address);
    Instance.elsewhere(() -> {
      section.close();
      section.close();
      return 0;
    });
    cache.close();
    instance.close();
    assertThrows(IllegalStateException.class, kmalloc::readSection);
  }

  @Test
  void close_readerStays_waitsForTheReader() throws Exception {
    KmemCache cache = KmemCache.create(kmalloc, "c", 64);
    cache.freeDeferred(cache.allocate());
    long other;
    try (ReadSection _ = kmalloc.readSection()) {
      other = cache.allocate();
      cache.freeDeferred(other);
      CountDownLatch closed = new CountDownLatch(1);
      Thread closer =
          Thread.ofVirtual()
              .start(() -> {
                cache.close();
                closed.countDown();
              });
      assertFalse(closed.await(50, TimeUnit.MILLISECONDS), "did not wait");
      assertEquals(Thread.State.WAITING, closer.getState());
      kmalloc.readers().readUnlock(kmalloc.readers().readLock());
      assertEquals(1, closed.getCount());
    }
    while (nrWaiting() != 0) {
      LockSupport.parkNanos(100_000);
    }
    while (true) {
      try {
        KmemCache.create(kmalloc, "c", 8).close(); // the name is free when the close is done
        break;
      } catch (IllegalArgumentException e) {
        LockSupport.parkNanos(100_000);
      }
    }
    instance.close();
  }

  // ---- what an object is meanwhile

  @Test
  void freeDeferred_whileReaderStays_contentAndChargeStay() {
    MemCgroup group = instance.root.create("a");
    KmemCache cache = KmemCache.create(kmalloc, "c", 1000);
    List<Long> objects = new ArrayList<>();
    try (Scope _ = instance.enter(group)) {
      for (int i = 0; i < 100; i++) {
        objects.add(cache.allocate());
        Instance.fill(objects.getLast(), 1000, i);
      }
      long charged = 100L * cache.chargeBytes();
      try (ReadSection _ = kmalloc.readSection()) {
        objects.forEach(cache::freeDeferred);
        assertEquals(0, flush());
        cache.shrink();
        Set<Long> fresh = new HashSet<>();
        for (int i = 0; i < 500; i++) {
          fresh.add(cache.allocateZeroed());
        }
        for (int i = 0; i < 100; i++) {
          assertFalse(fresh.contains(objects.get(i)), "reused under a reader");
          assertEquals((byte) i, Instance.read(objects.get(i), 999));
        }
        fresh.forEach(cache::free);
        assertEquals(100, cache.info().nrDeferred());
        assertEquals(0, cache.info().nrObjects());
        assertEquals(100, nrWaiting());
        assertEquals(charged, instance.allocator().deferredFrees().nrBytes());
        long usage = instance.drainedUsage(group);
        assertTrue(usage >= charged, () -> "usage=" + usage + " charged=" + charged);
      }
      assertEquals(charged, flush());
      assertEquals(0, cache.info().nrDeferred());
      assertEquals(0, instance.allocator().deferredFrees().nrBytes());
    }
    assertEquals(0, instance.drainedUsage(group));
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void freeDeferred_badAddress_throwsAndChangesNothing() {
    KmemCache cache = KmemCache.create(kmalloc, "c", 64);
    KmemCache twin = KmemCache.create(kmalloc, "d", 64);
    long mine = cache.allocate();
    long freed = cache.allocate();
    long waiting = cache.allocate();
    long others = twin.allocate();
    cache.free(freed);
    cache.freeDeferred(Kmalloc.NULL);
    kmalloc.freeDeferred(Kmalloc.ZERO_SIZE);
    try (ReadSection _ = kmalloc.readSection()) {
      cache.freeDeferred(waiting);
      assertBad("free to the wrong cache", () -> cache.freeDeferred(others));
      assertBad("free of an interior address", () -> cache.freeDeferred(mine + 8));
      assertBad("wild free", () -> cache.freeDeferred(1));
      assertBad("double free", () -> cache.freeDeferred(freed));
      assertBad("free after deferred free", () -> cache.freeDeferred(waiting));
      assertBad("free after deferred free", () -> kmalloc.freeDeferred(waiting));
      assertBad("free after deferred free", () -> cache.free(waiting));
      assertBad("free after deferred free", () -> kmalloc.free(waiting));
      assertBad("use after free", () -> kmalloc.usableSize(waiting));
      assertBad("use after free", () -> kmalloc.reallocate(waiting, 4096));
      assertEquals(1, nrWaiting());
    }
    flush();
    assertBad("double free", () -> cache.freeDeferred(waiting));
    cache.free(mine);
    twin.free(others);
    cache.close();
    twin.close();
    instance.assertNothingLeft();
    instance.close();
  }

  private static void assertBad(String reason, Runnable free) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, free::run);
    assertTrue(e.getMessage().startsWith(reason + ": address=0x"), e::getMessage);
  }

  /** In a scope whose slot is the object's home: the fast path must see it too. */
  @Test
  void free_ofDeferredObjectOnItsOwnSlot_isRefused() {
    try (Scope scope = instance.handle("a").enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      for (int nrBefore : new int[] {0, 1, 63, 64, 200}) {
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i <= nrBefore; i++) {
          objects.add(bound.allocate(64));
        }
        long waiting = objects.removeLast();
        try (ReadSection _ = kmalloc.readSection()) {
          kmalloc.freeDeferred(waiting);
          assertBad("free after deferred free", () -> bound.free(waiting));
          objects.forEach(bound::free);
          assertBad("free after deferred free", () -> kmalloc.free(waiting));
        }
        flush();
      }
    }
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void freeDeferred_largeObject_waitsToo() {
    MemCgroup group = instance.root.create("a");
    try (Scope _ = instance.enter(group)) {
      for (int round = 0; round < 3; round++) {
        long large = kmalloc.allocate(100_000);
        Instance.fill(large, 100_000, 9);
        try (ReadSection _ = kmalloc.readSection()) {
          kmalloc.freeDeferred(large);
          assertBad("free after deferred free", () -> kmalloc.free(large));
          assertBad("free after deferred free", () -> kmalloc.freeDeferred(large));
          flush();
          kmalloc.shrink();
          long other = kmalloc.allocateZeroed(100_000);
          assertNotEquals(large, other);
          kmalloc.free(other);
          assertEquals(9, Instance.read(large, 99_999));
          assertTrue(instance.drainedUsage(group) >= Instance.roundToPages(100_000));
        }
        assertEquals(Instance.roundToPages(100_000), flush());
      }
    }
    assertEquals(0, instance.drainedUsage(group));
    instance.assertNothingLeft();
    instance.close();
  }

  // ---- when they are freed

  @Test
  void freeDeferred_nobodyReads_memoryComesBackByItself() throws Exception {
    long address = kmalloc.allocate(64);
    kmalloc.freeDeferred(address);
    for (int i = 0; i < 600 && nrWaiting() != 0; i++) {
      Thread.sleep(100);
    }
    assertEquals(0, nrWaiting(), "the purge thread did not free it");
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void freeDeferred_manyOrManyBytes_isFreedInBatches() {
    for (int size : new int[] {64, 8192}) {
      long bound =
          Math.min(
              DeferredFrees.BATCH_SIZE, DeferredFrees.BATCH_BYTES / Instance.chargeOf(size) + 1);
      for (int i = 0; i < 2000; i++) {
        kmalloc.freeDeferred(kmalloc.allocate(size));
        assertTrue(nrWaiting() <= bound, () -> "size=" + size + " nrWaiting=" + nrWaiting());
      }
      flush();
    }
    kmalloc.shrink();
    assertEquals(0, nrWaiting());
    instance.assertNothingLeft();
    instance.close();
  }

  /** Memory that only waits for its batch must not make an allocation fail. */
  @Test
  void tryAllocate_limitReachedByWaitingObjects_freesThemFirst() {
    MemCgroup group = instance.root.create("a");
    group.setMax(64 << 10);
    try (Scope _ = instance.enter(group)) {
      long held = 0;
      for (int i = 0; i < 500; i++) {
        long address = kmalloc.tryAllocate(4000);
        assertNotEquals(Kmalloc.NULL, address, "refused for objects that nobody reads");
        if (held != 0) {
          kmalloc.freeDeferred(held);
        }
        held = address;
      }
      try (ReadSection _ = kmalloc.readSection()) {
        int nrGranted = 0;
        for (long a = kmalloc.tryAllocate(4000); a != 0; a = kmalloc.tryAllocate(4000)) {
          kmalloc.freeDeferred(a);
          nrGranted++;
        }
        assertTrue(nrGranted <= 16, "charged less than what is held");
      }
      kmalloc.free(kmalloc.allocate(4000));
      kmalloc.free(held);
    }
    instance.allocator().deferredFrees().barrier();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void freeDeferred_groupRemovedMeanwhile_chargeGoesToWhoeverOwnsItNow() {
    MemCgroup group = instance.root.create("a");
    MemCgroup child = group.create("b");
    List<Long> objects = new ArrayList<>();
    try (Scope _ = instance.enter(child)) {
      for (int i = 0; i < 300; i++) {
        objects.add(kmalloc.allocate(100));
      }
    }
    try (ReadSection _ = kmalloc.readSection()) {
      objects.forEach(kmalloc::freeDeferred);
      child.remove();
      assertEquals(
          Instance.roundToPages(300 * Instance.chargeOf(100)), instance.drainedUsage(group));
    }
    flush();
    assertEquals(0, instance.drainedUsage(group));
    instance.assertNothingLeft();
    instance.close();
  }

  // ---- model

  /**
   * Readers look at what a table says is there; writers replace it and defer the free. Every object
   * carries its own address: a reader that sees another value looks at memory that was reused.
   */
  @Test
  void readersAndWriters_random_noReaderSeesReusedMemory() throws Exception {
    KmemCache cache = KmemCache.create(kmalloc, "table", 64);
    MemCgroup group = instance.root.create("a");
    AtomicLongArray table = new AtomicLongArray(64);
    AtomicInteger nrReused = new AtomicInteger();
    AtomicInteger nrWriters = new AtomicInteger(2);
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 2; t++) {
      Random random = new Random(SEED + t);
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                while (nrWriters.get() > 0) {
                  try (ReadSection _ = kmalloc.readSection()) {
                    for (int i = 0; i < 32; i++) {
                      long address = table.get(random.nextInt(64));
                      if (address != 0 && Instance.readLong(address, 0) != ~address) {
                        nrReused.getAndIncrement();
                      }
                    }
                  }
                }
              }));
    }
    for (int t = 0; t < 2; t++) {
      Random random = new Random(SEED + 10 + t);
      boolean inScope = t == 0;
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                Scope scope = inScope ? instance.enter(group) : null;
                for (int i = 0; i < 40_000; i++) {
                  long address = cache.allocate();
                  Instance.writeLong(address, 0, ~address);
                  long old = table.getAndSet(random.nextInt(64), address);
                  if (old != 0) {
                    cache.freeDeferred(old);
                  }
                  long scratch = cache.allocate();
                  Instance.writeLong(scratch, 0, 0);
                  cache.free(scratch);
                }
                if (scope != null) {
                  scope.close();
                }
                nrWriters.getAndDecrement();
              }));
    }
    for (Thread thread : threads) {
      thread.join(60_000);
      assertFalse(thread.isAlive(), () -> "hangs: seed=" + SEED);
    }
    assertEquals(0, nrReused.get(), () -> "seed=" + SEED);
    for (int i = 0; i < 64; i++) {
      cache.freeDeferred(table.get(i));
    }
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }
}
