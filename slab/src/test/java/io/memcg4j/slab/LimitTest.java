package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a limit does to allocations. */
final class LimitTest {
  @Test
  void allocate_overMax_isRefusedWithAllFields() {
    try (Instance instance = Instance.create()) {
      MemCgroup parent = instance.root.create("p");
      MemCgroup group = parent.create("a");
      parent.setMax(1 << 20);
      long live;
      try (Scope _ = instance.enter(group)) {
        live = instance.kmalloc.allocate(1_000_000);
      }
      long usage = instance.drainedUsage(group);
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        MemoryLimitException e =
            assertThrows(MemoryLimitException.class, () -> bound.allocate(100_001));
        assertEquals("/p/a", e.group());
        assertEquals("/p", e.limitedBy());
        assertEquals(100_001, e.requestedBytes());
        assertEquals(usage, e.usageBytes());
        assertEquals(1 << 20, e.maxBytes());
        assertTrue(e.retryable());
        assertTrue(
            e.getMessage()
                .startsWith(
                    "memory.max exceeded: group=/p/a limitedBy=/p requestedBytes=100001 usageBytes="
                        + usage
                        + " maxBytes=1048576 reclaimRounds="),
            e::getMessage);
        MemoryLimitException never =
            assertThrows(
                MemoryLimitException.class, () -> instance.kmalloc.allocateZeroed(2 << 20));
        assertFalse(never.retryable());
        assertThrows(MemoryLimitException.class, () -> instance.kmalloc.reallocate(live, 2 << 20));
        assertThrows(
            MemoryLimitException.class, () -> instance.kmalloc.allocateAligned(100_000, 1 << 16));
        assertThrows(MemoryLimitException.class, () -> instance.kmalloc.allocateSegment(100_000));
        assertEquals(Kmalloc.NULL, instance.kmalloc.tryAllocate(100_000));
        assertEquals(Kmalloc.NULL, instance.kmalloc.tryAllocateZeroed(100_000));
        assertEquals(Kmalloc.NULL, instance.kmalloc.tryAllocateAligned(100_000, 4096));
        assertEquals(Kmalloc.NULL, instance.kmalloc.tryReallocate(live, 2 << 20));
        assertEquals(Kmalloc.NULL, bound.tryAllocate(100_000));
        assertEquals(Kmalloc.NULL, bound.tryReallocate(live, 2 << 20));
        assertEquals(1, instance.kmalloc.info().nrObjects());
      }
      assertEquals(usage, instance.drainedUsage(group));
      instance.kmalloc.free(live);
      instance.assertNothingLeft();
    }
  }

  /** One refusal is one event, whichever form and size it was. */
  @Test
  void allocate_overMax_countsOneEventEach() {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("a");
      group.setMax(64 << 10);
      List<Long> objects = new ArrayList<>();
      long nrRefused = 0;
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        for (int size : new int[] {100_000, 8192, 1024, 64, 8}) {
          for (long a = bound.tryAllocate(size); a != 0; a = bound.tryAllocate(size)) {
            objects.add(a);
          }
          nrRefused++;
          assertEquals(nrRefused, group.events().max(), "bound size=" + size);
          assertEquals(Kmalloc.NULL, instance.kmalloc.tryAllocate(size));
          nrRefused++;
          assertEquals(nrRefused, group.events().max(), "general size=" + size);
          int refused = size;
          assertThrows(MemoryLimitException.class, () -> bound.allocate(refused));
          nrRefused++;
          assertEquals(nrRefused, group.events().max(), "throwing size=" + size);
          assertEquals(Kmalloc.NULL, bound.tryAllocateZeroed(size));
          nrRefused++;
          assertEquals(nrRefused, group.events().max(), "zeroed size=" + size);
        }
        objects.forEach(bound::free);
      }
      assertEquals(nrRefused, instance.root.events().max());
      instance.assertNothingLeft();
    }
  }

  /** Every byte of the limit can be used: what others hold in advance is no reason to refuse. */
  @ParameterizedTest
  @ValueSource(ints = {8, 24, 64, 100, 512, 1000, 2048, 4000, 8192})
  void allocate_upToMax_onlyTheLimitRefuses(int size) {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("a");
      for (long nrPages : new long[] {3, 4, 16, 100, 1000}) {
        group.setMax(nrPages * Instance.PAGE);
        List<Long> objects = new ArrayList<>();
        Random random = new Random(size);
        boolean refused = false;
        while (!refused) {
          // From outside, by a slot that is then left idle, and by scopes.
          try (Scope _ = instance.enter(group)) {
            for (int i = random.nextInt(20); i >= 0 && !refused; i--) {
              long address = instance.kmalloc.tryAllocate(size);
              refused = address == Kmalloc.NULL;
              if (!refused) {
                objects.add(address);
              }
            }
          }
          if (!refused && random.nextInt(4) == 0 && !objects.isEmpty()) {
            instance.kmalloc.free(objects.removeLast());
          }
        }
        long fits = nrPages * Instance.PAGE / Instance.chargeOf(size);
        assertEquals(fits, objects.size(), "nrPages=" + nrPages);
        assertTrue(group.usage() <= group.max());
        objects.forEach(instance.kmalloc::free);
        assertEquals(0, instance.drainedUsage(group));
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_maxLowered_isRefusedUntilEnoughIsFreed() {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("a");
      ArrayDeque<Long> objects = new ArrayDeque<>();
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        for (int i = 0; i < 1000; i++) {
          objects.add(bound.allocate(4000));
        }
        group.setMax(1 << 20);
        assertEquals(Kmalloc.NULL, bound.tryAllocate(4000));
        int nrFreed = 0;
        long address;
        do {
          bound.free(objects.poll());
          nrFreed++;
          address = bound.tryAllocate(4000);
        } while (address == Kmalloc.NULL);
        objects.add(address);
        long fits = (1 << 20) / Instance.chargeOf(4000);
        assertTrue(1000 - nrFreed < fits, () -> "left=" + objects.size() + " fits=" + fits);
        assertTrue(1000 - nrFreed >= fits - 2, () -> "left=" + objects.size() + " fits=" + fits);
        objects.forEach(bound::free);
      }
      instance.assertNothingLeft();
    }
  }

  /** A thread samples usage the whole time; nothing is forced here, so it never passes max. */
  @Test
  void allocate_eightThreads_neverOverMaxAndNothingLeft() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(8, 4))) {
      MemCgroup parent = instance.root.create("p");
      List<MemCgroup> groups = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        groups.add(parent.create("g" + i));
        groups.get(i).setMax(1 << 20);
      }
      parent.setMax(3 << 20);
      AtomicBoolean stop = new AtomicBoolean();
      AtomicLong nrRefused = new AtomicLong();
      CyclicBarrier start = new CyclicBarrier(9);
      List<FutureTask<Void>> tasks = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        int seed = t;
        tasks.add(
            new FutureTask<>(() -> {
              start.await(60, TimeUnit.SECONDS);
              hammer(instance, groups.get(seed % 4), seed, nrRefused);
              return null;
            }));
      }
      FutureTask<Void> sampler =
          new FutureTask<>(() -> {
            start.await(60, TimeUnit.SECONDS);
            while (!stop.get()) {
              for (MemCgroup group : groups) {
                long usage = group.usage();
                assertTrue(usage <= 1 << 20, () -> group + " usage=" + usage);
              }
              long usage = parent.usage();
              assertTrue(usage <= 3 << 20, () -> parent + " usage=" + usage);
              Thread.onSpinWait();
            }
            return null;
          });
      tasks.forEach(task -> new Thread(task).start());
      new Thread(sampler).start();
      for (FutureTask<Void> task : tasks) {
        Instance.await(task);
      }
      stop.set(true);
      Instance.await(sampler);
      assertTrue(nrRefused.get() > 0, "the limits were never reached");
      assertTrue(parent.peak() <= 3 << 20);
      for (MemCgroup group : groups) {
        assertTrue(group.peak() <= 1 << 20);
        assertEquals(0, instance.drainedUsage(group), () -> group.toString());
      }
      instance.assertNothingLeft();
    }
  }

  /** A tenant that is refused at the parent again and again is no reason to refuse another one. */
  @Test
  void allocate_besideRefusedRequests_isNeverRefused() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(4, 2))) {
      Kmalloc kmalloc = instance.kmalloc;
      MemCgroup parent = instance.root.create("p");
      parent.setMax(8 << 20);
      MemCgroup noisy = parent.create("noisy");
      MemCgroup good = parent.create("good");
      AtomicBoolean stop = new AtomicBoolean();
      CountDownLatch started = new CountDownLatch(1);
      FutureTask<Long> noise =
          new FutureTask<>(() -> {
            long nrRefused = 0;
            try (Scope _ = instance.enter(noisy)) {
              long live = kmalloc.allocate(4 << 20);
              for (long size = 5L << 20;
                  !stop.get();
                  size = size == 5L << 20 ? 7L << 20 : 5L << 20) {
                assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(size));
                nrRefused++;
                started.countDown();
              }
              kmalloc.free(live);
            }
            return nrRefused;
          });
      new Thread(noise).start();
      assertTrue(started.await(60, TimeUnit.SECONDS));
      Random random = new Random(9);
      ArrayDeque<Long> objects = new ArrayDeque<>();
      long liveBytes = 0;
      try (Scope scope = instance.enter(good)) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 30_000; i++) {
          long size = 1L + random.nextInt(random.nextInt(10) == 0 ? 100_000 : 2000);
          while (liveBytes + Instance.chargeOf(size) > 3 << 19) {
            liveBytes -= Instance.chargeOf(kmalloc.usableSize(objects.peek()));
            bound.free(objects.poll());
          }
          objects.add(bound.allocate(size)); // throws if refused
          liveBytes += Instance.chargeOf(size);
        }
        objects.forEach(bound::free);
      }
      stop.set(true);
      long nrRefused = Instance.await(noise);
      assertEquals(nrRefused, parent.events().max());
      assertEquals(0, good.events().max());
      instance.assertNothingLeft();
    }
  }

  /** What a slot holds whose owner does nothing is the most that can be missing. */
  @Test
  void allocate_otherSlotsBusyAndSilent_isRefusedOnlyWithinTheBound() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(4, 1))) {
      Kmalloc kmalloc = instance.kmalloc;
      MemCgroup group = instance.root.create("a");
      group.setMax(4 << 20);
      CountDownLatch silent = new CountDownLatch(3);
      CountDownLatch leave = new CountDownLatch(1);
      List<FutureTask<Void>> owners = new ArrayList<>();
      for (int t = 0; t < 3; t++) {
        owners.add(
            new FutureTask<>(() -> {
              try (Scope _ = instance.enter(group)) {
                List<Long> objects = new ArrayList<>();
                for (int index = 0; index < SizeClasses.COUNT; index++) {
                  for (int i = 0; i < 10; i++) {
                    objects.add(kmalloc.allocate(SizeClasses.size(index)));
                  }
                }
                objects.forEach(kmalloc::free);
                silent.countDown();
                leave.await();
              }
              return null;
            }));
      }
      owners.forEach(task -> new Thread(task).start());
      assertTrue(silent.await(60, TimeUnit.SECONDS));
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.enter(group)) {
        for (long a = kmalloc.tryAllocate(1000); a != 0; a = kmalloc.tryAllocate(1000)) {
          objects.add(a);
        }
      }
      long bound =
          Math.max(group.max() / MemCgroup.MAX_STOCK_FRACTION, 5 * Instance.PAGE)
              + Instance.chargeOf(1000);
      long live = objects.size() * Instance.chargeOf(1000);
      assertTrue(live >= group.max() - bound, () -> "live=" + live + " bound=" + bound);
      leave.countDown();
      for (FutureTask<Void> owner : owners) {
        Instance.await(owner);
      }
      objects.forEach(kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  private static void hammer(Instance instance, MemCgroup group, int seed, AtomicLong nrRefused) {
    Random random = new Random(seed);
    ObjCgroup handle = ObjCgroup.of(group);
    for (int round = 0; round < 5; round++) {
      List<Long> objects = new ArrayList<>();
      try (Scope scope = handle.enter()) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        for (int i = 0; i < 1500; i++) {
          int size = 1 + random.nextInt(random.nextInt(20) == 0 ? 60_000 : 2000);
          long address = bound.tryAllocate(size);
          if (address == Kmalloc.NULL) {
            nrRefused.incrementAndGet();
            for (int k = objects.size() / 2; k > 0; k--) {
              bound.free(objects.removeLast());
            }
          } else {
            Instance.write(address, size - 1, i);
            objects.add(address);
          }
        }
        objects.forEach(bound::free);
      }
    }
  }
}
