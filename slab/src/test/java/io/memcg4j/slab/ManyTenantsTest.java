package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Many tenants with a few objects each on one slot: words bound what they keep from each other. */
final class ManyTenantsTest {
  private static final int NR_STOCKS_KEPT = 1024; // per slot
  private static final int NR_TENANTS = 1000;

  /** A tenant keeps one word of a class that it has an object of, and a word is at most a page. */
  @ParameterizedTest
  @CsvSource({"64, 1", "64, 3", "512, 2", "24, 5", "4096, 1"})
  void allocate_thousandTenantsRoundRobin_oneWordEach(int size, int objectsEach) {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      List<ObjCgroup> tenants = tenants(instance);
      List<Long> objects = new ArrayList<>();
      for (int i = 0; i < objectsEach; i++) {
        for (ObjCgroup tenant : tenants) {
          try (Scope _ = tenant.enter()) {
            objects.add(instance.kmalloc.allocate(size));
          }
        }
      }
      SlabGeometry geometry = SlabGeometry.of(0, size);
      long nrWords = (long) NR_TENANTS * wordsFor(geometry, objectsEach);
      long nrSlabs = (nrWords + geometry.nrWords() - 1) / geometry.nrWords() + 1;
      long bound = (nrSlabs * geometry.nrChunks()) << SlabGeometry.CHUNK_SHIFT;
      long mapped = instance.kmalloc.info().mappedBytes();
      assertTrue(mapped <= bound, () -> "mapped=" + mapped + " bound=" + bound);
      long wordBytes = Math.max(Instance.PAGE, (long) geometry.objectsPerWord() * size);
      assertTrue(mapped <= (NR_TENANTS + 64) * wordBytes * 2, () -> "mapped=" + mapped);
      for (ObjCgroup tenant : tenants) {
        assertEquals(
            Instance.roundToPages(objectsEach * Instance.chargeOf(size)),
            instance.drainedUsage(tenant.group()));
      }
      objects.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  private static int wordsFor(SlabGeometry geometry, int nrObjects) {
    return (nrObjects + geometry.objectsPerWord() - 1) / geometry.objectsPerWord();
  }

  /** All day long: objects come and go, and memory does not creep up. */
  @Test
  void allocateAndFree_thousandTenantsChurning_memoryStaysBounded() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      List<ObjCgroup> tenants = tenants(instance);
      Random random = new Random(5);
      int[] sizes = {32, 64, 200, 1000};
      Map<ObjCgroup, List<Long>> objects = new HashMap<>();
      tenants.forEach(tenant -> objects.put(tenant, new ArrayList<>()));
      long nrWordsBound = 0;
      for (int round = 0; round < 30; round++) {
        for (ObjCgroup tenant : tenants) {
          List<Long> mine = objects.get(tenant);
          try (Scope scope = tenant.enter()) {
            Kmalloc.Bound bound = instance.kmalloc.bind(scope);
            while (mine.size() > 4) {
              bound.free(mine.remove(random.nextInt(mine.size())));
            }
            mine.add(bound.allocate(sizes[random.nextInt(sizes.length)]));
            mine.add(bound.allocate(sizes[random.nextInt(sizes.length)]));
          }
        }
      }
      // At worst each of a tenant's objects is in a word of its own.
      for (List<Long> mine : objects.values()) {
        nrWordsBound += mine.size();
      }
      instance.kmalloc.shrink();
      long mapped = instance.kmalloc.info().mappedBytes();
      long bound = (nrWordsBound + (long) NR_TENANTS * sizes.length) * Instance.PAGE;
      assertTrue(mapped <= bound, () -> "mapped=" + mapped + " bound=" + bound);
      objects.values().forEach(mine -> mine.forEach(instance.kmalloc::free));
      instance.assertNothingLeft();
    }
  }

  /** Stocks of tenants that have nothing on a slot any more do not pile up there. */
  @Test
  void allocateAndFree_thousandsOfTenantsOneAfterTheOther_keepsNotAllStocks() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      for (int i = 0; i < 3 * NR_STOCKS_KEPT; i++) {
        try (Scope _ = instance.handle("t" + i).enter()) {
          instance.kmalloc.free(instance.kmalloc.allocate(64));
        }
      }
      assertTrue(
          instance.registry().nrStocks() <= NR_STOCKS_KEPT + MemCgroup.STOCK_GROUPS,
          () -> "nrStocks=" + instance.registry().nrStocks());
      instance.assertNothingLeft();
    }
  }

  private static List<ObjCgroup> tenants(Instance instance) {
    List<ObjCgroup> tenants = new ArrayList<>();
    for (int i = 0; i < NR_TENANTS; i++) {
      tenants.add(instance.handle("t" + i));
    }
    return tenants;
  }
}
