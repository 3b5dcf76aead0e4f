package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Objects that are brought into their first state once in the life of their memory. */
final class ConstructorTest {
  private static final long MAGIC = 0x5eed_c0de_1234_5678L;

  private final Instance instance = Instance.create();
  private final AtomicLong nrRuns = new AtomicLong();

  private KmemCache cache(int size) {
    return KmemCache.builder(instance.kmalloc, "made")
        .size(size)
        .constructor(address -> {
          nrRuns.getAndIncrement();
          Instance.writeLong(address, 0, MAGIC);
          Instance.writeLong(address, 8, 0);
        })
        .build();
  }

  /** Each object that was ever handed out was constructed once; all else survives the free. */
  @Test
  void allocate_manyTimes_constructsEachObjectOnce() {
    KmemCache cache = cache(48);
    MemCgroup group = instance.root.create("a");
    Set<Long> seen = new HashSet<>();
    try (Scope _ = instance.enter(group)) {
      for (int round = 0; round < 5; round++) {
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
          long address = cache.allocate();
          assertEquals(MAGIC, Instance.readLong(address, 0));
          assertEquals(seen.add(address) ? 0 : 1, Instance.readLong(address, 8));
          Instance.writeLong(address, 8, 1);
          objects.add(address);
        }
        objects.forEach(cache::free);
      }
      assertEquals(seen.size(), nrRuns.get());
    }
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void allocate_afterPurge_constructsAgain() {
    KmemCache cache = cache(48);
    long first = cache.allocate();
    Instance.writeLong(first, 8, 7);
    cache.free(first);
    assertTrue(cache.shrink() > 0);
    long second = cache.allocate();
    assertEquals(first, second, "the same place, with other memory");
    assertEquals(0, Instance.readLong(second, 8));
    assertEquals(2, nrRuns.get());
    cache.free(second);
    cache.close();
    instance.close();
  }

  @Test
  void allocate_deferredFree_staysConstructed() {
    KmemCache cache = cache(4096);
    Set<Long> seen = new HashSet<>();
    for (int i = 0; i < 100; i++) {
      long address = cache.allocate();
      seen.add(address);
      assertEquals(MAGIC, Instance.readLong(address, 0));
      cache.freeDeferred(address);
      instance.allocator().deferredFrees().flush();
    }
    assertEquals(seen.size(), nrRuns.get());
    cache.close();
    instance.close();
  }

  @Test
  void allocate_constructorThrows_throwsItAndLosesNothing() {
    AtomicInteger nrTries = new AtomicInteger();
    IllegalMonitorStateException boom = new IllegalMonitorStateException("boom");
    KmemCache cache =
        KmemCache.builder(instance.kmalloc, "moody")
            .size(100)
            .segmentConstructor(segment -> {
              assertEquals(100, segment.byteSize());
              if (nrTries.getAndIncrement() % 2 == 0) {
                throw boom;
              }
              segment.fill((byte) 3);
            })
            .build();
    MemCgroup group = instance.root.create("a");
    List<Long> objects = new ArrayList<>();
    try (Scope _ = instance.enter(group)) {
      for (int i = 0; i < 200; i++) {
        assertSame(boom, assertThrows(IllegalMonitorStateException.class, cache::allocate));
        assertEquals(objects.size(), cache.info().nrObjects());
        objects.add(cache.allocate());
        assertEquals(3, Instance.read(objects.getLast(), 99));
      }
    }
    assertEquals(Instance.roundToPages(200L * cache.chargeBytes()), instance.drainedUsage(group));
    objects.forEach(cache::free);
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void allocate_constructorAllocatesFromItsOwnCache_isRefused() {
    AtomicReference<KmemCache> self = new AtomicReference<>();
    KmemCache cache =
        KmemCache.builder(instance.kmalloc, "narcissus")
            .size(32)
            .constructor(_ -> self.get().allocate())
            .build();
    self.set(cache);
    for (int i = 0; i < 3; i++) {
      IllegalStateException e = assertThrows(IllegalStateException.class, cache::allocate);
      assertEquals("constructor allocates from its own cache: cache=narcissus", e.getMessage());
    }
    assertThrows(IllegalStateException.class, () -> cache.tryAllocateBulk(new long[4], 0, 4));
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void allocate_constructorAllocatesElsewhere_works() {
    List<Long> parts = new ArrayList<>();
    KmemCache cache =
        KmemCache.builder(instance.kmalloc, "whole")
            .size(32)
            .constructor(address -> {
              parts.add(instance.kmalloc.allocate(32));
              parts.add(instance.kmalloc.allocate(20_000));
              Instance.writeLong(address, 0, parts.getLast());
            })
            .build();
    try (Scope _ = instance.handle("a").enter()) {
      long address = cache.allocate();
      assertEquals(parts.getLast(), Instance.readLong(address, 0));
      cache.free(address);
    }
    parts.forEach(instance.kmalloc::free);
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void allocateBulk_constructorThrows_nothingIsHeld() {
    AtomicInteger nrLeft = new AtomicInteger();
    KmemCache cache =
        KmemCache.builder(instance.kmalloc, "moody")
            .size(64)
            .constructor(_ -> {
              if (nrLeft.getAndDecrement() == 0) {
                throw new ArithmeticException("enough");
              }
            })
            .build();
    long[] objects = new long[100];
    for (int n = 0; n < 100; n += 7) {
      nrLeft.set(n);
      assertThrows(ArithmeticException.class, () -> cache.allocateBulk(objects, 0, 100));
      for (long address : objects) {
        assertEquals(0, address);
      }
      assertEquals(0, cache.info().nrObjects());
      cache.shrink();
    }
    nrLeft.set(1000);
    cache.allocateBulk(objects, 0, 100);
    cache.freeBulk(objects, 0, 100);
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void allocateZeroed_withConstructor_isRefused() {
    KmemCache cache = cache(64);
    assertThrows(IllegalStateException.class, cache::allocateZeroed);
    assertEquals(0, nrRuns.get());
    cache.close();
    instance.close();
  }

  /** Without a scope several threads allocate from the same magazines. */
  @Test
  void allocate_manyThreads_everyObjectIsConstructedBeforeItIsSeen() throws Exception {
    KmemCache cache = cache(48);
    AtomicInteger nrRaw = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      Thread.Builder kind = t < 2 ? Thread.ofPlatform() : Thread.ofVirtual();
      threads.add(
          kind.start(() -> {
            long[] mine = new long[64];
            for (int round = 0; round < 200; round++) {
              for (int i = 0; i < mine.length; i++) {
                mine[i] = cache.allocate();
                if (Instance.readLong(mine[i], 0) != MAGIC) {
                  nrRaw.getAndIncrement();
                }
              }
              for (long address : mine) {
                cache.free(address);
              }
            }
          }));
    }
    for (Thread thread : threads) {
      thread.join(60_000);
      assertFalse(thread.isAlive());
    }
    assertEquals(0, nrRaw.get());
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }
}
