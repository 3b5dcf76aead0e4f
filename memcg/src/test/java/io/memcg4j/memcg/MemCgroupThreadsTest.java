package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Many threads at once; what must be exact afterwards is. */
class MemCgroupThreadsTest {
  private static final int NR_THREADS = 8;

  private record Charge(MemCgroup group, long nrPages) {}

  @ParameterizedTest
  @ValueSource(longs = {1, 20261121, -5})
  void randomOperations_eightThreads_leaveExactTotals(long seed) throws Exception {
    new Run(seed).go();
  }

  private static final class Run {
    static final int NR_STEPS = 40_000;
    static final int NR_TENANTS = 24;

    final long seed;
    final CpuSlots slots = CpuSlots.create(5, 2);
    final MemCgroup root = MemCgroup.root(slots);
    final MemCgroup strict = root.create("strict"); // a limit that never changes, nothing forced
    final MemCgroup loose = root.create("loose");
    final AtomicReferenceArray<@Nullable MemCgroup> tenants =
        new AtomicReferenceArray<>(NR_TENANTS);
    final AtomicInteger nrNames = new AtomicInteger();
    final List<List<Charge>> charges = new ArrayList<>();

    Run(long seed) {
      this.seed = seed;
      strict.setMax(3000L * MemCgroup.PAGE_SIZE);
      root.setMax(20_000L * MemCgroup.PAGE_SIZE);
    }

    void go() throws Exception {
      AtomicBoolean done = new AtomicBoolean();
      FutureTask<Void> observer = new FutureTask<>(() -> observe(done), null);
      Thread.ofPlatform().start(observer);
      List<Callable<Void>> workers = new ArrayList<>();
      for (int t = 0; t < NR_THREADS; t++) {
        List<Charge> own = new ArrayList<>();
        Random random = new Random(seed * 31 + t);
        charges.add(own);
        workers.add(() -> {
          work(random, own);
          return null;
        });
      }
      try {
        runAll(workers, where());
      } finally {
        done.set(true);
        observer.get();
      }
      checkTotals();
      for (List<Charge> own : charges) {
        for (Charge charge : own) {
          owner(charge.group).unchargeNow(charge.nrPages);
        }
        own.clear();
      }
      checkTotals();
      assertEquals(0, root.usage(), where());
    }

    void observe(AtomicBoolean done) {
      while (!done.get()) {
        assertTrue(strict.usage() <= strict.max(), where());
        assertTrue(strict.peak() <= strict.max(), where());
        Thread.onSpinWait();
      }
    }

    void work(Random random, List<Charge> own) {
      CpuSlot slot = null;
      for (int step = 0; step < NR_STEPS; step++) {
        if (slot == null) {
          slot = claim(random);
        } else if (random.nextInt(8) == 0 || slot.isShared()) {
          slot.release();
          slot = claim(random);
        }
        if (slot.workPending() && random.nextInt(4) == 0) {
          slot.runWork();
        }
        oneStep(random, own, slot);
      }
      if (slot != null) {
        slot.release();
      }
    }

    private CpuSlot claim(Random random) {
      CpuSlot slot = slots.tryClaim(random.nextInt(slots.nrScopeSlots()));
      return slot == null ? slots.claimShared() : slot;
    }

    private void oneStep(Random random, List<Charge> own, CpuSlot slot) {
      int index = random.nextInt(NR_TENANTS);
      MemCgroup tenant = tenants.get(index);
      if (tenant == null) {
        tenant = (index % 2 == 0 ? strict : loose).create("t" + nrNames.getAndIncrement());
        tenants.set(index, tenant); // may overwrite one of another thread: that one stays empty
      }
      int dice = random.nextInt(100);
      long nrPages = 1L + random.nextInt(random.nextInt(20) == 0 ? 600 : 8);
      if (dice < 50) {
        if (tenant.charge(slot, nrPages) == null) {
          own.add(new Charge(tenant, nrPages));
        }
      } else if (dice < 92) {
        if (!own.isEmpty()) {
          Charge charge = own.remove(random.nextInt(own.size()));
          MemCgroup from = random.nextBoolean() ? owner(charge.group) : charge.group;
          if (random.nextInt(4) == 0) {
            from.unchargeNow(charge.nrPages);
          } else {
            from.uncharge(slot, charge.nrPages);
          }
        }
      } else if (dice < 94) {
        tenant.setMax((20L + random.nextInt(2000)) * MemCgroup.PAGE_SIZE);
      } else if (dice < 95) {
        if (tenant.isDescendantOf(loose)) {
          tenant.forceCharge(nrPages);
          own.add(new Charge(tenant, nrPages));
        }
      } else if (dice < 97) {
        tenant.drain();
      } else if (tenants.compareAndSet(index, tenant, null)) {
        tenant.remove();
      }
    }

    void checkTotals() {
      root.drain();
      assertEquals(0, root.tree().nrStockPages(), where());
      Map<MemCgroup, Long> expected = new HashMap<>();
      for (List<Charge> own : charges) {
        for (Charge charge : own) {
          for (MemCgroup group = owner(charge.group); group != null; group = group.parent()) {
            expected.merge(group, charge.nrPages, Long::sum);
          }
        }
      }
      List<MemCgroup> online = new ArrayList<>(List.of(root, strict, loose));
      online.addAll(strict.children());
      online.addAll(loose.children());
      for (MemCgroup group : online) {
        assertEquals(
            expected.getOrDefault(group, 0L),
            group.counter().usage(),
            () -> where() + " group=" + group.path());
        assertEquals(0, group.counter().pending(), where());
      }
    }

    static MemCgroup owner(MemCgroup group) {
      MemCgroup owner = group;
      while (!owner.isOnline()) {
        owner = owner.parent() == null ? owner : owner.parent();
      }
      return owner;
    }

    String where() {
      return "seed=" + seed;
    }
  }

  @Test
  void counters_hammeredByAllThreads_loseNoUpdate() throws Exception {
    MemCgroup root = MemCgroup.root();
    MemCgroup shared = root.create("shared");
    shared.setMax(50L * MemCgroup.PAGE_SIZE);
    AtomicInteger nrRefused = new AtomicInteger();
    List<Callable<Void>> workers = new ArrayList<>();
    for (int t = 0; t < NR_THREADS; t++) {
      MemCgroup own = shared.create("t" + t);
      int nrPages = 3 + 2 * t;
      workers.add(() -> {
        for (int i = 0; i < 100_000; i++) {
          if (own.tryChargeNow(nrPages) == null) {
            own.unchargeNow(nrPages);
          } else {
            nrRefused.incrementAndGet();
          }
        }
        assertEquals(0, own.usage());
        return null;
      });
    }
    runAll(workers, "");
    assertEquals(0, shared.usage());
    assertEquals(0, root.usage());
    assertTrue(shared.peak() <= shared.max());
    assertEquals(0, shared.counter().pending());
  }

  @Test
  void forceAndUncharge_hammeredByAllThreads_loseNoEventAndNoPage() throws Exception {
    MemCgroup root = MemCgroup.root();
    MemCgroup shared = root.create("shared");
    shared.setMax(0);
    int nrRounds = 10_000;
    List<Callable<Void>> workers = new ArrayList<>();
    for (int t = 0; t < NR_THREADS; t++) {
      workers.add(() -> {
        for (int i = 0; i < nrRounds; i++) {
          shared.forceCharge(2);
          shared.unchargeNow(1);
        }
        return null;
      });
    }
    runAll(workers, "");
    assertEquals((long) NR_THREADS * nrRounds * MemCgroup.PAGE_SIZE, shared.usage());
    assertEquals(shared.usage(), root.usage());
    assertEquals((long) NR_THREADS * nrRounds, root.events().max());
  }

  @Test
  void tryCharge_byManyVirtualThreads_waitsWithoutStoppingThem() throws Exception {
    MemCgroup root = MemCgroup.root();
    MemCgroup shared = root.create("shared");
    shared.setMax(64L * MemCgroup.PAGE_SIZE);
    PageCounter top = root.counter();
    top.setMax(60);
    int nrThreads = 2000;
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> futures = new ArrayList<>();
      for (int t = 0; t < nrThreads; t++) {
        MemCgroup own = shared.create("t" + t);
        boolean large = t % 2 == 0;
        futures.add(
            executor.submit(() -> {
              for (int i = 0; i < 100; i++) {
                // The large one fits below shared and never below the root.
                PageCounter refusedBy = own.counter().reserveAndCommit(large ? 62 : 1);
                if (large) {
                  assertNotNull(refusedBy);
                } else if (refusedBy == null) {
                  own.unchargeNow(1);
                }
                if (i % 10 == 0) {
                  Thread.yield();
                }
              }
            }));
      }
      for (Future<?> future : futures) {
        future.get();
      }
    }
    assertEquals(0, root.usage());
    assertEquals(0, shared.counter().pending());
  }

  @Test
  void remove_whileItsChargesComeBack_leavesTheParentExact() throws Exception {
    CpuSlots slots = CpuSlots.create(1, 1);
    MemCgroup root = MemCgroup.root(slots);
    int nrRounds = 20_000;
    ExecutorService executor = Executors.newFixedThreadPool(1);
    try {
      for (int round = 0; round < nrRounds; round++) {
        MemCgroup group = root.create("g");
        assertNull(group.tryChargeNow(10));
        Future<?> removal = executor.submit(group::remove);
        CpuSlot slot = slots.tryClaim(0);
        slot = slot == null ? slots.claimShared() : slot;
        group.uncharge(slot, 3); // parks them, or not
        assertNull(group.charge(slot, 1));
        slot.release();
        removal.get();
        // Work that was left for a slot is done by its next owner at the latest.
        CpuSlot next = slots.tryClaim(0);
        assertNotNull(next);
        next.release();
        assertEquals(8, root.counter().usage(), "round=" + round);
        assertEquals(0, root.tree().nrStockPages(), "round=" + round);
        root.unchargeNow(8);
      }
    } finally {
      executor.shutdownNow();
    }
  }

  @Test
  void subsystem_firstUseByManyThreads_isMadeOnce() throws Exception {
    for (int round = 0; round < 200; round++) {
      MemCgroup root = MemCgroup.root(CpuSlots.create(1, 1));
      AtomicInteger nrMade = new AtomicInteger();
      List<Callable<Void>> workers = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        workers.add(() -> {
          Idle made =
              root.subsystem(
                  Idle.class,
                  r -> {
                    nrMade.incrementAndGet();
                    return new Idle();
                  });
          assertSame(made, root.subsystem(Idle.class, r -> new Idle()));
          return null;
        });
      }
      runAll(workers, "round=" + round);
      assertEquals(1, nrMade.get());
    }
  }

  private static final class Idle implements MemCgroup.Subsystem {
    @Override
    public void drain(CpuSlot slot, MemCgroup subtree) {}

    @Override
    public void offline(MemCgroup dying, MemCgroup parent) {}
  }

  private static void runAll(List<Callable<Void>> workers, String where) throws Exception {
    ExecutorService executor = Executors.newFixedThreadPool(workers.size());
    try {
      for (Future<Void> future : executor.invokeAll(workers)) {
        future.get();
      }
    } catch (ExecutionException e) {
      throw new AssertionError(where, e.getCause());
    } finally {
      executor.shutdownNow();
    }
  }
}
