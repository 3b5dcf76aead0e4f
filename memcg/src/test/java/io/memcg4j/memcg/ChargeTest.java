package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Declared memory, its statistics, and groups that are removed while it is open. */
final class ChargeTest {
  private static final long PAGE = MemCgroup.PAGE_SIZE;
  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup a = root.create("a");

  @Test
  void set_isIdempotent_wholePagesForAllOfIt() {
    Charge charge = a.charge("x", MemoryClass.HEAP);
    charge.set(1);
    charge.set(1);
    assertEquals(PAGE, a.usage());
    charge.add(PAGE - 1, ChargeMode.NORMAL);
    assertEquals(PAGE, a.usage());
    charge.set(PAGE + 1);
    assertEquals(2 * PAGE, a.usage());
    charge.set(0);
    assertEquals(0, a.usage());
  }

  @Test
  void close_twice_uncharesOnce_thenIsAnError() {
    Charge charge = a.charge("x", MemoryClass.HEAP);
    charge.set(3 * PAGE);
    charge.close();
    charge.close();
    assertEquals(0, a.usage());
    assertEquals(0, charge.nrBytes());
    assertThrows(IllegalStateException.class, () -> charge.set(1));
    assertEquals(0, a.usage());
  }

  @Test
  void set_outOfRange_namesValueAndRange() {
    Charge charge = a.charge("x", MemoryClass.HEAP);
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> charge.set(-1));
    assertTrue(e.getMessage().contains("nrBytes=-1"), e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> charge.add(-1, ChargeMode.NORMAL));
  }

  @Test
  void charges_listsWhatIsOpen() {
    Charge one = a.charge("sessions", MemoryClass.HEAP);
    one.set(5000);
    a.charge("buffers", MemoryClass.SOCK);
    List<Charge.Declared> open = a.charges();
    assertAll(
        () -> assertEquals(2, open.size()),
        () -> assertEquals("sessions", open.get(0).name()),
        () -> assertEquals(5000, open.get(0).nrBytes()),
        () -> assertEquals(MemoryClass.SOCK, open.get(1).memoryClass()),
        () -> assertTrue(open.get(0).ageNanos() >= 0));
    one.close();
    assertEquals(1, a.charges().size());
  }

  @Test
  void stat_sumsUpTheTreeByClass() {
    MemCgroup b = a.create("b");
    b.charge("h", MemoryClass.HEAP).set(5000);
    a.charge("s", MemoryClass.SOCK).set(3000);
    b.forceCharge(7);
    assertEquals(new MemoryStat(7 * PAGE, 0, 0, 5000, 0, 0, 0), b.flush());
    assertEquals(new MemoryStat(7 * PAGE, 0, 0, 5000, 3000, 0, 0), a.flush());
    assertEquals(a.flush(), root.flush());
    assertTrue(a.flush().format().startsWith("slab 28672"));
    b.unchargeNow(7);
  }

  @Test
  void flush_visitsOnlyGroupsThatChanged() {
    List<Charge> charges = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      charges.add(a.create("g" + i).charge("x", MemoryClass.HEAP));
    }
    root.flush();
    assertEquals(0, root.tree().stat().nrUpdated());
    for (int i = 0; i < 10; i++) {
      charges.get(i).set(100);
      charges.get(i).set(200);
    }
    assertEquals(10, root.tree().stat().nrUpdated());
    assertEquals(2000, root.flush().heap());
    assertEquals(0, root.tree().stat().nrUpdated());
  }

  @Test
  void stat_withoutFlush_isBehindByNoMoreThanItsBound() {
    Charge charge = a.charge("x", MemoryClass.HEAP);
    for (long bytes = 0; bytes < 4 * MemCgroup.STAT_BOUND_BYTES; bytes += 1 << 20) {
      charge.set(bytes);
      assertTrue(bytes - a.stat().heap() <= MemCgroup.STAT_BOUND_BYTES);
    }
  }

  /** Nobody asks for figures: what was declared is in the sums after a period all the same. */
  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void periodicFlush_nobodyReads_isFlushedAndTheFlusherEnds() throws Exception {
    assertFalse(root.tree().stat().flusherExists(), "nothing is pending");
    for (long bytes : new long[] {5000, 7000}) {
      MemCgroup b = a.create("b" + bytes);
      b.charge("x", MemoryClass.HEAP).set(bytes);
      assertTrue(root.tree().stat().flusherExists());
      while (b.groupStat().total.get(MemoryClass.HEAP.item()) != bytes) {
        Thread.sleep(20);
      }
      while (root.tree().stat().flusherExists()) {
        Thread.sleep(20);
      }
      assertEquals(0, root.tree().stat().nrUpdated());
    }
    assertEquals(12_000, root.groupStat().total.get(MemoryClass.HEAP.item()));
  }

  /** There is room for what all of them declare, but not for it twice. */
  @Test
  void set_manyThreadsGrowOneCharge_nobodyIsRefusedForAnothersPages() throws Exception {
    a.setMax(10 * PAGE);
    Charge charge = a.charge("x", MemoryClass.HEAP);
    try (ExecutorService executor = Executors.newFixedThreadPool(4)) {
      List<Future<?>> results = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        SplittableRandom random = new SplittableRandom(i);
        results.add(
            executor.submit(() -> {
              for (int n = 0; n < 20_000; n++) {
                long bytes = random.nextLong(3) * 5 * PAGE;
                assertTrue(charge.trySet(bytes), () -> "refused: " + bytes);
              }
            }));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
    assertEquals(0, a.events().max());
    charge.close();
    assertEquals(0, a.usage());
  }

  @Test
  void add_force_passesTheLimitAndGoesBack() {
    a.setMax(2 * PAGE);
    Charge charge = a.charge("x", MemoryClass.HEAP);
    assertNull(charge.add(5 * PAGE, ChargeMode.FORCE));
    assertEquals(5 * PAGE, a.usage());
    assertSame(a, charge.add(PAGE, ChargeMode.NOWAIT));
    assertNull(charge.add(-4 * PAGE, ChargeMode.NOWAIT));
    assertEquals(PAGE, a.usage());
    charge.close();
    assertEquals(0, a.usage());
  }

  @Test
  void add_manyThreads_sumIsExact() throws Exception {
    Charge charge = a.charge("x", MemoryClass.FOREIGN);
    AtomicLong sum = new AtomicLong();
    try (ExecutorService executor = Executors.newFixedThreadPool(4)) {
      List<Future<?>> results = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        SplittableRandom random = new SplittableRandom(i);
        results.add(
            executor.submit(() -> {
              for (int n = 0; n < 20_000; n++) {
                long delta = random.nextLong(10_000);
                charge.add(delta, ChargeMode.NORMAL);
                charge.add(-delta + 1, ChargeMode.NORMAL);
                sum.incrementAndGet();
              }
            }));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
    assertEquals(sum.get(), charge.nrBytes());
    assertEquals((sum.get() + PAGE - 1) / PAGE * PAGE, a.usage());
    assertEquals(sum.get(), root.flush().foreign());
    charge.close();
    assertEquals(0, root.usage());
    assertEquals(0, root.flush().foreign());
  }

  /** test_kmem_dead_cgroups: what was removed is seen only as long as something holds it. */
  @Test
  void remove_chargeStillOpen_dyingUntilClosed() {
    MemCgroup b = a.create("b");
    Charge charge = b.charge("x", MemoryClass.HEAP);
    charge.set(10 * PAGE);
    b.remove();
    assertEquals(1, a.nrDyingDescendants());
    assertEquals(0, a.nrDescendants());
    assertEquals(10 * PAGE, a.usage());
    charge.set(4 * PAGE);
    assertEquals(4 * PAGE, a.usage(), "it still goes up the tree");
    charge.close();
    assertEquals(0, a.nrDyingDescendants());
    assertEquals(0, a.usage());
    assertEquals(0, a.flush().heap());
  }

  @Test
  void remove_manyCycles_leaveNoTrace() {
    for (int i = 0; i < 1_000_000; i++) {
      MemCgroup b = a.create("b");
      if ((i & 15) == 0) {
        try (Charge charge = b.charge("x", MemoryClass.HEAP)) {
          charge.set(PAGE);
        }
      }
      b.remove();
    }
    assertEquals(0, a.nrDyingDescendants());
    assertEquals(0, a.usage());
    assertEquals(0, root.flush().heap());
    assertEquals(0, root.tree().stat().nrUpdated());
  }
}
