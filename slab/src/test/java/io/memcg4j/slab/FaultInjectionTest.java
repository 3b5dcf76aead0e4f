package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.PercpuAllocator;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class FaultInjectionTest {
  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final FaultInjection faults = kmalloc.faults();
  private final MemCgroup group = instance.root.create("tenant");

  @AfterEach
  void nothingIsLeft() {
    faults.off();
    instance.assertNoAreasLeft();
    assertEquals(0, kmalloc.percpu().nrLive());
    instance.close();
  }

  /** Which of so many allocations of 64 bytes fail, by the fast form; all are freed. */
  private List<Integer> failures(int count) {
    return failures(count, 64);
  }

  private List<Integer> failures(int count, long nrBytes) {
    List<Integer> failed = new ArrayList<>();
    List<Long> live = new ArrayList<>();
    try (Scope scope = instance.enter(group)) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      for (int i = 0; i < count; i++) {
        long address = bound.tryAllocate(nrBytes);
        if (address == Kmalloc.NULL) {
          failed.add(i);
        } else {
          live.add(address);
        }
      }
      live.forEach(bound::free);
    }
    return failed;
  }

  @Test
  void off_atFirst_nothingFails() {
    assertEquals(List.of(), failures(100));
    assertFalse(kmalloc.allocator().isObserved());
    assertNull(faults.settings());
    assertEquals(0, faults.count(FaultKind.SLAB).nrPassed());
  }

  @Test
  void slab_always_failsEveryForm() {
    faults.set(FaultSettings.of(FaultKind.SLAB));
    KmemCache cache = KmemCache.builder(kmalloc, "some").size(40).build();

    try (Scope scope = instance.enter(group)) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      assertEquals(Kmalloc.NULL, bound.tryAllocate(64));
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(64));
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocateZeroed(64));
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocateAligned(64, 64));
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(100_000));
      assertEquals(Kmalloc.NULL, cache.tryAllocate());
      assertFalse(cache.tryAllocateBulk(new long[8], 0, 8));
      MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> bound.allocate(64));
      assertEquals(MemoryLimitException.INJECTED, e.limitedBy());
      assertEquals("/tenant", e.group());
      assertEquals(64, e.requestedBytes());
      assertTrue(e.getMessage().contains("injected"), e.getMessage());
      assertThrows(MemoryLimitException.class, cache::allocate);
    }
    assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(64)); // outside any scope
    assertEquals(0, instance.drainedUsage(group));
    assertEquals(0, group.events().max());
    faults.off();
    cache.close();
  }

  @Test
  void bulk_oneFails_allAreGivenBack() {
    KmemCache cache = KmemCache.builder(kmalloc, "some").size(40).build();
    try (Scope _ = instance.enter(group);
        FaultInjection.Nth nth = faults.failNth(5)) {
      long[] objects = new long[8];
      assertFalse(cache.tryAllocateBulk(objects, 0, 8));
      assertTrue(nth.hasFired());
      assertEquals(0, kmalloc.info().nrObjects());
      assertTrue(cache.tryAllocateBulk(objects, 0, 8));
      cache.freeBulk(objects, 0, 8);
    }
    cache.close();
  }

  @Test
  void switchedOnInsideAScope_wordsThatAreReady_areNotHandedOut() {
    try (Scope scope = instance.enter(group)) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      long first = bound.allocate(64); // 63 neighbours are ready now
      faults.set(FaultSettings.of(FaultKind.SLAB));
      assertEquals(Kmalloc.NULL, bound.tryAllocate(64));
      bound.free(first);
      assertEquals(Kmalloc.NULL, bound.tryAllocate(64)); // nor what has just come back
      faults.off();
      bound.free(bound.allocate(64));
    }
  }

  @Test
  void interval_everyThird() {
    faults.set(FaultSettings.of(FaultKind.SLAB).withInterval(3));
    assertEquals(List.of(2, 5, 8), failures(10));
  }

  @Test
  void times_atMostTwo() {
    faults.set(FaultSettings.of(FaultKind.SLAB).withTimes(2));
    assertEquals(List.of(0, 1), failures(10));
    assertTrue(faults.format().contains("timesLeft=0"), faults.format());
    assertEquals(List.of(), failures(10));
  }

  @Test
  void space_isGrantedFirst() {
    faults.set(FaultSettings.of(FaultKind.SLAB).withSpace(3 * 64).withTimes(2));
    assertEquals(List.of(3, 4), failures(10));
  }

  @Test
  void probability_isRepeatableAndAboutRight() {
    FaultSettings tenth = FaultSettings.of(FaultKind.SLAB).withProbability(10).withSeed(7);
    faults.set(tenth);
    List<Integer> once = failures(5000);
    faults.set(tenth);
    List<Integer> again = failures(5000);
    faults.set(tenth.withSeed(8));

    assertEquals(once, again);
    assertNotEquals(once, failures(5000));
    assertTrue(once.size() > 400 && once.size() < 600, "failures: " + once.size());
    faults.set(tenth.withProbability(0));
    assertEquals(List.of(), failures(1000));
  }

  @Test
  void threads_onlyThoseThatMatch() throws Exception {
    faults.set(
        FaultSettings.of(FaultKind.SLAB)
            .withThreads(thread -> thread.getName().equals("elsewhere")));
    assertEquals(List.of(), failures(4));
    assertEquals(List.of(0, 1, 2, 3), Instance.elsewhere(() -> failures(4)));
  }

  @Test
  void threads_filterThatThrows_failsNothing() {
    faults.set(
        FaultSettings.of(FaultKind.SLAB)
            .withThreads(thread -> {
              throw new IllegalStateException("no");
            }));
    assertEquals(List.of(), failures(4));
  }

  @Test
  void caches_byNameAndPrefix() {
    faults.set(FaultSettings.of(FaultKind.SLAB).withCaches(List.of("kmalloc-64", "kmalloc-5*")));
    assertEquals(List.of(0, 1), failures(2, 64));
    assertEquals(List.of(), failures(2, 128));
    assertEquals(List.of(0, 1), failures(2, 512));
    assertEquals(List.of(), failures(2, 10_000));
    faults.set(FaultSettings.of(FaultKind.SLAB).withCaches(List.of("kmalloc-large")));
    assertEquals(List.of(0, 1), failures(2, 10_000));
    assertEquals(List.of(), failures(2, 64));
  }

  @Test
  void charge_failsOnlyWhatSomebodyPays() {
    faults.set(FaultSettings.of(FaultKind.CHARGE));
    assertEquals(List.of(0, 1), failures(2, 64));
    assertEquals(List.of(0, 1), failures(2, 10_000));
    long free = kmalloc.allocate(64); // outside any scope
    kmalloc.free(free);
    try (Scope _ = instance.enter(group)) {
      MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(64));
      assertEquals(MemoryLimitException.INJECTED, e.limitedBy());
      assertEquals(Kmalloc.NULL, kmalloc.vmalloc().tryAllocate(1 << 20));
      assertEquals(PercpuAllocator.NULL, kmalloc.percpu().tryAllocate(8));
    }
    assertEquals(0, group.events().max());
  }

  @Test
  void charge_growthOfALargeObject_leavesItAsItWas() {
    try (Scope _ = instance.enter(group)) {
      long address = kmalloc.allocate(10_000);
      Instance.fill(address, 10_000, 7);
      faults.set(FaultSettings.of(FaultKind.CHARGE));
      assertEquals(Kmalloc.NULL, kmalloc.tryReallocate(address, 20_000));
      faults.off();
      assertEquals(7, Instance.read(address, 9_999));
      assertEquals(Instance.roundToPages(10_000), kmalloc.usableSize(address));
      kmalloc.free(address);
    }
  }

  @Test
  void pages_refusedAsByTheOs() {
    faults.set(FaultSettings.of(FaultKind.PAGES));
    try (Scope _ = instance.enter(group)) {
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(64));
      MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(64));
      assertEquals(MemoryLimitException.OS, e.limitedBy());
      assertEquals(Kmalloc.NULL, kmalloc.tryAllocate(100_000));
      assertEquals(Vmalloc.NULL, kmalloc.vmalloc().tryAllocate(1 << 20));
      assertEquals(PercpuAllocator.NULL, kmalloc.percpu().tryAllocate(8));
    }
    assertEquals(0, instance.drainedUsage(group));
    assertTrue(faults.count(FaultKind.PAGES).nrFailed() > 4);
  }

  @Test
  void vmalloc_newAreasAndGrowth() {
    Vmalloc areas = kmalloc.vmalloc();
    try (Scope _ = instance.enter(group)) {
      long area = areas.allocate(8192);
      Instance.fill(area, 8192, 3);
      faults.set(FaultSettings.of(FaultKind.VMALLOC));
      assertEquals(Vmalloc.NULL, areas.tryAllocate(8192));
      assertEquals(Vmalloc.NULL, areas.tryReallocate(area, 1 << 20));
      assertThrows(MemoryLimitException.class, () -> areas.reallocate(area, 1 << 20));
      kmalloc.free(kmalloc.allocate(64)); // other kinds go on
      faults.off();
      assertEquals(3, Instance.read(area, 8191));
      areas.free(area);
    }
  }

  @Test
  void percpu_failsAndLeavesNothing() {
    faults.set(FaultSettings.of(FaultKind.PERCPU));
    assertEquals(PercpuAllocator.NULL, kmalloc.percpu().tryAllocate(8)); // outside any scope too
    try (Scope _ = instance.enter(group)) {
      assertThrows(MemoryLimitException.class, () -> kmalloc.percpu().allocate(8));
    }
    assertEquals(2, faults.count(FaultKind.PERCPU).nrFailed());
  }

  @ParameterizedTest
  @EnumSource(FaultKind.class)
  void kinds_notChosen_passAndAreCounted(FaultKind kind) {
    EnumSet<FaultKind> others = EnumSet.complementOf(EnumSet.of(kind));
    faults.set(FaultSettings.of(others.toArray(FaultKind[]::new)).withTimes(0));
    try (Scope _ = instance.enter(group)) {
      kmalloc.free(kmalloc.allocate(64));
      kmalloc.vmalloc().free(kmalloc.vmalloc().allocate(8192));
      kmalloc.percpu().free(kmalloc.percpu().allocate(8));
    }
    FaultInjection.Count count = faults.count(kind);
    assertTrue(count.nrPassed() > 0, faults.format());
    assertEquals(0, count.nrFailed());
  }

  @Test
  void waiting_isSpared() throws Exception {
    faults.set(FaultSettings.of(FaultKind.SLAB, FaultKind.CHARGE));
    try (Scope _ = instance.enter(group)) {
      long address = kmalloc.waiting().allocateAwait(64, Duration.ofSeconds(10));
      assertNotEquals(Kmalloc.NULL, address);
      kmalloc.free(address);
    }
  }

  @Test
  void nth_failsOnceOnThisThreadOnly() throws Exception {
    try (FaultInjection.Nth nth = faults.failNth(3)) {
      assertEquals(List.of(), Instance.elsewhere(() -> failures(10)));
      assertEquals(3, nth.nrLeft());
      assertFalse(nth.hasFired());
      assertEquals(List.of(2), failures(10));
      assertTrue(nth.hasFired());
      assertEquals(List.of(), failures(10));
    }
    assertFalse(kmalloc.allocator().isObserved());
  }

  @Test
  void nth_closedBefore_neverFires() {
    FaultInjection.Nth nth = faults.failNth(50);
    assertEquals(List.of(), failures(10));
    nth.close();
    assertEquals(List.of(), failures(100));
    assertFalse(nth.hasFired());
    assertEquals(40, nth.nrLeft());
  }

  @Test
  void nth_orderedAgain_takesThePlaceOfTheFirst() {
    try (FaultInjection.Nth first = faults.failNth(1);
        FaultInjection.Nth second = faults.failNth(2)) {
      assertEquals(List.of(1), failures(10));
      assertFalse(first.hasFired());
      assertTrue(second.hasFired());
    }
  }

  @Test
  void nth_ofAnotherKind_countsThatKind() {
    try (Scope _ = instance.enter(group);
        FaultInjection.Nth nth = faults.failNth(2, EnumSet.of(FaultKind.VMALLOC))) {
      long first = kmalloc.vmalloc().allocate(8192);
      kmalloc.free(kmalloc.allocate(64));
      assertFalse(nth.hasFired());
      assertEquals(Vmalloc.NULL, kmalloc.vmalloc().tryAllocate(8192));
      assertTrue(nth.hasFired());
      kmalloc.vmalloc().free(first);
    }
  }

  @Test
  void nth_below1_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> faults.failNth(0));
  }

  @Test
  void settings_outOfRange_nameValueAndRange() {
    FaultSettings any = FaultSettings.of(FaultKind.SLAB);
    assertThrows(IllegalArgumentException.class, () -> any.withProbability(101));
    assertThrows(IllegalArgumentException.class, () -> any.withProbability(-1));
    assertThrows(IllegalArgumentException.class, () -> any.withTimes(-2));
    assertThrows(IllegalArgumentException.class, () -> any.withSpace(-1));
    assertThrows(IllegalArgumentException.class, FaultSettings::of);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> any.withInterval(0));
    assertTrue(e.getMessage().contains("interval=0 legal=1.."), e.getMessage());
  }

  @Test
  void format_showsSettingsAndState() {
    assertEquals(
        "failslab off nth=0 slab=0/0 charge=0/0 pages=0/0 vmalloc=0/0 percpu=0/0", faults.format());
    faults.set(
        FaultSettings.of(FaultKind.CHARGE, FaultKind.SLAB)
            .withProbability(50)
            .withInterval(2)
            .withTimes(9)
            .withSpace(100)
            .withCaches(List.of("kmalloc-*")));
    assertEquals(
        "failslab kinds=slab,charge probability=50 interval=2 times=9 space=100 threads=all"
            + " caches=kmalloc-* timesLeft=9 spaceLeft=100 nth=0"
            + " slab=0/0 charge=0/0 pages=0/0 vmalloc=0/0 percpu=0/0",
        faults.format());
  }
}
