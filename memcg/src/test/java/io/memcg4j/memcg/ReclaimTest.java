package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Reclaim, protection and the scenarios of the kernel's test_memcontrol that are about them. */
final class ReclaimTest {
  private static final long MIB = 1L << 20;
  private final MemCgroup root = MemCgroup.root();

  private static void assertClose(long expected, long actual, int percent) {
    assertTrue(
        Math.abs(expected - actual) <= (expected + actual) * percent / 100,
        () -> "expected=" + expected + " actual=" + actual);
  }

  @Test
  void set_overMax_reclaimsAndIsGranted() {
    MemCgroup a = root.create("a");
    FakeCache cache = new FakeCache(a, 20 * MIB);
    a.setMax(30 * MIB);
    Charge mine = a.charge("mine", MemoryClass.FOREIGN);
    mine.set(25 * MIB);
    assertTrue(a.usage() <= 30 * MIB);
    assertTrue(cache.charge.nrBytes() <= 5 * MIB && cache.charge.nrBytes() >= 4 * MIB);
    assertTrue(a.events().max() >= 1);
    assertEquals(0, a.events().oom());
  }

  @Test
  void set_nothingToReclaim_refusedWithOneMaxAndOneOom() {
    MemCgroup a = root.create("a");
    a.setMax(30 * MIB);
    Charge mine = a.charge("mine", MemoryClass.FOREIGN);
    mine.set(29 * MIB);
    MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> mine.set(31 * MIB - 1));
    assertTrue(e.getMessage().contains("/a"), e.getMessage());
    assertEquals(29 * MIB, mine.nrBytes());
    assertEquals(29 * MIB, a.usage());
    assertEquals(new MemoryEvents(0, 0, 1, 1, 0, 0), a.events());
    assertThrows(MemoryLimitException.class, () -> mine.set(60 * MIB));
    assertEquals(new MemoryEvents(0, 0, 2, 1, 0, 0), a.events(), "no policy could help");
  }

  @Test
  void mode_nowait_norectry_mayfail_force() {
    MemCgroup a = root.create("a");
    FakeCache cache = new FakeCache(a, 10 * MIB);
    a.setMax(10 * MIB);
    Charge mine = a.charge("mine", MemoryClass.FOREIGN);
    assertSame(a, mine.set(MIB, ChargeMode.NOWAIT));
    assertEquals(0, cache.nrScans.get());
    assertNull(mine.set(MIB, ChargeMode.NORETRY));
    assertNull(mine.set(2 * MIB, ChargeMode.RETRY_MAYFAIL));
    cache.registration().close();
    assertSame(a, mine.set(9 * MIB, ChargeMode.RETRY_MAYFAIL));
    assertEquals(0, a.events().oom(), "that mode asks no policy");
    long maxBefore = a.events().max();
    assertNull(mine.set(9 * MIB, ChargeMode.FORCE));
    assertTrue(a.usage() > a.max());
    assertEquals(maxBefore + 1, a.events().max());
  }

  /**
   * A, with B min/low 50M (C 75M, D 25M, E 0; 50M of cache each), and G that needs 148M of 200M.
   */
  private List<FakeCache> protectionTree(MemCgroup a, boolean hard) {
    MemCgroup b = a.create("b");
    MemCgroup c = b.create("c");
    MemCgroup d = b.create("d");
    MemCgroup e = b.create("e");
    List<FakeCache> caches = new ArrayList<>();
    for (MemCgroup group : List.of(c, d, e)) {
      caches.add(new FakeCache(group, 50 * MIB));
    }
    a.setMax(200 * MIB);
    set(b, 50 * MIB, hard);
    set(c, 75 * MIB, hard);
    set(d, 25 * MIB, hard);
    return caches;
  }

  private static void set(MemCgroup group, long nrBytes, boolean hard) {
    if (hard) {
      group.setMin(nrBytes);
    } else {
      group.setLow(nrBytes);
    }
  }

  @Test
  void memcg_min_protectsAndMoreIsRefused() {
    MemCgroup a = root.create("a");
    List<FakeCache> caches = protectionTree(a, true);
    Charge g = a.create("g").charge("anon", MemoryClass.FOREIGN);
    g.set(148 * MIB);
    MemCgroup b = assertNotNull(a.find("b"));
    assertClose(50 * MIB, b.usage(), 5);
    assertClose(29 * MIB, caches.get(0).charge.nrBytes(), 15);
    assertClose(21 * MIB, caches.get(1).charge.nrBytes(), 20);
    assertTrue(caches.get(2).charge.nrBytes() <= 3 * MIB, "unprotected: " + caches.get(2).count());
    assertThrows(MemoryLimitException.class, () -> g.set(170 * MIB));
    assertClose(50 * MIB, b.usage(), 9);
    assertEquals(0, b.events().low());
  }

  @Test
  void memcg_low_protectsUntilThereIsNothingElse() {
    MemCgroup a = root.create("a");
    List<FakeCache> caches = protectionTree(a, false);
    Charge g = a.create("g").charge("anon", MemoryClass.FOREIGN);
    g.set(148 * MIB);
    MemCgroup b = assertNotNull(a.find("b"));
    assertClose(50 * MIB, b.usage(), 5);
    g.set(170 * MIB);
    assertTrue(b.usage() <= 30 * MIB);
    assertClose(30 * MIB, b.usage(), 9);
    assertTrue(caches.get(0).charge.group().events().low() > 0);
    assertTrue(caches.get(1).charge.group().events().low() > 0);
    assertEquals(0, a.events().oom());
    // Its own protection does not hold against reclaim that is asked of the group itself.
    MemCgroup c = caches.get(0).charge.group();
    c.reclaim(c.usage() - Math.min(c.usage(), 10 * MIB));
    assertTrue(c.usage() <= 10 * MIB);
  }

  private static <T> T assertNotNull(T value) {
    org.junit.jupiter.api.Assertions.assertNotNull(value);
    return value;
  }

  @Test
  void memcg_reclaim_exactGoalOrLess() {
    MemCgroup a = root.create("a");
    new FakeCache(a, 50 * MIB);
    assertTrue(a.reclaim(20 * MIB) >= 20 * MIB);
    assertClose(30 * MIB, a.usage(), 3);
    long left = a.usage();
    assertTrue(left - a.reclaim(100 * MIB) < MemCgroup.PAGE_SIZE);
    assertEquals(0, a.usage());
    assertEquals(0, a.reclaim(MIB));
    assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), a.events());
  }

  @Test
  void pass_childrenInProportionToWhatTheyCouldGive() {
    MemCgroup a = root.create("a");
    FakeCache large = new FakeCache(a.create("large"), 90 * MIB);
    FakeCache small = new FakeCache(a.create("small"), 10 * MIB);
    a.reclaim(50 * MIB);
    assertClose(45 * MIB, large.charge.nrBytes(), 5);
    assertClose(5 * MIB, small.charge.nrBytes(), 10);
  }

  @Test
  void priority_lowerNumberGivesFirst() {
    MemCgroup a = root.create("a");
    List<String> order = new ArrayList<>();
    for (int priority : new int[] {5, -1, 3}) {
      a.addShrinker(
          new Shrinker() {
            @Override
            public long count() {
              return 1;
            }

            @Override
            public long scan(long nrBytes) {
              order.add("p" + priority);
              return 0;
            }

            @Override
            public int priority() {
              return priority;
            }
          });
    }
    a.reclaim(1);
    assertEquals(List.of("p-1", "p3", "p5"), order.subList(0, 3));
  }

  /** Throws, lies, counts what it does not give: the honest one still serves. */
  @Test
  void scan_badShrinkers_harmNobodyElse() {
    MemCgroup a = root.create("a");
    ShrinkerRegistration throwing =
        a.addShrinker(
            shrinker(
                MIB,
                () -> {
                  throw new IllegalStateException("broken on purpose");
                }));
    ShrinkerRegistration lying = a.addShrinker(shrinker(1L << 40, () -> 0L));
    FakeCache honest = new FakeCache(a, 20 * MIB);
    a.setMax(20 * MIB);
    Charge mine = a.charge("mine", MemoryClass.FOREIGN);
    mine.set(15 * MIB);
    assertTrue(honest.charge.nrBytes() <= 5 * MIB);
    assertTrue(throwing.nrFailures() >= 1);
    assertTrue(throwing.isBackedOff());
    assertTrue(throwing.lastFailure() instanceof IllegalStateException);
    assertEquals(0, lying.freedBytes());
  }

  private interface Scan {
    long run();
  }

  private static Shrinker shrinker(long count, Scan scan) {
    return new Shrinker() {
      @Override
      public long count() {
        return count;
      }

      @Override
      public long scan(long nrBytes) {
        return scan.run();
      }
    };
  }

  /** Says each time that it freed, and never does: the request ends all the same. */
  @Test
  void makeRoom_shrinkerClaimsToFree_endsInARefusal() {
    MemCgroup a = root.create("a");
    a.addShrinker(shrinker(MIB, () -> MIB));
    a.setMax(MIB);
    Charge mine = a.charge("mine", MemoryClass.FOREIGN);
    mine.set(MIB);
    Charge other = a.charge("other", MemoryClass.FOREIGN);
    assertFalse(other.trySet(4096));
    assertTrue(a.events().max() <= MemCgroup.MAX_RECLAIM_RETRIES + 2, () -> a.events().toString());
  }

  @Test
  void scan_allocatesItself_isRefusedAtOnceNotReclaimedAgain() {
    MemCgroup a = root.create("a");
    a.setMax(MIB);
    Charge inside = a.charge("inside", MemoryClass.FOREIGN);
    AtomicBoolean granted = new AtomicBoolean(true);
    a.addShrinker(
        shrinker(
            MIB,
            () -> {
              granted.set(inside.trySet(MIB));
              return 0;
            }));
    Charge mine = a.charge("mine", MemoryClass.FOREIGN);
    mine.set(MIB);
    assertFalse(a.charge("other", MemoryClass.FOREIGN).trySet(4096));
    assertFalse(granted.get());
  }

  @Test
  void scan_heldByAnotherThread_othersShareTheWork() throws Exception {
    MemCgroup a = root.create("a");
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    ShrinkerRegistration slow =
        a.addShrinker(
            shrinker(
                MIB,
                () -> {
                  inside.countDown();
                  try {
                    go.await();
                  } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                  }
                  return 0;
                }));
    Thread first = Thread.ofPlatform().start(() -> a.reclaim(MIB));
    inside.await();
    FakeCache fast = new FakeCache(a, 4 * MIB);
    assertTrue(a.reclaim(MIB) >= MIB, "not held up by the slow one");
    assertTrue(fast.nrScans.get() >= 1);
    assertEquals(0, slow.nrScans());
    go.countDown();
    first.join();
  }

  @Test
  void remove_withShrinkerBelow_countsDown() {
    MemCgroup a = root.create("a");
    MemCgroup b = a.create("b");
    FakeCache cache = new FakeCache(b, MIB);
    assertTrue(root.hasShrinkersBelow());
    cache.registration().close();
    cache.registration().close();
    assertFalse(root.hasShrinkersBelow());
    assertEquals(0, a.reclaim(MIB));
  }

  @Test
  void setMax_belowUsage_reclaimsAtOnce_noBlockDoesNot() {
    MemCgroup a = root.create("a");
    FakeCache cache = new FakeCache(a, 20 * MIB);
    a.setMaxNoBlock(10 * MIB);
    assertEquals(20 * MIB, cache.charge.nrBytes());
    a.setMax(10 * MIB);
    assertTrue(a.usage() <= 10 * MIB);
    a.setHighNoBlock(5 * MIB);
    assertTrue(a.usage() > 5 * MIB);
    a.setHigh(5 * MIB);
    assertTrue(a.usage() <= 5 * MIB);
  }
}
