package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A cache bound to a scope. */
final class KmemCacheBoundTest {
  private static final long SEED = 0xb0_0bd5L;

  /** With a slot of its own and without; accounted and not: the same figures as the plain form. */
  @ParameterizedTest
  @ValueSource(ints = {0, 4})
  void bind_randomOperations_isAsTheCache(int nrScopeSlots) {
    Instance instance = Instance.of(CpuSlots.create(nrScopeSlots, 2));
    Random random = new Random(SEED + nrScopeSlots);
    for (boolean accounted : new boolean[] {true, false}) {
      KmemCache cache =
          KmemCache.builder(instance.kmalloc, "c").size(96).accounted(accounted).build();
      MemCgroup group = instance.root.create("a" + accounted);
      List<Long> objects = new ArrayList<>();
      try (Scope scope = instance.enter(group)) {
        KmemCache.Bound bound = cache.bind(scope);
        for (int i = 0; i < 20_000; i++) {
          if (objects.isEmpty() || random.nextInt(100) < 51) {
            objects.add(random.nextBoolean() ? bound.allocate() : cache.allocate());
            Instance.writeLong(objects.getLast(), 88, objects.getLast());
          } else {
            int last = objects.size() - 1;
            int at = random.nextInt(objects.size());
            long address = objects.set(at, objects.get(last));
            objects.remove(last);
            assertEquals(address, Instance.readLong(address, 88), () -> "seed=" + SEED);
            if (random.nextBoolean()) {
              bound.free(address);
            } else {
              cache.free(address);
            }
            if (random.nextInt(50) == 0) {
              assertThrows(IllegalArgumentException.class, () -> bound.free(address));
            }
          }
        }
        assertEquals(objects.size(), cache.info().nrObjects());
      }
      long charged = accounted ? (long) objects.size() * cache.chargeBytes() : 0;
      assertEquals(Instance.roundToPages(charged), instance.drainedUsage(group));
      objects.forEach(cache::free);
      cache.close();
    }
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void bind_movedScope_newOwnerPays() {
    Instance instance = Instance.create();
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 4096);
    ObjCgroup from = instance.handle("from");
    ObjCgroup to = instance.handle("to");
    long[] objects = new long[20];
    try (Scope scope = from.enter()) {
      KmemCache.Bound bound = cache.bind(scope);
      for (int i = 0; i < 20; i++) {
        if (i == 10) {
          scope.moveTo(to);
        }
        objects[i] = bound.allocate();
      }
    }
    long half = Instance.roundToPages(10L * cache.chargeBytes());
    assertEquals(half, instance.drainedUsage(from.group()));
    assertEquals(half, instance.drainedUsage(to.group()));
    cache.freeBulk(objects, 0, 20);
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void bind_misuse_isRefused() throws Exception {
    Instance instance = Instance.create();
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 64);
    KmemCache twin = KmemCache.create(instance.kmalloc, "d", 64);
    MemCgroup group = instance.root.create("a");
    long strange = twin.allocate();
    KmemCache.Bound stale;
    try (Scope scope = instance.enter(group)) {
      KmemCache.Bound bound = cache.bind(scope);
      stale = bound;
      long mine = bound.allocate();
      bound.free(Kmalloc.NULL);
      assertThrows(IllegalArgumentException.class, () -> bound.free(strange));
      assertThrows(IllegalArgumentException.class, () -> bound.free(mine + 8));
      Instance.elsewhere(() -> assertThrows(IllegalStateException.class, bound::allocate));
      bound.free(mine);
      group.setMax(0);
      assertEquals(Kmalloc.NULL, fillUp(bound));
      assertThrows(MemoryLimitException.class, bound::allocate);
      cache.close();
      assertThrows(IllegalStateException.class, bound::allocate);
    }
    assertThrows(IllegalStateException.class, stale::tryAllocate);
    twin.free(strange);
    twin.close();
    instance.assertNothingLeft();
    instance.close();
  }

  private static long fillUp(KmemCache.Bound bound) {
    List<Long> objects = new ArrayList<>();
    long address = bound.tryAllocate();
    while (address != Kmalloc.NULL) {
      objects.add(address);
      address = bound.tryAllocate();
    }
    objects.forEach(bound::free);
    return address;
  }
}
