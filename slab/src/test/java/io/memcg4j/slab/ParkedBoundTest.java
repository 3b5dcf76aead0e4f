package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is charged in advance for a group stays below the published bound, whatever was done. */
final class ParkedBoundTest {
  private static final int NR_SCOPE_SLOTS = 6;
  private static final int NR_SHARED_SLOTS = 2;

  /** The published bound: a fraction of max, or one page a slot. */
  private static long boundBytes(MemCgroup group) {
    int nrSlots = NR_SCOPE_SLOTS + NR_SHARED_SLOTS;
    long onePageEach = nrSlots * Instance.PAGE;
    long budget = (long) MemCgroup.STOCK_GROUPS * nrSlots * group.stockBudgetBytes();
    return Math.max(
        onePageEach,
        group.max() == MemCgroup.UNLIMITED ? budget : group.max() / MemCgroup.MAX_STOCK_FRACTION);
  }

  @ParameterizedTest
  @CsvSource({"65536", "262144", "1048576", "4194304", "67108864", "9223372036854775807"})
  void allocateAndFree_manyClassesOnAllSlots_parkedStaysInTheBound(long maxBytes) {
    try (Instance instance = Instance.of(CpuSlots.create(NR_SCOPE_SLOTS, NR_SHARED_SLOTS))) {
      MemCgroup group = instance.root.create("a");
      group.setMax(maxBytes);
      ObjCgroup handle = ObjCgroup.of(group);
      Random random = new Random(maxBytes);
      List<Long> kept = new ArrayList<>();
      long most = 0;
      for (int round = 0; round < 9; round++) {
        for (int slot = 0; slot < NR_SCOPE_SLOTS; slot++) {
          try (OnSlot _ = new OnSlot(instance, slot);
              Scope _ = handle.enter()) {
            useAllClasses(instance, random, kept, round);
          }
          useAllClassesOnAnySlot(instance, handle, random);
          most = Math.max(most, parkedBytes(instance, group));
        }
        long parked = most;
        long bound = boundBytes(group);
        assertTrue(
            parked <= bound, "round=" + round + " parkedBytes=" + parked + " boundBytes=" + bound);
        if (round % 3 == 2) {
          group.drain();
          kept.forEach(instance.kmalloc::free);
          kept.clear();
        }
      }
      kept.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  /** Four groups, as many as a slot holds stocks for, below one that is limited. */
  @ParameterizedTest
  @CsvSource({"65536", "1048576", "4194304", "67108864"})
  void allocateAndFree_groupsBelowALimit_parkedOfAllStaysInTheBound(long maxBytes) {
    try (Instance instance = Instance.of(CpuSlots.create(NR_SCOPE_SLOTS, NR_SHARED_SLOTS))) {
      MemCgroup parent = instance.root.create("parent");
      parent.setMax(maxBytes);
      List<ObjCgroup> handles = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        handles.add(ObjCgroup.of(parent.create("g" + i)));
      }
      Random random = new Random(maxBytes);
      List<Long> kept = new ArrayList<>();
      for (int round = 0; round < 4; round++) {
        for (ObjCgroup handle : handles) {
          for (int slot = 0; slot < NR_SCOPE_SLOTS; slot++) {
            try (OnSlot _ = new OnSlot(instance, slot);
                Scope _ = handle.enter()) {
              useAllClasses(instance, random, kept, round);
            }
          }
          long parked = parkedBytes(instance, parent);
          long bound = boundBytes(parent) + handles.size() * Instance.PAGE;
          assertTrue(
              parked <= bound,
              "round=" + round + " parkedBytes=" + parked + " boundBytes=" + bound);
        }
      }
      kept.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  private static void useAllClasses(Instance instance, Random random, List<Long> kept, int round) {
    Kmalloc kmalloc = instance.kmalloc;
    List<Long> objects = new ArrayList<>();
    for (int index = 0; index < SizeClasses.COUNT; index++) {
      int nrObjects = 1 + random.nextInt(round % 2 == 0 ? 2 : 40);
      for (int i = 0; i < nrObjects; i++) {
        long address = kmalloc.tryAllocate(SizeClasses.size(index));
        if (address != Kmalloc.NULL) {
          (random.nextInt(50) == 0 ? kept : objects).add(address);
        }
      }
      if (random.nextBoolean()) {
        objects.forEach(kmalloc::free);
        objects.clear();
      }
    }
    objects.forEach(kmalloc::free);
  }

  private static void useAllClassesOnAnySlot(Instance instance, ObjCgroup handle, Random random) {
    // A large object in between: its charge passes through the same stock.
    try (Scope _ = handle.enter()) {
      long address = instance.kmalloc.tryAllocate(8193 + random.nextInt(100_000));
      if (address != Kmalloc.NULL) {
        instance.kmalloc.free(address);
      }
    }
  }

  /** Without draining, so that it adds up: charged pages less those that live objects need. */
  private static long parkedBytes(Instance instance, MemCgroup group) {
    long liveBytes = 0;
    for (Slab slab : instance.allocator().range().inUse()) {
      for (Word word : slab.words) {
        liveBytes += (long) word.nrLiveObjects() * chargeOf(slab);
      }
    }
    return Math.max(0, group.usage() - Instance.roundToPages(liveBytes));
  }

  private static long chargeOf(Slab slab) {
    return slab.large ? (long) slab.nrPages << MemCgroup.PAGE_SHIFT : slab.chargeBytes;
  }

  /** Makes the calling thread's next outermost scope take a certain slot, by holding the others. */
  private static final class OnSlot implements AutoCloseable {
    private final Instance instance;
    private final int wanted;

    OnSlot(Instance instance, int wanted) {
      this.instance = instance;
      this.wanted = wanted;
      for (int i = 0; i < NR_SCOPE_SLOTS; i++) {
        if (i != wanted) {
          assertTrue(instance.root.slots().tryClaim(instance.root.slots().slot(i)));
        }
      }
    }

    @Override
    public void close() {
      assertEquals(NR_SCOPE_SLOTS - 1, instance.root.slots().nrBusy());
      for (int i = 0; i < NR_SCOPE_SLOTS; i++) {
        if (i != wanted) {
          instance.root.slots().slot(i).release();
        }
      }
    }
  }
}
