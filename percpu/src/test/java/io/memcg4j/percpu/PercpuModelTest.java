package io.memcg4j.percpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random sizes, alignments, payers, frees, bad frees and refusals against a model that knows where
 * every object lies and what is in every copy of it.
 */
final class PercpuModelTest {
  private record Live(int size, int payer, byte pattern) {}

  private final CpuSlots slots = CpuSlots.create(3, 2);
  private final TestPages pages = new TestPages();
  private final TestCharger charger = new TestCharger();
  private final TreeMap<Long, Live> model = new TreeMap<>();
  private final List<Long> handles = new ArrayList<>();
  private long modelCharged;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void randomOperations_agreeWithTheModel(long seed) {
    Random random = new Random(seed);
    // Seeds differ in how large objects are, and whether the range is ever used up.
    int maxSize = seed % 2 == 0 ? 2000 : PercpuAllocator.MAX_SIZE;
    int nrTargets = maxSize == 2000 ? 1500 : 60;
    long capacity = seed % 4 < 2 ? 12L * PercpuChunk.UNIT_SIZE : 4L * PercpuChunk.UNIT_SIZE;
    PercpuAllocator allocator = new PercpuAllocator(slots, pages, charger, capacity);
    String where = "seed=" + seed;
    for (int step = 0; step < 8000; step++) {
      // The number of live objects swings, so that chunks come, go and are depopulated.
      boolean growing = (step / 2000) % 2 == 0;
      int what = random.nextInt(100);
      if (what < 2) {
        badFree(allocator, random, where);
      } else if (what == 2 && random.nextInt(10) == 0) {
        allocator.shrink();
        assertEquals(0, allocator.stats().emptyPopPages(), where);
      } else if (handles.size() < nrTargets && random.nextInt(100) < (growing ? 70 : 15)) {
        allocate(allocator, random, maxSize, where);
      } else if (!handles.isEmpty()) {
        free(allocator, random, where);
      }
      if (step % 97 == 0) {
        allocator.checkInvariants();
        check(allocator, where);
      }
    }
    while (!handles.isEmpty()) {
      free(allocator, random, where);
    }
    allocator.checkInvariants();
    check(allocator, where);
    PercpuStats stats = allocator.stats();
    assertTrue(stats.nrChunks() <= 1, () -> where + " " + stats);
    assertTrue(stats.nrMaxChunks() > 1, () -> where + " " + stats);
    allocator.close();
    assertTrue(pages.isReleased(), where);
  }

  private void allocate(PercpuAllocator allocator, Random random, int maxSize, String where) {
    int size = 1 + random.nextInt(random.nextInt(2) == 0 ? maxSize : Math.min(maxSize, 64));
    int alignment = 1 << random.nextInt(random.nextInt(8) == 0 ? 13 : 5);
    charger.payer = random.nextInt(4);
    long mine = allocator.chargeBytes(size);
    boolean refuse = random.nextInt(20) == 0;
    charger.limit = refuse ? charger.total.get() + mine - 1 : Long.MAX_VALUE;
    long handle = allocator.tryAllocate(size, alignment);
    if (handle == PercpuAllocator.NULL) {
      boolean limited = refuse && charger.payer != PercpuCharger.NOBODY;
      assertTrue(limited || allocator.stats().nrFailed() > 0, where);
      return;
    }
    int rounded = (size + 3) & -4;
    assertEquals(0, handle % Math.max(4, alignment), where);
    Map.Entry<Long, Live> before = model.floorEntry(handle);
    assertTrue(before == null || before.getKey() + before.getValue().size() <= handle, where);
    Long after = model.higherKey(handle);
    assertTrue(after == null || handle + rounded <= after, where);
    byte pattern = (byte) (1 + random.nextInt(120));
    for (int unit = 0; unit < slots.nrSlots(); unit++) {
      long address = allocator.address(handle, unit);
      assertTrue(
          address >= pages.base && address + rounded <= pages.base + pages.rangeBytes, where);
      for (int i = 0; i < rounded; i++) {
        assertEquals(0, TestPages.MEMORY.get(JAVA_BYTE, address + i), where);
        TestPages.MEMORY.set(JAVA_BYTE, address + i, (byte) (pattern + unit));
      }
    }
    model.put(handle, new Live(rounded, charger.payer, pattern));
    handles.add(handle);
    modelCharged += charger.payer == PercpuCharger.NOBODY ? 0 : mine;
  }

  private void free(PercpuAllocator allocator, Random random, String where) {
    int victim = random.nextInt(handles.size());
    long handle = handles.get(victim);
    handles.set(victim, handles.getLast());
    handles.removeLast();
    Live live = model.remove(handle);
    assertNotNull(live, where);
    assertEquals(live.size(), allocator.size(handle), where);
    for (int unit = 0; unit < slots.nrSlots(); unit++) {
      long address = allocator.address(handle, unit);
      for (int i = 0; i < live.size(); i++) {
        assertEquals(
            (byte) (live.pattern() + unit), TestPages.MEMORY.get(JAVA_BYTE, address + i), where);
      }
    }
    allocator.free(handle);
    modelCharged -= live.payer() == PercpuCharger.NOBODY ? 0 : allocator.chargeBytes(live.size());
  }

  private void badFree(PercpuAllocator allocator, Random random, String where) {
    long address = pages.base + random.nextLong(-100, pages.rangeBytes + 100);
    if (!model.containsKey(address) && address != 0) {
      assertThrows(IllegalArgumentException.class, () -> allocator.free(address), where);
    }
  }

  private void check(PercpuAllocator allocator, String where) {
    assertEquals(modelCharged, charger.total.get(), where);
    assertEquals(model.size(), allocator.nrLive(), where);
    TreeMap<Long, Live> seen = new TreeMap<>();
    allocator.forEach((handle, nrBytes, payer) -> {
      Live live = model.get(handle);
      assertNotNull(live, where);
      assertEquals(live.payer(), payer, where);
      assertEquals(live.size(), nrBytes, where);
      seen.put(handle, live);
    });
    assertEquals(model, seen, where);
  }
}
