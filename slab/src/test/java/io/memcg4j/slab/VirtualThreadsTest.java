package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** A hundred thousand threads inside scopes at the same time. */
final class VirtualThreadsTest {
  private static final int NR_THREADS = 100_000;
  private static final int NR_TENANTS = 10;
  private static final int SIZE = 100;

  /** Memory: the objects, and what a fixed number of slots holds for a fixed number of tenants. */
  private static long boundBytes(CpuSlots slots) {
    SlabGeometry geometry = SlabGeometry.of(0, SizeClasses.size(SizeClasses.index(SIZE)));
    long wordBytes = (long) geometry.objectsPerWord() * geometry.objectSize();
    long objects = (long) NR_THREADS * geometry.objectSize() * 32_768 / geometry.usableBytes();
    long perSlot = NR_TENANTS * wordBytes + 2 * 32_768;
    return objects + slots.nrSlots() * perSlot;
  }

  @Test
  void allocate_allParkedInsideScopes_memoryIsBounded() throws Exception {
    CpuSlots slots = CpuSlots.create(16, 4);
    try (Instance instance = Instance.of(slots)) {
      CountDownLatch inside = new CountDownLatch(NR_THREADS);
      CountDownLatch leave = new CountDownLatch(1);
      run(
          instance,
          address -> {
            inside.countDown();
            leave.await();
          },
          () -> {
            assertTrue(inside.await(120, TimeUnit.SECONDS), "threads hang on the way in");
            assertEquals(NR_THREADS, instance.kmalloc.info().nrObjects());
            long mapped = instance.kmalloc.info().mappedBytes();
            long bound = boundBytes(slots);
            assertTrue(mapped <= bound, () -> "mapped=" + mapped + " bound=" + bound);
            assertTrue(instance.registry().nrStocks() <= slots.nrSlots() * (NR_TENANTS + 1));
            leave.countDown();
          });
      instance.assertNothingLeft();
      assertEquals(0, slots.nrBusy());
    }
  }

  @Test
  void allocate_parkingInBetween_nothingIsLost() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(16, 4))) {
      run(
          instance,
          address -> {
            Thread.yield();
            LockSupport.parkNanos(1000);
          },
          () -> {});
      instance.assertNothingLeft();
      assertEquals(0, instance.root.slots().nrBusy());
    }
  }

  private interface Inside {
    void run(long address) throws InterruptedException;
  }

  private interface Meanwhile {
    void run() throws Exception;
  }

  private static void run(Instance instance, Inside inside, Meanwhile meanwhile) throws Exception {
    List<ObjCgroup> tenants = new ArrayList<>();
    for (int i = 0; i < NR_TENANTS; i++) {
      tenants.add(instance.handle("t" + i));
    }
    AtomicReference<Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < NR_THREADS; i++) {
      ObjCgroup tenant = tenants.get(i % NR_TENANTS);
      threads.add(
          Thread.ofVirtual()
              .start(() -> {
                try (Scope _ = tenant.enter()) {
                  long address = instance.kmalloc.allocate(SIZE);
                  Instance.writeLong(address, 0, address);
                  inside.run(address);
                  assertEquals(address, Instance.readLong(address, 0));
                  instance.kmalloc.free(address);
                } catch (Throwable t) {
                  failure.compareAndSet(null, t);
                }
              }));
    }
    meanwhile.run();
    for (Thread thread : threads) {
      assertTrue(thread.join(Duration.ofMinutes(2)), "thread hangs");
    }
    if (failure.get() != null) {
      throw new AssertionError(failure.get());
    }
  }
}
