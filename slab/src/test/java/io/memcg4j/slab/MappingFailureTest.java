package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The OS has no memory: a refusal like any other, with nothing left behind. */
final class MappingFailureTest {
  @ParameterizedTest
  @ValueSource(ints = {8, 64, 1000, 8192, 8193, 100_000, 16 << 20})
  void allocate_osRefuses_isALimitRefusalAndNothingIsCharged(int size) {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("p").create("a");
      Kmalloc kmalloc = instance.kmalloc;
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.enter(group)) {
        objects.add(kmalloc.allocate(size));
      }
      instance.pages.refuse(true);
      try (Scope _ = instance.enter(group)) {
        for (long a = kmalloc.tryAllocate(size); a != 0; a = kmalloc.tryAllocate(size)) {
          objects.add(a);
          Instance.write(a, size - 1, 1);
        }
      }
      assertTrue(instance.pages.nrRefusals() > 0);
      long usage = instance.drainedUsage(group);
      assertEquals(Instance.roundToPages(objects.size() * Instance.chargeOf(size)), usage);
      SlabInfo info = kmalloc.info();
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 20; i++) {
          MemoryLimitException e =
              assertThrows(MemoryLimitException.class, () -> bound.allocate(size));
          assertEquals(MemoryLimitException.OS, e.limitedBy());
          assertEquals("/p/a", e.group());
          assertEquals(size, e.requestedBytes());
          assertTrue(e.retryable());
          assertTrue(
              e.getMessage().startsWith("memory refused by the OS: group=/p/a limitedBy=os"),
              e::getMessage);
          assertEquals(Kmalloc.NULL, kmalloc.tryAllocateZeroed(size));
          assertEquals(Kmalloc.NULL, bound.tryAllocateAligned(size, 1 << 15));
          assertEquals(Kmalloc.NULL, bound.tryReallocate(objects.getFirst(), 32 << 20));
        }
      }
      assertEquals(usage, instance.drainedUsage(group));
      assertEquals(0, group.events().max(), "the group refused nothing");
      assertEquals(info.nrObjects(), kmalloc.info().nrObjects());
      assertEquals(info.mappedBytes(), kmalloc.info().mappedBytes());

      instance.pages.refuse(false);
      try (Scope _ = instance.enter(group)) {
        for (int i = 0; i < 300; i++) {
          objects.add(kmalloc.allocate(size));
          Instance.write(objects.getLast(), size - 1, 1);
        }
      }
      objects.forEach(kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_osRefusesOutsideAnyScope_isRefused() {
    try (Instance instance = Instance.create()) {
      instance.pages.refuse(true);
      MemoryLimitException e =
          assertThrows(MemoryLimitException.class, () -> instance.kmalloc.allocate(64));
      assertEquals("/", e.group());
      assertThrows(MemoryLimitException.class, () -> instance.kmalloc.allocate(1 << 20));
      instance.pages.refuse(false);
      instance.kmalloc.free(instance.kmalloc.allocate(64));
      instance.assertNothingLeft();
    }
  }

  /** Memory that is mapped already is used, though the OS gives no more. */
  @Test
  void allocate_osRefusesButMemoryIsRetained_isGranted() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope _ = instance.handle("a").enter()) {
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
          objects.add(kmalloc.allocate(1000));
        }
        instance.pages.refuse(true);
        objects.forEach(kmalloc::free);
        objects.clear();
        for (int i = 0; i < 200; i++) {
          objects.add(kmalloc.allocate(8192));
          objects.add(kmalloc.allocate(100));
        }
        objects.forEach(kmalloc::free);
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void reallocate_osRefuses_leavesTheObject() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      MemCgroup group = instance.root.create("a");
      try (Scope _ = instance.enter(group)) {
        long small = kmalloc.allocate(100);
        long large = kmalloc.allocate(100_000);
        Instance.fill(small, 100, 1);
        Instance.fill(large, 100_000, 2);
        instance.pages.refuse(true);
        for (long nrBytes : new long[] {8 << 20, 100 << 20}) {
          assertThrows(MemoryLimitException.class, () -> kmalloc.reallocate(small, nrBytes));
          assertThrows(MemoryLimitException.class, () -> kmalloc.reallocate(large, nrBytes));
          assertEquals(Kmalloc.NULL, kmalloc.tryReallocate(large, nrBytes));
        }
        assertEquals(1, Instance.read(small, 99));
        assertEquals(2, Instance.read(large, 99_999));
        assertEquals(2, kmalloc.info().nrObjects());
        kmalloc.free(small);
        kmalloc.free(large);
      }
      instance.assertNothingLeft();
    }
  }
}
