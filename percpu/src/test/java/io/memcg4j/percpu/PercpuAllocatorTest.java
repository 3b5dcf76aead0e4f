package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What each operation does, one at a time. */
final class PercpuAllocatorTest {
  private static final long CAPACITY = 40L * PercpuChunk.UNIT_SIZE;

  private final CpuSlots slots = CpuSlots.create(3, 2);
  private final TestPages pages = new TestPages();
  private final TestCharger charger = new TestCharger();
  private final PercpuAllocator allocator = new PercpuAllocator(slots, pages, charger, CAPACITY);

  private void assertNothingLeft() {
    assertEquals(0, allocator.nrLive());
    assertEquals(0, charger.total.get());
    allocator.checkInvariants();
    allocator.close();
    assertTrue(pages.isReleased());
  }

  // ---- errors

  @Test
  void allocate_sizeOrAlignmentOutOfRange_throwsAndChargesNothing() {
    for (int size : new int[] {0, -1, Integer.MIN_VALUE, 32769, Integer.MAX_VALUE}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> allocator.allocate(size));
      assertEquals("size out of range: nrBytes=" + size + " legal=1..32768", e.getMessage());
      assertThrows(IllegalArgumentException.class, () -> allocator.tryAllocate(size, 8));
      assertThrows(IllegalArgumentException.class, () -> allocator.chargeBytes(size));
    }
    for (int alignment : new int[] {0, -8, 3, 12, 8192, Integer.MIN_VALUE}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> allocator.allocate(8, alignment));
      assertEquals(
          "alignment out of range: alignment=" + alignment + " legal=power of two 1..4096",
          e.getMessage());
    }
    assertNothingLeft();
  }

  @Test
  void free_ofAnythingButALiveObject_throwsAndChangesNothing() {
    long a = allocator.allocate(64);
    long b = allocator.allocate(64);
    long freed = allocator.allocate(16);
    allocator.free(freed);
    long charged = charger.total.get();
    assertBadFree(freed, "not allocated");
    assertBadFree(a + 4, "inside an object");
    assertBadFree(a + 60, "inside an object");
    assertBadFree(a + 1, "inside an object");
    assertBadFree(b + 64, "not allocated");
    assertBadFree(allocator.address(a, 1), "address in a unit, not a handle");
    assertBadFree(pages.base - 4, "not from this per-CPU allocator");
    assertBadFree(pages.base + pages.rangeBytes, "not from this per-CPU allocator");
    assertBadFree(
        pages.base + (long) slots.nrSlots() * PercpuChunk.UNIT_SIZE,
        "not from this per-CPU allocator");
    assertBadFree(-1, "not from this per-CPU allocator");
    assertEquals(charged, charger.total.get());
    assertEquals(2, allocator.nrLive());
    allocator.free(PercpuAllocator.NULL);
    allocator.free(a);
    allocator.free(b);
    assertBadFree(a, "not allocated");
    assertNothingLeft();
    assertThrows(IllegalStateException.class, () -> allocator.free(a));
    assertThrows(IllegalStateException.class, () -> allocator.allocate(8));
    assertEquals(0, charger.total.get());
    assertThrows(IllegalArgumentException.class, () -> allocator.sum(a));
    allocator.close();
  }

  private void assertBadFree(long handle, String reason) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> allocator.free(handle));
    assertEquals(
        "bad per-CPU handle: " + reason + ": handle=0x" + Long.toHexString(handle), e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> allocator.size(handle));
    allocator.checkInvariants();
  }

  @Test
  void access_withNoHandleOrNoCopy_throws() {
    long handle = allocator.allocate(8);
    CpuSlot overflow = slots.overflow();
    assertThrows(IllegalArgumentException.class, () -> allocator.address(handle, overflow));
    assertThrows(IllegalArgumentException.class, () -> allocator.address(handle, 5));
    assertThrows(IllegalArgumentException.class, () -> allocator.value(handle, -1));
    for (long wild : new long[] {0, -8, pages.base - 8, pages.base + pages.rangeBytes}) {
      assertThrows(IllegalArgumentException.class, () -> allocator.sum(wild));
      assertThrows(IllegalArgumentException.class, () -> allocator.sumInt(wild));
      assertThrows(IllegalArgumentException.class, () -> allocator.add(wild, 1));
      assertThrows(IllegalArgumentException.class, () -> allocator.addInt(wild, overflow, 1));
      assertThrows(IllegalArgumentException.class, () -> allocator.address(wild, 0));
    }
    allocator.free(handle);
    assertEquals(0, slots.nrBusy());
    assertNothingLeft();
  }

  @Test
  void close_withLiveObjects_saysSoAndStaysOpen() {
    long handle = allocator.allocate(100);
    IllegalStateException e = assertThrows(IllegalStateException.class, allocator::close);
    assertEquals("per-CPU allocator closed with live objects: nrObjects=1", e.getMessage());
    allocator.free(allocator.allocate(100));
    allocator.free(handle);
    assertNothingLeft();
  }

  // ---- charges

  @Test
  void charge_isSizeTimesUnitsAndTheBookkeeping() {
    // Per 4 bytes: a payer of 4 bytes and 2 bits; per page: 5 numbers of 4 bytes.
    assertEquals(4096 * 5 + 4096 + 2 * 128 + 20, allocator.chargeBytes(4096));
    assertEquals(8 * 5 + 9, allocator.chargeBytes(8));
    assertEquals(4 * 5 + 5, allocator.chargeBytes(1));
    long handle = allocator.allocate(8);
    assertEquals(49, charger.total.get());
    allocator.free(handle);
    assertNothingLeft();
  }

  @Test
  void charge_payerChangesHalfWay_goesBackToWhoPaid() {
    charger.payer = 2;
    long a = allocator.allocate(40);
    charger.payer = 3;
    long b = allocator.allocate(12);
    charger.payer = PercpuCharger.NOBODY;
    long c = allocator.allocate(4);
    assertEquals(allocator.chargeBytes(40), charger.charged.get(2));
    assertEquals(allocator.chargeBytes(12), charger.charged.get(3));
    allocator.free(a);
    assertEquals(0, charger.charged.get(2));
    assertEquals(allocator.chargeBytes(12), charger.charged.get(3));
    allocator.free(c);
    allocator.free(b);
    assertNothingLeft();
  }

  @Test
  void allocate_refusedByALimit_leavesNothing() {
    charger.limit = 0;
    assertThrows(IllegalStateException.class, () -> allocator.allocate(8));
    assertEquals(PercpuAllocator.NULL, allocator.tryAllocate(8));
    assertEquals(0, allocator.stats().nrChunks());
    charger.limit = Long.MAX_VALUE;
    allocator.free(allocator.allocate(8));
    assertNothingLeft();
  }

  @Test
  void allocate_osRefusesOrFails_undoesTheCharge() {
    List<Long> handles = new ArrayList<>();
    handles.add(allocator.allocate(30_000));
    handles.add(allocator.allocate(30_000));
    long charged = charger.total.get();
    pages.refuseCommit = true;
    assertEquals(PercpuAllocator.NULL, allocator.tryAllocate(30_000));
    assertThrows(UnsupportedOperationException.class, () -> allocator.allocate(30_000));
    assertEquals(2, allocator.stats().nrFailed());
    assertEquals(charged, charger.total.get());
    handles.add(allocator.allocate(4000)); // what is there already is used
    allocator.free(handles.removeLast());
    pages.refuseCommit = false;
    RuntimeException failure = new RuntimeException("injected");
    pages.throwOnCommit = failure;
    assertSame(failure, assertThrows(RuntimeException.class, () -> allocator.allocate(30_000)));
    assertSame(failure, assertThrows(RuntimeException.class, () -> allocator.tryAllocate(30_000)));
    assertEquals(charged, charger.total.get());
    allocator.checkInvariants();
    pages.throwOnCommit = null;
    handles.add(allocator.allocate(30_000));
    handles.forEach(allocator::free);
    assertNothingLeft();
  }

  @Test
  void allocate_rangeUsedUp_isRefusedUntilSomethingIsFreed() {
    List<Long> handles = new ArrayList<>();
    for (long h = allocator.tryAllocate(32768, 4096);
        h != 0;
        h = allocator.tryAllocate(32768, 4096)) {
      handles.add(h);
    }
    assertEquals(80, handles.size());
    assertThrows(UnsupportedOperationException.class, () -> allocator.allocate(32768));
    assertEquals(80 * allocator.chargeBytes(32768), charger.total.get());
    allocator.free(handles.removeLast());
    handles.add(allocator.allocate(32768));
    handles.forEach(allocator::free);
    assertNothingLeft();
  }

  @Test
  void make_osHasNoSuchRange_takesLessOrThrows() {
    TestPages small = new TestPages();
    small.maxReserveBytes = 3L * PercpuChunk.UNIT_SIZE * slots.nrSlots();
    try (PercpuAllocator less = new PercpuAllocator(slots, small, charger, CAPACITY)) {
      less.free(less.allocate(32768));
      assertTrue(small.rangeBytes <= small.maxReserveBytes);
    }
    TestPages none = new TestPages();
    none.refuseReserve = true;
    assertThrows(
        IllegalStateException.class, () -> new PercpuAllocator(slots, none, charger, CAPACITY));
  }

  // ---- counters

  @Test
  void counters_addedUpAndDown_areNativeArithmetic() {
    long longs = allocator.allocate(8);
    long ints = allocator.allocate(4);
    long unsignedBelowZero = 0;
    int wrapping = Integer.MAX_VALUE - 3;
    CpuSlot first = slots.slot(0);
    CpuSlot second = slots.slot(1);
    assertTrue(slots.tryClaim(first) && slots.tryClaim(second));
    allocator.addInt(ints, first, wrapping);
    Random random = new Random(4711);
    for (int i = 0; i < 10_000; i++) {
      CpuSlot slot =
          switch (random.nextInt(3)) {
            case 0 -> first;
            case 1 -> second;
            default -> slots.overflow();
          };
      int amount = random.nextBoolean() ? 1 : -1;
      allocator.add(longs, slot, amount);
      allocator.addInt(ints, slot, 5 * amount);
      unsignedBelowZero += amount;
      wrapping += 5 * amount;
      assertEquals(unsignedBelowZero, allocator.sum(longs));
      assertEquals(wrapping, allocator.sumInt(ints));
    }
    allocator.add(longs, first, Long.MAX_VALUE);
    allocator.add(longs, second, Long.MAX_VALUE);
    assertEquals(unsignedBelowZero - 2, allocator.sum(longs));
    long before = allocator.value(longs, 1);
    charger.slot = second;
    allocator.add(longs, 7);
    assertEquals(before + 7, allocator.value(longs, 1));
    first.release();
    second.release();
    charger.slot = null;
    allocator.add(longs, 1); // a thread without a slot
    assertEquals(unsignedBelowZero + 6, allocator.sum(longs));
    assertEquals(0, slots.nrBusy());
    allocator.free(longs);
    allocator.free(ints);
    assertNothingLeft();
  }

  @Test
  void allocate_afterAFree_isZeroInEveryCopy() {
    for (int round = 0; round < 50; round++) {
      long handle = allocator.allocate(800);
      for (int unit = 0; unit < allocator.nrUnits(); unit++) {
        for (int i = 0; i < 100; i++) {
          assertEquals(0, allocator.value(handle + 8L * i, unit));
        }
        if (unit % 2 == 0) {
          TestPages.MEMORY.asSlice(allocator.address(handle, unit), 800).fill((byte) -1);
        }
      }
      allocator.free(handle);
    }
    assertNothingLeft();
  }

  // ---- giving back

  /** So many chunks, the last of them with one object. */
  private void fillChunks(int nrChunks, int size, List<Long> handles) {
    int nrObjects = (nrChunks - 1) * (PercpuChunk.UNIT_SIZE / size) + 1;
    for (int i = 0; i < nrObjects; i++) {
      handles.add(allocator.allocate(size));
    }
    assertEquals(nrChunks, allocator.stats().nrChunks());
  }

  @Test
  void free_allChunks_givesBackAllButOne() {
    List<Long> handles = new ArrayList<>();
    fillChunks(10, 1024, handles);
    Collections.shuffle(handles, new Random(1));
    handles.forEach(allocator::free);
    PercpuStats stats = allocator.stats();
    assertEquals(1, stats.nrChunks(), stats::format);
    assertEquals(10, stats.nrMaxChunks());
    assertTrue(stats.popPages() <= PercpuChunk.UNIT_PAGES);
    assertTrue(stats.depopulatedPages() >= 8 * PercpuChunk.UNIT_PAGES);
    assertEquals(
        pages.discardedBytes,
        stats.depopulatedPages() * PercpuChunk.PAGE_SIZE * allocator.nrUnits());
    allocator.shrink();
    assertEquals(0, allocator.stats().nrChunks());
    assertEquals(0, allocator.stats().popPages());
    long committed = pages.committedBytes;
    handles.clear();
    fillChunks(10, 1024, handles);
    assertEquals(committed, pages.committedBytes, "address space is used again");
    handles.forEach(allocator::free);
    assertNothingLeft();
  }

  /** What the kernel's worker does to chunks that keep an object each. */
  @Test
  void free_mostOfEachChunk_depopulatesAndSidelines() {
    List<Long> handles = new ArrayList<>();
    fillChunks(20, 64, handles);
    handles.add(allocator.allocate(64));
    int popBefore = allocator.stats().popPages();
    List<Long> kept = new ArrayList<>();
    for (int i = 0; i < handles.size(); i++) {
      if (i % 500 == 0) {
        kept.add(handles.get(i));
      } else {
        allocator.free(handles.get(i));
      }
    }
    allocator.checkInvariants();
    PercpuStats stats = allocator.stats();
    assertTrue(stats.popPages() * 3 < popBefore, stats::format);
    assertTrue(stats.chunks().stream().anyMatch(PercpuStats.Chunk::isolated), stats::format);
    // Sidelined chunks are used before a new one is made.
    int nrChunks = stats.nrChunks();
    for (int i = 0; i < 5000; i++) {
      long handle = allocator.allocate(64);
      for (int unit = 0; unit < allocator.nrUnits(); unit++) {
        assertEquals(0, allocator.value(handle, unit));
      }
      kept.add(handle);
    }
    assertEquals(nrChunks, allocator.stats().nrChunks());
    allocator.checkInvariants();
    kept.forEach(allocator::free);
    assertNothingLeft();
  }

  @Test
  void allocateAndFree_oneObject_neverCallsTheOs() {
    long keep = allocator.allocate(8);
    allocator.free(allocator.allocate(30_000));
    long committed = pages.committedBytes;
    for (int i = 0; i < 1000; i++) {
      allocator.free(allocator.allocate(30_000));
    }
    assertEquals(committed, pages.committedBytes);
    assertEquals(0, pages.nrDiscards);
    allocator.free(keep);
    assertNothingLeft();
  }

  // ---- figures

  @Test
  void stats_tellWhatIsThere() {
    long a = allocator.allocate(100);
    long b = allocator.allocate(8);
    long c = allocator.allocate(6000);
    allocator.free(b);
    PercpuStats stats = allocator.stats();
    assertEquals(3, stats.nrAlloc());
    assertEquals(1, stats.nrDealloc());
    assertEquals(2, stats.nrCurAlloc());
    assertEquals(3, stats.nrMaxAlloc());
    assertEquals(6100, stats.curBytes());
    assertEquals(8, stats.minAllocSize());
    assertEquals(6000, stats.maxAllocSize());
    assertEquals(2, stats.popPages());
    assertEquals(0, stats.emptyPopPages());
    assertEquals(2L * 4096 * 5, stats.mappedBytes());
    PercpuStats.Chunk chunk = stats.chunks().getFirst();
    assertEquals(2, chunk.nrAlloc());
    assertEquals(PercpuChunk.UNIT_SIZE - 6100, chunk.freeBytes());
    assertEquals(100, chunk.curMinAlloc());
    assertEquals(6000, chunk.curMaxAlloc());
    assertEquals(c - a - 100, chunk.sumFrag());
    assertEquals(chunk.sumFrag(), chunk.maxFrag());
    assertFalse(chunk.isolated());
    String text = stats.format();
    assertTrue(text.startsWith("unit_size 69632"), text);
    assertTrue(text.contains("nr_cur_alloc 2"), text);
    assertTrue(text.contains("  cur_med_alloc 6000"), text);
    allocator.free(a);
    allocator.free(c);
    assertNothingLeft();
  }

  /** The kernel's percpu_alloc_test: 1 to 1024 bytes, alignments of 2 to 2048. */
  @ParameterizedTest
  @ValueSource(longs = {101, 102})
  void allocate_35000AtRandomThenFreeAll(long seed) {
    CpuSlots few = CpuSlots.create(1, 1);
    TestPages own = new TestPages();
    PercpuAllocator large = new PercpuAllocator(few, own, charger, 64 << 20);
    Random random = new Random(seed);
    long[] handles = new long[35_000];
    for (int i = 0; i < handles.length; i++) {
      int alignment = 2 << random.nextInt(11);
      handles[i] = large.allocate(1 + random.nextInt(1024), alignment);
      assertEquals(0, handles[i] % alignment, () -> "seed=" + seed);
      assertNotEquals(0, handles[i]);
    }
    assertEquals(35_000, large.nrLive());
    large.checkInvariants();
    for (long handle : handles) {
      large.free(handle);
    }
    large.checkInvariants();
    assertEquals(0, charger.total.get(), () -> "seed=" + seed);
    large.close();
    assertTrue(own.isReleased());
    allocator.close();
  }
}
