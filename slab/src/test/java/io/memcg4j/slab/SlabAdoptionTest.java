package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.Test;

/** Free memory that one slot leaves behind serves another one. */
final class SlabAdoptionTest {
  private static final int NR_OBJECTS = 100_000;
  private static final int SIZE = 64;

  /** Objects of a few tenants, allocated in turns on one slot; then most are freed. */
  private static List<Long> leaveBehind(
      Instance instance, List<ObjCgroup> tenants, IntPredicate isKept) {
    List<Long> kept = new ArrayList<>();
    List<Long> all = new ArrayList<>();
    for (int i = 0; i < NR_OBJECTS; i += 1000) {
      try (Scope _ = tenants.get(i / 1000 % tenants.size()).enter()) {
        for (int j = 0; j < 1000; j++) {
          all.add(instance.kmalloc.allocate(SIZE));
        }
      }
    }
    for (int i = 0; i < all.size(); i++) {
      if (isKept.test(i)) {
        Instance.writeLong(all.get(i), 0, all.get(i));
        kept.add(all.get(i));
      } else {
        instance.kmalloc.free(all.get(i));
      }
    }
    return kept;
  }

  private static List<Long> allocate(Instance instance, int nrObjects) {
    List<Long> objects = new ArrayList<>();
    for (int i = 0; i < nrObjects; i++) {
      long address = instance.kmalloc.allocate(SIZE);
      Instance.writeLong(address, 0, -1);
      objects.add(address);
    }
    return objects;
  }

  /** Runs in a scope on another slot than the one that the caller's scopes were on, now idle. */
  private static <T> T onOtherSlot(Instance instance, ObjCgroup payer, Instance.Task<T> task)
      throws Exception {
    CountDownLatch entered = new CountDownLatch(1);
    CountDownLatch left = new CountDownLatch(1);
    AtomicReference<CpuSlot> other = new AtomicReference<>();
    FutureTask<T> future =
        new FutureTask<>(() -> {
          try (Scope scope = payer.enter()) {
            other.set(scope.frame().slot());
            entered.countDown();
            assertTrue(left.await(60, TimeUnit.SECONDS));
            return task.run();
          }
        });
    try (Scope mine = instance.handle("holder").enter()) {
      new Thread(future, "other slot").start();
      assertTrue(entered.await(60, TimeUnit.SECONDS));
      assertNotEquals(mine.frame().slot(), other.get());
    }
    left.countDown();
    return Instance.await(future);
  }

  @Test
  void allocate_sameTenantLeftObjectsElsewhere_usesTheirWords() throws Exception {
    try (Instance instance = Instance.create()) {
      ObjCgroup tenant = instance.handle("a");
      List<Long> kept = leaveBehind(instance, List.of(tenant), i -> i % 10 == 0);
      long mapped = instance.kmalloc.info().mappedBytes();
      List<Long> objects =
          onOtherSlot(instance, tenant, () -> allocate(instance, NR_OBJECTS * 8 / 10));
      long grown = instance.kmalloc.info().mappedBytes() - mapped;
      assertTrue(grown < mapped / 8, "mapped=" + mapped + " grown=" + grown);
      checkAndFreeAll(instance, kept, objects);
    }
  }

  /** Full words go with the others; what is freed of them later has to be found. */
  @Test
  void allocate_halfOfTheWordsAreFull_theyMoveToo() throws Exception {
    try (Instance instance = Instance.create()) {
      ObjCgroup tenant = instance.handle("a");
      List<Long> kept =
          leaveBehind(instance, List.of(tenant), i -> (i >> 6) % 2 == 0 || i % 64 == 7);
      long mapped = instance.kmalloc.info().mappedBytes();
      List<Long> objects =
          onOtherSlot(instance, tenant, () -> allocate(instance, NR_OBJECTS * 4 / 10));
      long grown = instance.kmalloc.info().mappedBytes() - mapped;
      assertTrue(grown < mapped / 8, "mapped=" + mapped + " grown=" + grown);
      checkAndFreeAll(instance, kept, objects);
    }
  }

  @Test
  void allocate_otherTenantsLeftEmptyWords_usesThem() throws Exception {
    try (Instance instance = Instance.create()) {
      List<ObjCgroup> tenants =
          List.of(instance.handle("a"), instance.handle("b"), instance.handle("c"));
      // Of 1000 objects one stays: most words are empty, few slabs are.
      List<Long> kept = leaveBehind(instance, tenants, i -> i % 1000 == 0);
      long mapped = instance.kmalloc.info().mappedBytes();
      List<Long> objects =
          onOtherSlot(
              instance, instance.handle("d"), () -> allocate(instance, NR_OBJECTS * 8 / 10));
      long grown = instance.kmalloc.info().mappedBytes() - mapped;
      assertTrue(grown < mapped / 4, "mapped=" + mapped + " grown=" + grown);
      for (ObjCgroup tenant : tenants) {
        assertTrue(tenant.group().usage() > 0);
      }
      checkAndFreeAll(instance, kept, objects);
    }
  }

  /** The purge thread looks at those slots only that say so. */
  @Test
  void allocate_fewObjects_whatIsLeftOfTheSlabsIsGivenBackLater() throws Exception {
    try (Instance instance = Instance.create()) {
      ObjCgroup tenant = instance.handle("a");
      List<Long> kept = leaveBehind(instance, List.of(tenant), i -> i % 1000 == 0);
      ObjCgroup payer = instance.handle("d");
      List<Long> objects =
          onOtherSlot(
              instance,
              payer,
              () -> {
                List<Long> few = allocate(instance, 10);
                try (Scope scope = payer.enter()) {
                  SlotSlabs mine = instance.allocator().slabsOf(scope.frame().slot());
                  assertTrue(mine.hasSomethingToTrim());
                }
                return few;
              });
      checkAndFreeAll(instance, kept, objects);
    }
  }

  @Test
  void allocate_ownersGroupIsGone_itsSlabsStay() throws Exception {
    try (Instance instance = Instance.create()) {
      ObjCgroup removed = instance.handle("a");
      List<Long> kept = leaveBehind(instance, List.of(removed), i -> i % 1000 == 0);
      removed.group().remove();
      List<Long> objects =
          onOtherSlot(
              instance, instance.handle("d"), () -> allocate(instance, NR_OBJECTS * 8 / 10));
      checkAndFreeAll(instance, kept, objects);
    }
  }

  /** What others freed comes before new slabs. */
  @Test
  void allocate_objectsWereFreedElsewhere_usesThemAgain() throws Exception {
    try (Instance instance = Instance.create();
        Scope _ = instance.handle("a").enter()) {
      List<Long> objects = allocate(instance, NR_OBJECTS);
      long mapped = instance.kmalloc.info().mappedBytes();
      Instance.elsewhere(() -> {
        objects.forEach(instance.kmalloc::free);
        return true;
      });
      List<Long> again = allocate(instance, NR_OBJECTS);
      long grown = instance.kmalloc.info().mappedBytes() - mapped;
      assertTrue(grown < mapped / 4, "mapped=" + mapped + " grown=" + grown);
      again.forEach(instance.kmalloc::free);
    }
  }

  private static void checkAndFreeAll(Instance instance, List<Long> kept, List<Long> objects) {
    for (long address : kept) {
      assertEquals(address, Instance.readLong(address, 0), "overwritten");
      instance.kmalloc.free(address);
    }
    for (long address : objects) {
      assertEquals(-1, Instance.readLong(address, 0), "overwritten");
      instance.kmalloc.free(address);
    }
    instance.assertNothingLeft();
  }

  /** Threads that come back on other slots each time, with tenants that come and go. */
  @Test
  void allocate_threadsWanderAmongSlots_nothingIsLost() throws Exception {
    long seed = System.nanoTime();
    try (Instance instance = Instance.of(CpuSlots.create(8, 3))) {
      ConcurrentLinkedQueue<Long> handedOver = new ConcurrentLinkedQueue<>();
      List<FutureTask<Void>> workers = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        int worker = i;
        FutureTask<Void> future =
            new FutureTask<>(() -> wander(instance, worker, new Random(seed + worker), handedOver));
        workers.add(future);
        Thread.ofPlatform().name("worker" + i).start(future);
      }
      for (FutureTask<Void> worker : workers) {
        Instance.await(worker);
      }
      handedOver.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError("seed=" + seed, e);
    }
  }

  private static Void wander(
      Instance instance, int worker, Random random, ConcurrentLinkedQueue<Long> handedOver) {
    MemCgroup root = instance.root;
    ArrayDeque<Long> mine = new ArrayDeque<>();
    for (int round = 0; round < 60; round++) {
      MemCgroup group = root.create("w" + worker + "r" + round);
      for (int visit = 0; visit < 3; visit++) {
        // A slot's number decides nothing but where the walk begins; 0 is where all are drawn to.
        try (Scope _ = random.nextBoolean() ? ObjCgroup.of(group).enter() : null) {
          int nrObjects = random.nextInt(12_000);
          for (int i = 0; i < nrObjects; i++) {
            long address = instance.kmalloc.allocate(random.nextInt(8) == 0 ? 1024 : SIZE);
            Instance.writeLong(address, 0, address);
            if (random.nextInt(16) == 0) {
              handedOver.add(address);
            } else {
              mine.add(address);
            }
          }
          int nrFrees = random.nextInt(nrObjects + 1) + nrObjects / 2;
          for (int i = 0; i < nrFrees; i++) {
            Long address = random.nextInt(8) == 0 ? handedOver.poll() : mine.poll();
            if (address != null) {
              assertEquals(address, Instance.readLong(address, 0), "overwritten");
              Instance.writeLong(address, 0, 0);
              instance.kmalloc.free(address);
            }
            if (random.nextInt(4) == 0 && !mine.isEmpty()) {
              mine.add(mine.poll());
            }
          }
        }
      }
      group.remove();
    }
    mine.forEach(instance.kmalloc::free);
    return null;
  }
}
