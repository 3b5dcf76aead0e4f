package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The scenarios of the kernel's slub_kunit that have a meaning here, by number, and more. */
class SlabDebugTest {
  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final SlabDebug debug = kmalloc.debug();
  private final List<SlabReport> reports = new ArrayList<>();

  @BeforeEach
  void listen() {
    kmalloc.reports().listen(reports::add);
  }

  @AfterEach
  void nothingIsLeft() {
    instance.assertNothingLeft();
    assertEquals(0, debug.validate());
    instance.close();
  }

  @Test
  void s1_clobberedRedZone_ofALiveObject() {
    debug.set("Z");
    long address = kmalloc.allocate(64);
    Instance.write(address, 64, 0x78);
    assertEquals(2, debug.validate(), "report and mending");
    assertEquals(0, debug.validate(), "mended");
    assertTrue(reports.getFirst().message().contains("Right Redzone"), reports.toString());
    assertEquals("kmalloc-64", reports.getFirst().cache());
    kmalloc.free(address);
    assertEquals(1, reports.size());
  }

  @Test
  void s1_leftRedZone_isFoundAtTheFree_whichIsDone() {
    debug.set("ZU,kmalloc-64");
    long address;
    try (Scope _ = instance.handle("tenant").enter()) {
      address = kmalloc.allocate(64);
    }
    Instance.write(address, -1, 0);
    kmalloc.free(address);
    assertEquals(1, reports.size());
    String text = reports.getFirst().text();
    assertTrue(text.contains("BUG kmalloc-64 (cgroup /tenant): Left Redzone overwritten"), text);
    assertTrue(text.contains("First byte 0x0 instead of 0xcc"), text);
    assertTrue(text.contains("Allocated by"), text);
    assertTrue(text.contains("Freed by"), text);
    assertTrue(text.contains("SlabDebugTest.s1_leftRedZone"), text);
    assertTrue(text.contains("FIX kmalloc-64: Restoring Left Redzone"), text);
  }

  @Test
  void s2_clobberedRedZone_ofAFreedObject() {
    debug.set("Z");
    long other = kmalloc.allocate(64); // keeps the slab
    long address = kmalloc.allocate(64);
    kmalloc.free(address);
    Instance.write(address, 64, 0x78);
    assertEquals(2, debug.validate());
    kmalloc.free(other);
  }

  @Test
  void s4_writeAfterFree_firstByte_s5_fiftiethByte() {
    debug.set("P");
    long other = kmalloc.allocate(64);
    long address = kmalloc.allocate(64);
    kmalloc.free(address);
    Instance.write(address, 0, 0x78);
    assertEquals(2, debug.validate());
    Instance.write(address, 50, 0x9a);
    assertEquals(2, debug.validate());
    assertTrue(reports.getFirst().message().contains("Poison"), reports.toString());
    Instance.write(address, 63, 0);
    assertEquals(2, debug.validate());
    assertTrue(reports.getLast().message().contains("End Poison"), reports.toString());
    kmalloc.free(other);
  }

  @Test
  void everyByteOfZonesAndFreedObject_isFoundByItsAddress() {
    debug.set("ZP");
    Map<Integer, Integer> classes = Map.of(1, 8, 8, 8, 13, 16, 57, 64, 96, 96, 121, 128);
    classes.forEach((nrBytes, classBytes) -> {
      long other = kmalloc.allocate(nrBytes);
      long address = kmalloc.allocate(nrBytes);
      for (int offset = -16; offset < classBytes + 16; offset++) {
        if (offset < 0 || offset >= nrBytes) {
          assertFoundAt(address, offset);
        }
      }
      kmalloc.free(address);
      for (int offset = -16; offset < classBytes + 16; offset++) {
        assertFoundAt(address, offset);
      }
      kmalloc.free(other);
    });
  }

  private void assertFoundAt(long address, int offset) {
    reports.clear();
    Instance.write(address, offset, 1);
    assertEquals(2, debug.validate(), () -> "offset=" + offset);
    String where = String.format("0x%x @offset=", address + offset);
    assertTrue(reports.getFirst().text().contains(where), reports::toString);
  }

  @Test
  void s4_writeAfterFree_isFoundByTheNextAllocation() {
    debug.set("P");
    long other = kmalloc.allocate(64);
    long address = kmalloc.allocate(64);
    kmalloc.free(address);
    Instance.write(address, 7, 1);
    long again = kmalloc.allocate(64);
    assertEquals(address, again, "the test wants the same object");
    assertEquals(1, reports.size());
    kmalloc.free(again);
    kmalloc.free(other);
  }

  @Test
  void s6_tailOfTheSizeClass_isRedZone() {
    debug.set("ZU");
    long address = kmalloc.allocate(18); // class 24
    assertEquals(18, kmalloc.usableSize(address));
    Instance.write(address, 18, 'k');
    Instance.write(address, 19, 'c');
    assertEquals(2, debug.validate());
    kmalloc.free(address);
  }

  @Test
  void s7_reallocate_withinTheClass_movesTheRedZone_beyondIt_moves() {
    debug.set("Z");
    long address = kmalloc.allocate(48);
    Instance.fill(address, 48, 0xff);
    assertEquals(address, kmalloc.reallocate(address, 42));
    assertEquals((byte) 0xcc, (byte) Instance.read(address, 42));
    assertEquals(0, debug.validate());
    assertEquals(address, kmalloc.reallocate(address, 46));
    Instance.fill(address, 46, 0xff);
    assertEquals(0, debug.validate());
    long moved = kmalloc.reallocate(address, 112);
    assertNotEquals(address, moved);
    for (int i = 0; i < 46; i++) {
      assertEquals(-1, Instance.read(moved, i));
    }
    assertEquals(0, debug.validate());
    kmalloc.free(moved);
  }

  @Test
  void doubleFree_isRefusedWithBothCallSites_alsoFromQuarantine() {
    debug.set("UQ");
    long address = kmalloc.allocate(64);
    kmalloc.free(address);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
    assertTrue(e.getMessage().startsWith("double free"), e.getMessage());
    assertTrue(e.getMessage().contains("Allocated by"), e.getMessage());
    assertTrue(e.getMessage().contains("Freed by"), e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> kmalloc.usableSize(address));
  }

  @Test
  void quarantine_holdsBackUpToItsBound_findsLateWrites_andIsEmptiedByShrink() {
    debug.set("PQ");
    ObjCgroup tenant = instance.handle("tenant");
    try (Scope _ = tenant.enter()) {
      long first = kmalloc.allocate(1024);
      kmalloc.free(first);
      Set<Long> later = new HashSet<>();
      for (int i = 0; i < 100; i++) {
        long address = kmalloc.allocate(1024);
        later.add(address);
        kmalloc.free(address);
      }
      assertFalse(later.contains(first), "held back");
      Instance.write(first, 100, 1);
      for (int i = 0; i < SlabDebug.MAX_QUARANTINE_BYTES / 1024; i++) {
        kmalloc.free(kmalloc.allocate(1024));
      }
      assertEquals(1, reports.size(), "found when it left the quarantine");
      ObjectSnapshot snapshot = kmalloc.tracking().snapshot();
      for (long bits : snapshot.live()) {
        assertEquals(0, bits, "what is held back is not allocated to anybody");
      }
    }
    kmalloc.shrink();
    assertEquals(0, instance.drainedUsage(tenant.group()));
  }

  @Test
  void rules_byCacheAndPrefix_firstMatchWins_globalLast() {
    debug.set("Z;P,kmalloc-64,kmalloc-1*;-,kmalloc-512");
    assertEquals(EnumSet.of(DebugFlag.POISON), debug.flags("kmalloc-64"));
    assertEquals(EnumSet.of(DebugFlag.POISON), debug.flags("kmalloc-128"));
    assertEquals(Set.of(), debug.flags("kmalloc-512"));
    assertEquals(EnumSet.of(DebugFlag.RED_ZONE), debug.flags("kmalloc-256"));
    debug.set(",kmalloc-64");
    assertEquals(4, debug.flags("kmalloc-64").size());
    assertThrows(IllegalArgumentException.class, () -> debug.set("X"));
    assertEquals(4, debug.flags("kmalloc-64").size(), "a bad text changes nothing");
    debug.set("");
    assertEquals(Set.of(), debug.flags("kmalloc-64"));
  }

  @Test
  void switchedOnAndOff_whileObjectsLive_eachIsFreedAsItWasAllocated() {
    try (Scope scope = instance.handle("tenant").enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      long before = bound.allocate(64);
      debug.set("FZPU");
      long during = bound.allocate(64);
      Instance.write(during, 64, 1);
      assertEquals(2, debug.validate());
      debug.set("");
      long after = bound.allocate(64);
      bound.free(before);
      bound.free(during);
      bound.free(after);
    }
  }

  @Test
  void listenerThrows_theFreeIsDoneAllTheSame() {
    debug.set("Z");
    kmalloc
        .reports()
        .listen(report -> {
          throw new AssertionError(report.message());
        });
    long address = kmalloc.allocate(64);
    Instance.write(address, 64, 0);
    assertThrows(AssertionError.class, () -> kmalloc.free(address));
    kmalloc.reports().listen(reports::add);
  }

  @ParameterizedTest
  @ValueSource(strings = {"F", "Z", "P", "U", "Q", "FZPU", "FZPUQ"})
  void model_randomOperationsInEveryMode_noReport_contentsKept(String flags) {
    debug.set(flags);
    Random random = new Random(flags.hashCode());
    Map<Long, Integer> live = new HashMap<>();
    ObjCgroup[] handles = {instance.handle("a"), instance.handle("b")};
    for (int i = 0; i < 3000; i++) {
      try (Scope _ = handles[random.nextInt(2)].enter()) {
        if (live.size() > 150 || (!live.isEmpty() && random.nextBoolean())) {
          long address = new ArrayList<>(live.keySet()).get(random.nextInt(live.size()));
          int size = live.remove(address);
          assertEquals((byte) size, (byte) Instance.read(address, 0), flags);
          assertEquals((byte) size, (byte) Instance.read(address, size - 1), flags);
          if (random.nextInt(4) == 0) {
            int newSize = 1 + random.nextInt(2000);
            long moved = kmalloc.reallocate(address, newSize);
            assertEquals((byte) size, (byte) Instance.read(moved, 0), flags);
            Instance.fill(moved, newSize, newSize);
            live.put(moved, newSize);
          } else {
            kmalloc.free(address);
          }
        } else {
          int size = 1 + random.nextInt(random.nextInt(10) == 0 ? 8192 : 300);
          long address = kmalloc.allocate(size);
          assertEquals(0, address & (Long.lowestOneBit(Kmalloc.roundUp(size)) - 1), "alignment");
          Instance.fill(address, size, size);
          live.put(address, size);
        }
      }
    }
    assertEquals(0, debug.validate(), flags);
    assertEquals(List.of(), reports, flags);
    live.keySet().forEach(kmalloc::free);
  }

  @Test
  void namedCache_constructorAndTypesafe_areNotPoisoned_deferredAndBulkAreChecked() {
    debug.set("ZPU,session");
    try (KmemCache cache =
        KmemCache.builder(kmalloc, "session")
            .size(64)
            .constructor(address -> Instance.writeLong(address, 0, 77))
            .build()) {
      long address = cache.allocate();
      assertEquals(77, Instance.readLong(address, 0));
      cache.free(address);
      long again = cache.allocate();
      assertEquals(77, Instance.readLong(again, 0), "what was constructed survives the free");
      Instance.write(again, 64, 1);
      cache.freeDeferred(again);
      kmalloc.shrink();
      assertEquals(1, reports.size(), reports.toString());
      assertEquals("session", reports.getFirst().cache());
      long[] bulk = new long[40];
      cache.allocateBulk(bulk, 0, 40);
      Instance.write(bulk[7], -1, 1);
      cache.freeBulk(bulk, 0, 40);
      assertEquals(2, reports.size());
    }
  }
}
