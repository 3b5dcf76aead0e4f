package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.GuardedObjects.Access;
import io.memcg4j.slab.GuardedObjects.Description;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The scenarios of the kernel's test of its sampling guard (kfence_test), by number. */
class GuardedObjectsTest {
  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final GuardedObjects guarded = kmalloc.guarded();
  private final List<Long> others = new ArrayList<>();

  @AfterEach
  void nothingIsLeft() {
    others.forEach(kmalloc::free);
    instance.assertNothingLeft();
    instance.close();
  }

  /** Allocates until an object is guarded; the timer decides when. */
  private long guardedObject(int size) {
    while (true) {
      long address = kmalloc.allocate(size);
      if (guarded.contains(address)) {
        return address;
      }
      others.add(address);
      if (others.size() > 5000) {
        others.forEach(kmalloc::free);
        others.clear();
        Thread.onSpinWait();
      }
    }
  }

  private void on() {
    guarded.on(Duration.ofMillis(1), 64);
  }

  private static void touch(long address) {
    Kmalloc.MEMORY.set(JAVA_BYTE, address, (byte) 1);
  }

  private Description describe(long address) {
    Description found = guarded.describe(address);
    assertNotNull(found, "not in the pool");
    return found;
  }

  /** The first address to the right of the object's page. */
  private static long rightGuard(long address) {
    return (address & -4096) + 4096;
  }

  @Test
  void k1_outOfBounds_readAndWrite_areCaught_withDistanceAndCallSite() {
    on();
    long address = guardedObject(4096);
    for (long outside : new long[] {address - 1, rightGuard(address), address + 4096 + 100}) {
      assertThrows(InternalError.class, () -> touch(outside));
      assertThrows(InternalError.class, () -> Kmalloc.MEMORY.get(JAVA_BYTE, outside));
      Description found = describe(outside);
      assertEquals(Access.OUT_OF_BOUNDS, found.access());
      assertEquals(address, found.address());
      assertTrue(found.text().contains("GuardedObjectsTest.guardedObject"), found.text());
    }
    assertEquals(1, describe(address - 1).distance());
    assertEquals(101, describe(address + 4096 + 100).distance());
    assertThrows(
        InternalError.class,
        () -> MemorySegment.copy(Kmalloc.MEMORY, address, Kmalloc.MEMORY, address + 4000, 200));
    kmalloc.free(address);
  }

  @Test
  void k2_useAfterFree_isCaught_withBothCallSites() {
    on();
    long address;
    try (Scope _ = instance.handle("tenant").enter()) {
      address = guardedObject(32);
    }
    touch(address);
    kmalloc.free(address);
    assertThrows(InternalError.class, () -> touch(address + 31));
    Description found = describe(address + 31);
    assertEquals(Access.USE_AFTER_FREE, found.access());
    assertEquals("/tenant", found.group());
    assertTrue(found.text().contains("allocated by"), found.text());
    assertTrue(found.text().contains("freed by"), found.text());
    assertTrue(found.text().contains("k2_useAfterFree"), found.text());
    assertEquals(address, guarded.candidates(1).getFirst().address());
  }

  @Test
  void k2_compiledLoopThatRunsIntoTheGuard_isCaught() {
    on();
    long ordinary = kmalloc.allocate(4096);
    others.add(ordinary);
    for (int i = 0; i < 20_000; i++) {
      sum(ordinary, 64); // so that it is compiled
    }
    long address = guardedObject(4096);
    assertThrows(InternalError.class, () -> sum(address, 5000));
    kmalloc.free(address);
  }

  private static long sum(long address, int nrBytes) {
    long sum = 0;
    for (int i = 0; i < nrBytes; i++) {
      sum += Kmalloc.MEMORY.get(JAVA_BYTE, address + i);
    }
    return sum;
  }

  @Test
  void k3_doubleFree_throwsWithBothCallSites_k4_interiorFreeToo() {
    on();
    long address = guardedObject(64);
    IllegalArgumentException interior =
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address + 1));
    assertTrue(interior.getMessage().contains("interior"), interior.getMessage());
    kmalloc.free(address);
    IllegalArgumentException again =
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
    assertTrue(again.getMessage().startsWith("double free"), again.getMessage());
    assertTrue(again.getMessage().contains("freed by"), again.getMessage());
  }

  @Test
  void k5_corruptionWithinThePage_isFoundAtTheFree() {
    on();
    List<SlabReport> reports = new ArrayList<>();
    kmalloc.reports().listen(reports::add);
    long address = guardedObject(52);
    long beside = (address & 4095) == 0 ? address + 52 : address - 1;
    byte before = Kmalloc.MEMORY.get(JAVA_BYTE, beside);
    Kmalloc.MEMORY.set(JAVA_BYTE, beside, (byte) (before + 1));
    kmalloc.free(address);
    assertEquals(1, reports.size());
    assertTrue(reports.getFirst().message().contains("memory corruption 1B"), reports.toString());
    assertEquals("kmalloc-56", reports.getFirst().cache());
    assertEquals(1, kmalloc.reports().nrReports());
  }

  @Test
  void k6_reportsThrownByTheListener_comeOutOfTheFree_whichIsDone() {
    on();
    kmalloc
        .reports()
        .listen(report -> {
          throw new AssertionError(report.message());
        });
    long address = guardedObject(52);
    touch((address & 4095) == 0 ? address + 60 : address - 8);
    assertThrows(AssertionError.class, () -> kmalloc.free(address));
    assertEquals(0, guarded.nrLive());
  }

  @Test
  void k8_zeroed_isZero_alsoAfterReuse() {
    guarded.on(Duration.ofMillis(1), 2);
    for (int round = 0; round < 20; round++) {
      long address;
      do {
        address = kmalloc.allocateZeroed(100);
        if (!guarded.contains(address)) {
          kmalloc.free(address);
        }
      } while (!guarded.contains(address));
      for (int i = 0; i < 100; i++) {
        assertEquals(0, Instance.read(address, i));
      }
      Instance.fill(address, 100, 0x55);
      kmalloc.free(address);
    }
    assertTrue(guarded.nrSampled() >= 20);
  }

  @Test
  void k9_shrinkWithLiveObject_reportsNothing_usageFollowsTheObject() {
    on();
    try (Scope _ = instance.handle("tenant").enter()) {
      long address = guardedObject(64);
      kmalloc.shrink();
      touch(address);
      kmalloc.free(address);
      assertEquals(0, kmalloc.reports().nrReports());
    }
  }

  @Test
  void k11_reallocate_growShrinkFree_keepsData_oldAddressIsCaught() {
    on();
    long address = guardedObject(64);
    Instance.fill(address, 64, 0x42);
    assertEquals(64, kmalloc.usableSize(address));
    long grown = kmalloc.reallocate(address, 200);
    assertNotEquals(address, grown);
    for (int i = 0; i < 64; i++) {
      assertEquals(0x42, Instance.read(grown, i));
    }
    assertThrows(InternalError.class, () -> touch(address));
    long shrunk = kmalloc.reallocate(grown, 8);
    assertEquals(0x42, Instance.read(shrunk, 7));
    assertEquals(Kmalloc.ZERO_SIZE, kmalloc.reallocate(shrunk, 0));
  }

  @Test
  void k13_pageThatNeverHadAnObject_isCaught() {
    on();
    long address = guardedObject(64);
    long never = (address & -4096) + 4096 * 21L;
    assertThrows(InternalError.class, () -> touch(never));
    assertEquals(Access.INVALID, describe(never).access());
    kmalloc.free(address);
    assertNull(guarded.describe(12345));
  }

  @Test
  void fullPool_allocationsGoOnUnguarded_andFreedPagesAreUsedOldestFirst() {
    guarded.on(Duration.ofMillis(1), 4);
    long first = guardedObject(64);
    kmalloc.free(first);
    long second = guardedObject(64);
    assertNotEquals(first & -4096, second & -4096, "the page that was freed last is used last");
    kmalloc.free(second);
  }

  @Test
  void off_guardsNoMore() throws InterruptedException {
    on();
    kmalloc.free(guardedObject(64));
    guarded.off();
    long nrSampled = guarded.nrSampled();
    Thread.sleep(5);
    for (int i = 0; i < 10_000; i++) {
      kmalloc.free(kmalloc.allocate(64));
    }
    assertEquals(nrSampled, guarded.nrSampled());
  }

  @Test
  void deferredFree_ofAGuardedObject_keepsItUntilTheReadersHaveLeft() {
    on();
    long address = guardedObject(64);
    try (ReadSection _ = kmalloc.readSection()) {
      kmalloc.freeDeferred(address);
      touch(address); // a reader may
    }
    kmalloc.shrink();
    assertThrows(InternalError.class, () -> touch(address));
    assertEquals(0, guarded.nrLive());
  }

  @Test
  void k12_bulk_hasGuardedObjectsInIt_allOfThemUsable() {
    on();
    try (KmemCache cache = KmemCache.create(kmalloc, "bulk", 64)) {
      long nrBefore = guarded.nrSampled();
      long[] bulk = new long[20];
      while (guarded.nrSampled() == nrBefore) {
        cache.allocateBulk(bulk, 0, bulk.length);
        for (long address : bulk) {
          Instance.fill(address, 64, 1);
        }
        cache.freeBulk(bulk, 0, bulk.length);
      }
      assertEquals(0, kmalloc.reports().nrReports());
    }
  }
}
