package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Areas, one thread. */
final class VmallocTest {
  private static final long PAGE = Instance.PAGE;

  private Instance instance;
  private Vmalloc vmalloc;
  private MemCgroup group;

  @BeforeEach
  void open() {
    instance = Instance.create();
    vmalloc = instance.kmalloc.vmalloc();
    group = instance.root.create("a");
  }

  @AfterEach
  void everythingIsGivenBack() {
    if (vmalloc != instance.kmalloc.vmalloc()) {
      assertEquals(0, vmalloc.info().nrAreas());
      vmalloc.close();
    }
    instance.assertNoAreasLeft();
    instance.close();
  }

  private void useQuiet() {
    vmalloc = instance.quietVmalloc();
  }

  private VmallocArea area(long address) {
    return Objects.requireNonNull(
        vmalloc.find(address), () -> "no area: address=0x" + Long.toHexString(address));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 4095, 4096, 4097, 100_000, 1 << 20, 5_000_001})
  void allocate_anySize_isUsableFoundAndCharged(long nrBytes) {
    long charged = Instance.roundToPages(nrBytes);
    for (LongUnaryOperator form :
        List.<LongUnaryOperator>of(
            vmalloc::allocate,
            vmalloc::tryAllocate,
            vmalloc::allocateZeroed,
            vmalloc::tryAllocateZeroed,
            size -> vmalloc.allocateAligned(size, 1),
            size -> vmalloc.tryAllocateAligned(size, 8192),
            size -> vmalloc.reallocate(Vmalloc.NULL, size))) {
      long address = instance.in(group, () -> form.applyAsLong(nrBytes));
      assertEquals(0, address % PAGE);
      assertEquals(charged, vmalloc.usableSize(address));
      for (long offset = 0; offset < charged; offset += PAGE / 2) {
        assertEquals(0, Instance.readLong(address, offset), "fresh pages are zero");
        Instance.writeLong(address, offset, offset);
      }
      VmallocArea area = area(address);
      assertEquals(address, area.start());
      assertEquals(nrBytes, area.nrBytes());
      assertEquals(charged, area.chargedBytes());
      assertEquals(charged / PAGE, area.nrPages());
      assertEquals("/a", area.tenant());
      assertEquals(area, vmalloc.find(address + charged - 1), "interior");
      assertNull(vmalloc.find(address + charged), "the guard page is in no area");
      assertNull(vmalloc.find(address + charged + PAGE - 1));
      assertNull(vmalloc.find(address - 1), "the guard page before");
      assertEquals(charged, vmalloc.info().usedBytes());
      assertEquals(1, vmalloc.info().nrAreas());
      assertEquals(charged, instance.drainedUsage(group));
      assertEquals(charged, group.flush().vmalloc());
      vmalloc.free(address);
      assertNull(vmalloc.find(address));
      assertEquals(0, instance.drainedUsage(group), "uncharged at once");
      assertEquals(0, group.flush().vmalloc());
    }
  }

  @Test
  void allocate_outsideAnyScope_isNotCharged() {
    long address = vmalloc.allocate(10_000);
    assertEquals("/", area(address).tenant());
    assertEquals(0, instance.drainedUsage(instance.root));
    vmalloc.free(address);
    vmalloc.free(Vmalloc.NULL);
  }

  @Test
  void allocate_illegalSizeOrAlignment_isRefusedClearly() {
    for (long nrBytes : new long[] {0, -1, Long.MIN_VALUE, 1L << 40, Long.MAX_VALUE}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> vmalloc.allocate(nrBytes));
      assertTrue(
          e.getMessage().startsWith("size out of range: nrBytes=" + nrBytes + " legal=1.."),
          e::getMessage);
    }
    for (long alignment : new long[] {0, 3, -4096, 1L << 50, Long.MIN_VALUE}) {
      assertThrows(IllegalArgumentException.class, () -> vmalloc.allocateAligned(1, alignment));
    }
  }

  @Test
  void allocateSegment_isBoundedToTheSize() {
    MemorySegment segment = vmalloc.allocateSegment(10_000);
    assertEquals(10_000, segment.byteSize());
    segment.set(ValueLayout.JAVA_BYTE, 9_999, (byte) 1);
    assertThrows(IndexOutOfBoundsException.class, () -> segment.get(ValueLayout.JAVA_BYTE, 10_000));
    assertThrows(
        IllegalArgumentException.class, () -> vmalloc.free(MemorySegment.ofArray(new byte[1])));
    vmalloc.free(segment);
  }

  /** A freed address rests until the purge; then it serves areas of its size, without memory. */
  @Test
  void free_isLazy_addressIsUsedAgainOnlyAfterThePurge() {
    useQuiet();
    long first = vmalloc.allocate(3 * PAGE);
    Instance.fill(first, 3 * PAGE, 7);
    vmalloc.free(first);
    assertEquals(3 * PAGE, vmalloc.info().lazyBytes());
    assertEquals(1, vmalloc.info().nrLazyAreas());
    assertTrue(vmalloc.vmallocinfo().contains("unpurged vm_area"), vmalloc::vmallocinfo);
    long second = vmalloc.allocate(3 * PAGE);
    assertNotEquals(first, second);
    vmalloc.purge();
    assertEquals(0, vmalloc.info().lazyBytes());
    assertEquals(3 * PAGE, vmalloc.info().pooledBytes());
    assertEquals(1, vmalloc.info().nrPurges());
    long other = vmalloc.allocate(2 * PAGE);
    assertNotEquals(first, other, "pools are by size");
    long third = vmalloc.allocate(3 * PAGE);
    assertEquals(first, third);
    assertEquals(0, Instance.read(third, 0), "its memory was given back");
    assertEquals(0, Instance.read(third, 3 * PAGE - 1));
    vmalloc.free(second);
    vmalloc.free(other);
    vmalloc.free(third);
    vmalloc.shrink();
  }

  @Test
  void purge_poolsDecay_untilNothingIsKept() {
    useQuiet();
    List<Long> areas = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      areas.add(vmalloc.allocate(PAGE));
    }
    areas.forEach(vmalloc::free);
    vmalloc.purge();
    long pooled = vmalloc.info().pooledBytes();
    assertEquals(100 * PAGE, pooled);
    for (int round = 0; round < 40 && pooled > 0; round++) {
      long trigger = vmalloc.allocate(300 * PAGE); // above the pools' sizes
      vmalloc.free(trigger);
      vmalloc.purge();
      long now = vmalloc.info().pooledBytes();
      assertTrue(now < pooled, "a quarter goes each time");
      pooled = now;
    }
    assertEquals(0, pooled);
    vmalloc.shrink();
  }

  @Test
  void shrink_givesEverythingBack() {
    long address = vmalloc.allocate(1 << 20);
    vmalloc.free(address);
    assertEquals(1 << 20, instance.kmalloc.shrink());
    assertEquals(0, vmalloc.info().lazyBytes());
    assertEquals(0, vmalloc.info().pooledBytes());
    assertEquals(0, vmalloc.shrink());
  }

  // ---- reallocate

  @Test
  void reallocate_shrink_staysAndGivesBack() {
    long address = instance.in(group, () -> vmalloc.allocate(10 * PAGE));
    Instance.fill(address, 10 * PAGE, 5);
    assertEquals(address, vmalloc.reallocate(address, 2 * PAGE + 1));
    assertEquals(3 * PAGE, instance.drainedUsage(group));
    assertEquals(3 * PAGE, vmalloc.info().usedBytes());
    assertEquals(2 * PAGE + 1, area(address).nrBytes());
    assertNull(vmalloc.find(address + 3 * PAGE));
    assertEquals(5, Instance.read(address, 3 * PAGE - 1));
    // The addresses are still its own, the memory is fresh.
    assertEquals(address, vmalloc.reallocate(address, 9 * PAGE));
    assertEquals(5, Instance.read(address, 3 * PAGE - 1));
    assertEquals(0, Instance.read(address, 3 * PAGE));
    assertEquals(9 * PAGE, instance.drainedUsage(group));
    vmalloc.free(address);
  }

  @Test
  void reallocate_grow_inPlaceIntoFreeAddresses() {
    long address = instance.in(group, () -> vmalloc.allocate(PAGE));
    Instance.fill(address, PAGE, 9);
    for (long nrPages : new long[] {2, 3, 100, 1000}) {
      assertEquals(address, vmalloc.reallocate(address, nrPages * PAGE));
      assertEquals(nrPages * PAGE, instance.drainedUsage(group));
      assertEquals(area(address), vmalloc.find(address + nrPages * PAGE - 1));
      assertNull(vmalloc.find(address + nrPages * PAGE));
      Instance.fill(address, nrPages * PAGE, 9);
    }
    long behind = instance.in(group, () -> vmalloc.allocate(PAGE));
    assertEquals(address + 1001 * PAGE, behind, "behind the guard page");
    long moved = instance.in(group, () -> vmalloc.reallocate(address, 1001 * PAGE));
    assertNotEquals(address, moved, "the way is blocked");
    assertNull(vmalloc.find(address));
    assertEquals(9, Instance.read(moved, 1000 * PAGE - 1));
    long alsoBehind = instance.in(group, () -> vmalloc.allocate(PAGE));
    assertEquals(moved, vmalloc.reallocate(moved, 2000 * PAGE), "it was left room to grow");
    assertEquals(2002 * PAGE, instance.drainedUsage(group));
    vmalloc.free(behind);
    vmalloc.free(alsoBehind);
    vmalloc.free(moved);
  }

  @Test
  void reallocate_withinThePage_changesOnlyTheSize() {
    long address = vmalloc.allocate(100);
    assertEquals(address, vmalloc.reallocate(address, 4096));
    assertEquals(4096, area(address).nrBytes());
    assertEquals(address, vmalloc.tryReallocate(address, 1));
    assertEquals(1, area(address).nrBytes());
    vmalloc.free(address);
  }

  // ---- bad addresses

  @Test
  void free_ofAnythingButAnArea_throwsAndChangesNothing() {
    useQuiet();
    try (Scope _ = instance.enter(group)) {
      long address = vmalloc.allocate(2 * PAGE);
      long freed = vmalloc.allocate(PAGE);
      vmalloc.free(freed);
      long slabObject = instance.kmalloc.allocate(100_000);
      VmallocInfo before = vmalloc.info();
      assertBad("free of an interior address: address=0x", address + 8);
      assertBad("free of an interior address: address=0x", address + PAGE);
      assertBad("double free: free: address=0x", freed);
      assertBad("wild free: address=0x", address + 2 * PAGE);
      assertBad("wild free: address=0x", 8);
      assertBad("wild free: address=0x", -8);
      assertBad("wild free: address=0x", slabObject);
      assertThrows(IllegalArgumentException.class, () -> instance.kmalloc.free(address));
      assertThrows(IllegalArgumentException.class, () -> vmalloc.reallocate(freed, 1));
      assertThrows(IllegalArgumentException.class, () -> vmalloc.reallocate(address + 1, 1));
      assertThrows(IllegalArgumentException.class, () -> vmalloc.reallocate(address, 0));
      assertThrows(IllegalArgumentException.class, () -> vmalloc.usableSize(freed));
      assertThrows(IllegalArgumentException.class, () -> vmalloc.usableSize(address + 8));
      assertEquals(before, vmalloc.info());
      vmalloc.purge();
      assertBad("double free: free: address=0x", freed);
      vmalloc.shrink();
      assertBad("wild free: address=0x", freed);
      instance.kmalloc.free(slabObject);
      vmalloc.free(address);
    }
    vmalloc.shrink();
  }

  private void assertBad(String reason, long address) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> vmalloc.free(address));
    assertTrue(e.getMessage().startsWith(reason), e::getMessage);
  }

  // ---- vmallocinfo

  @Test
  void vmallocinfo_isSortedInTheKernelsLayout() {
    List<Long> areas = new ArrayList<>();
    try (Scope _ = instance.enter(group)) {
      for (int nrPages : new int[] {3, 1, 200, 2}) {
        areas.add(vmalloc.allocate(nrPages * PAGE));
      }
    }
    vmalloc.recordCallers(false);
    areas.add(vmalloc.allocate(PAGE));
    List<String> lines = vmalloc.vmallocinfo().lines().toList();
    assertEquals(5, lines.size());
    assertEquals(lines.stream().sorted().toList(), lines);
    String line = lines.getFirst();
    assertTrue(
        line.matches("0x[0-9a-f]{16}-0x[0-9a-f]{16}   16384 \\S+ pages=3 vmalloc tenant=/a"), line);
    assertTrue(lines.getLast().contains(" - pages=1 vmalloc tenant=/"), lines::getLast);
    List<Long> walked = new ArrayList<>();
    vmalloc.forEach(area -> walked.add(area.start()));
    assertEquals(areas.stream().sorted().toList(), walked);
    assertEquals(
        "VmallocTotal:   16777216 kB\nVmallocUsed:         828 kB\nVmallocChunk:          0 kB\n",
        vmalloc.info().meminfo());
    areas.forEach(vmalloc::free);
  }

  // ---- close

  @Test
  void close_withLiveAreas_reportsThemAndStaysOpen() {
    long address;
    try (Scope _ = instance.enter(group)) {
      address = vmalloc.allocate(5 * PAGE);
    }
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> instance.kmalloc.close());
    assertTrue(
        e.getMessage()
            .startsWith("allocator closed with live areas: nrAreas=1 usedBytes=20480 [0x"),
        e::getMessage);
    assertTrue(e.getMessage().contains("tenant=/a"), e::getMessage);
    vmalloc.free(vmalloc.allocate(1));
    vmalloc.free(address);
    long releasedBefore = instance.pages.releasedBytes();
    instance.kmalloc.close();
    assertEquals(
        2 * Instance.DEFAULT_RANGE_BYTES + (1 << 15),
        instance.pages.releasedBytes() - releasedBefore);
    assertThrows(IllegalStateException.class, () -> vmalloc.allocate(1));
    assertThrows(IllegalStateException.class, () -> open2().vmalloc());
    assertFalse(vmalloc.info().nrAreas() > 0);
    open();
  }

  private static Kmalloc open2() {
    Kmalloc closed = Kmalloc.builder(MemCgroup.root()).rangeBytes(1 << 22).build();
    closed.close();
    return closed;
  }
}
