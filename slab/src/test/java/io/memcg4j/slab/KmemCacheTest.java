package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Caches of objects of one size. */
final class KmemCacheTest {
  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "8, 8",
    "9, 8",
    "40, 8",
    "40, 64",
    "100, 256",
    "777, 32",
    "1000, 4096",
    "4096, 4096",
    "5000, 8",
    "8192, 8192",
    "8, 8192"
  })
  void allocate_anySizeAndAlignment_isAlignedAndApart(int size, int alignment) {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "c", size, alignment)) {
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.handle("a").enter()) {
        for (int i = 0; i < 300; i++) {
          long address = cache.allocate();
          assertEquals(0, address % alignment);
          assertTrue(instance.kmalloc.usableSize(address) >= size);
          Instance.fill(address, size, i);
          objects.add(address);
        }
        for (int i = 0; i < 300; i++) {
          assertEquals((byte) i, Instance.read(objects.get(i), 0));
          assertEquals((byte) i, Instance.read(objects.get(i), size - 1));
        }
      }
      assertEquals(
          Instance.roundToPages(300L * cache.chargeBytes()), instance.drainedUsage(instance.root));
      objects.forEach(cache::free);
      assertEquals("c", cache.name());
      assertEquals(size, cache.objectSize());
    }
  }

  @Test
  void allocateZeroed_reusedObject_isZero() {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "c", 300)) {
      for (int i = 0; i < 100; i++) {
        long address = cache.allocateZeroed();
        for (int offset = 0; offset < 300; offset++) {
          assertEquals(0, Instance.read(address, offset));
        }
        Instance.fill(address, 300, 0xee);
        cache.free(address);
      }
    }
  }

  @Test
  void create_illegalArgument_isRefused() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      for (String name : new String[] {"", " ", "a b", "a\tb", "a\n"}) {
        assertThrows(IllegalArgumentException.class, () -> KmemCache.create(kmalloc, name, 8));
      }
      for (int size : new int[] {0, -1, Integer.MIN_VALUE, 8193, Integer.MAX_VALUE}) {
        IllegalArgumentException e =
            assertThrows(
                IllegalArgumentException.class, () -> KmemCache.create(kmalloc, "c", size));
        assertTrue(e.getMessage().contains("objectSize=" + size), e::getMessage);
      }
      for (int alignment : new int[] {0, -8, 3, 24, 16_384, Integer.MIN_VALUE}) {
        IllegalArgumentException e =
            assertThrows(
                IllegalArgumentException.class, () -> KmemCache.create(kmalloc, "c", 8, alignment));
        assertTrue(e.getMessage().contains("alignment=" + alignment), e::getMessage);
      }
    }
  }

  @Test
  void free_objectOfAnotherCache_throwsAndChangesNothing() {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "c", 64);
        KmemCache twin = KmemCache.create(instance.kmalloc, "d", 64)) {
      long mine = cache.allocate();
      long others = twin.allocate();
      long general = instance.kmalloc.allocate(64);
      long large = instance.kmalloc.allocate(100_000);
      for (long address : new long[] {others, general, large}) {
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> cache.free(address));
        assertTrue(e.getMessage().startsWith("free to the wrong cache: "), e::getMessage);
      }
      for (long address : new long[] {mine + 8, 1, -1}) {
        assertThrows(IllegalArgumentException.class, () -> cache.free(address));
      }
      assertEquals(4, instance.kmalloc.info().nrObjects());
      cache.free(Kmalloc.NULL);
      cache.free(mine);
      assertThrows(IllegalArgumentException.class, () -> cache.free(mine));
      instance.kmalloc.free(others); // as kfree takes any object
      instance.kmalloc.free(general);
      instance.kmalloc.free(large);
    }
  }

  @Test
  void allocate_twoCaches_neverShareASlab() {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "c", 64);
        KmemCache twin = KmemCache.create(instance.kmalloc, "d", 64)) {
      Set<Long> slabs = new HashSet<>();
      Set<Long> twinSlabs = new HashSet<>();
      List<Long> objects = new ArrayList<>();
      for (int i = 0; i < 2000; i++) {
        objects.add(cache.allocate());
        slabs.add(instance.allocator().slabOf(objects.getLast()).base);
        objects.add(twin.allocate());
        twinSlabs.add(instance.allocator().slabOf(objects.getLast()).base);
      }
      twinSlabs.retainAll(slabs);
      assertEquals(Set.of(), twinSlabs);
      objects.forEach(instance.kmalloc::free);
    }
  }

  @Test
  void close_liveObjects_reportsThemAndStaysOpen() {
    try (Instance instance = Instance.create()) {
      KmemCache cache = KmemCache.create(instance.kmalloc, "sessions", 40);
      ObjCgroup handle = instance.handle("a");
      long address;
      try (Scope _ = handle.enter()) {
        address = cache.allocate();
        instance.kmalloc.free(instance.kmalloc.allocate(40));
      }
      long other = instance.kmalloc.allocate(40);
      IllegalStateException e = assertThrows(IllegalStateException.class, cache::close);
      assertEquals(
          "cache closed with live objects: cache=sessions nrObjects=1"
              + " [group=/a objectSize=40 nrObjects=1]",
          e.getMessage());
      long another = cache.allocate();
      cache.free(another);
      cache.free(address);
      cache.close();
      cache.close();
      IllegalStateException closed = assertThrows(IllegalStateException.class, cache::allocate);
      assertTrue(closed.getMessage().contains("sessions"), closed::getMessage);
      assertThrows(IllegalStateException.class, cache::tryAllocate);
      assertThrows(IllegalStateException.class, cache::allocateZeroed);
      instance.kmalloc.free(other);
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_overMax_isRefused() {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "c", 1000)) {
      MemCgroup group = instance.root.create("a");
      group.setMax(64 << 10);
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.enter(group)) {
        for (long a = cache.tryAllocate(); a != 0; a = cache.tryAllocate()) {
          objects.add(a);
        }
        assertEquals((64 << 10) / cache.chargeBytes(), objects.size());
        MemoryLimitException e = assertThrows(MemoryLimitException.class, cache::allocate);
        assertEquals("/a", e.limitedBy());
        assertEquals(1000, e.requestedBytes());
      }
      objects.forEach(cache::free);
      assertEquals(0, instance.drainedUsage(group));
    }
  }

  /** Caches that come and go must not leave anything behind that grows. */
  @Test
  void create_manyCaches_memoryIsReused() {
    try (Instance instance = Instance.create()) {
      for (int i = 0; i < 500; i++) {
        try (KmemCache cache = KmemCache.create(instance.kmalloc, "c" + i, 8 + i * 16)) {
          cache.free(cache.allocate());
        }
      }
      assertTrue(
          instance.kmalloc.info().peakMappedBytes() <= 4 * 65_536,
          () -> instance.kmalloc.info().toString());
      instance.assertNothingLeft();
    }
  }
}
