package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.percpu.PercpuStats;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

/** Per-CPU memory is charged to the scope's group, and given back on every path. */
final class PercpuMemoryTest {
  private static void assertNothingLeft(Instance instance) {
    PercpuAllocator percpu = instance.kmalloc.percpu();
    assertEquals(0, percpu.nrLive());
    instance.assertNothingLeft();
    assertEquals(0, percpu.stats().popPages(), () -> percpu.stats().format());
    assertEquals(0, instance.root.flush().percpu());
  }

  private static long roundedCharge(PercpuAllocator percpu, int nrBytes) {
    return Instance.roundToPages(percpu.chargeBytes(nrBytes));
  }

  @Test
  void allocate_inAScope_isChargedToItsGroupAndShownAsPercpu() {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("p").create("a");
      PercpuAllocator percpu = instance.kmalloc.percpu();
      assertSame(percpu, instance.kmalloc.percpu());
      assertEquals(6, percpu.nrUnits());
      long counter;
      try (Scope scope = instance.enter(group)) {
        counter = percpu.allocate(8);
        percpu.add(counter, scope.frame().slot(), 5);
        percpu.add(counter, 6);
        assertEquals(11, percpu.value(counter, scope.frame().slot().index()));
      }
      percpu.add(counter, 7); // outside any scope: a shared slot's copy
      assertEquals(18, percpu.sum(counter));
      assertEquals(percpu.chargeBytes(8), group.flush().percpu());
      assertEquals(percpu.chargeBytes(8), instance.root.flush().percpu());
      assertEquals(Instance.PAGE, instance.drainedUsage(group));
      percpu.free(counter);
      assertEquals(0, instance.drainedUsage(group));
      assertNothingLeft(instance);
    }
  }

  @Test
  void allocate_outsideAnyScopeOrUnaccounted_isChargedToNobody() {
    for (boolean accounted : new boolean[] {true, false}) {
      try (Instance instance = accounted ? Instance.create() : Instance.unaccounted()) {
        PercpuAllocator percpu = instance.kmalloc.percpu();
        MemCgroup group = instance.root.create("a");
        long counter;
        if (accounted) {
          counter = percpu.allocate(8);
        } else {
          try (Scope _ = instance.enter(group)) {
            counter = percpu.allocate(8);
          }
        }
        percpu.add(counter, 1);
        assertEquals(1, percpu.sum(counter));
        assertEquals(0, instance.drainedUsage(instance.root));
        assertEquals(0, instance.root.flush().percpu());
        percpu.free(counter);
        assertNothingLeft(instance);
      }
    }
  }

  @Test
  void allocate_inAScopeWithoutASlot_worksOnSharedOnes() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(1, 2))) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup group = instance.root.create("a");
      try (Scope first = instance.enter(group)) {
        assertTrue(first.frame().holdsSlot());
        long counter =
            Instance.elsewhere(() -> {
              try (Scope scope = instance.enter(group)) {
                assertFalse(scope.frame().holdsSlot());
                long made = percpu.allocate(8);
                percpu.add(made, scope.frame().slot(), 3);
                percpu.add(made, 4);
                return made;
              }
            });
        percpu.add(counter, 1);
        assertEquals(8, percpu.sum(counter));
        assertEquals(1, percpu.value(counter, 0));
        assertEquals(percpu.chargeBytes(8), group.flush().percpu());
        percpu.free(counter);
      }
      assertNothingLeft(instance);
    }
  }

  @Test
  void allocate_limitRefuses_leavesUsageAsItWas() {
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup group = instance.root.create("a");
      group.setMax(40 * Instance.PAGE);
      List<Long> handles = new ArrayList<>();
      try (Scope _ = instance.enter(group)) {
        for (long h = percpu.tryAllocate(1000); h != 0; h = percpu.tryAllocate(1000)) {
          handles.add(h);
          assertTrue(group.usage() <= 40 * Instance.PAGE);
        }
        long nrFit = 40 * Instance.PAGE / percpu.chargeBytes(1000);
        assertEquals(nrFit, handles.size());
        long usage = instance.drainedUsage(group);
        PercpuStats before = percpu.stats();
        MemoryLimitException e =
            assertThrows(MemoryLimitException.class, () -> percpu.allocate(1000));
        assertEquals("/a", e.limitedBy());
        assertEquals(percpu.chargeBytes(1000), e.requestedBytes());
        assertThrows(MemoryLimitException.class, () -> percpu.allocate(32768));
        assertEquals(PercpuAllocator.NULL, percpu.tryAllocate(32768));
        assertEquals(usage, instance.drainedUsage(group));
        assertEquals(before, percpu.stats());
        percpu.free(handles.removeLast());
        handles.add(percpu.allocate(1000));
      }
      handles.forEach(percpu::free);
      assertNothingLeft(instance);
    }
  }

  @Test
  void allocate_osRefuses_isALimitRefusalAndNothingIsCharged() {
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup group = instance.root.create("a");
      instance.pages.refuse(true);
      try (Scope _ = instance.enter(group)) {
        for (int i = 0; i < 10; i++) {
          MemoryLimitException e =
              assertThrows(MemoryLimitException.class, () -> percpu.allocate(5000));
          assertEquals(MemoryLimitException.OS, e.limitedBy());
          assertEquals("/a", e.group());
          assertEquals(5000, e.requestedBytes());
          assertEquals(PercpuAllocator.NULL, percpu.tryAllocate(5000));
        }
      }
      assertThrows(MemoryLimitException.class, () -> percpu.allocate(4));
      assertEquals(0, instance.drainedUsage(group));
      assertEquals(0, group.flush().percpu());
      assertEquals(0, group.events().max());
      assertEquals(21, percpu.stats().nrFailed());
      instance.pages.refuse(false);
      try (Scope _ = instance.enter(group)) {
        percpu.free(percpu.allocate(5000));
      }
      assertNothingLeft(instance);
    }
  }

  /** The mapping calls what a test wants, in the middle of an allocation. */
  private static final class HookedMapper implements Mapper {
    private final Mapper os = new Mmap();
    private Runnable onCommit = () -> {};

    @Override
    public long reserve(long nrBytes) {
      return os.reserve(nrBytes);
    }

    @Override
    public boolean commit(long address, long nrBytes) {
      onCommit.run();
      return os.commit(address, nrBytes);
    }

    @Override
    public void discard(long address, long nrBytes) {
      os.discard(address, nrBytes);
    }

    @Override
    public void release(long address, long nrBytes) {
      os.release(address, nrBytes);
    }
  }

  @Test
  void allocate_threadIsMovedHalfWay_chargesOneGroupAndGivesBackToIt() {
    MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));
    HookedMapper mapper = new HookedMapper();
    try (Kmalloc kmalloc = Kmalloc.builder(root).mapper(mapper).build()) {
      PercpuAllocator percpu = kmalloc.percpu();
      MemCgroup a = root.create("a");
      MemCgroup b = root.create("b");
      long first;
      long second;
      try (Scope scope = ObjCgroup.of(a).enter()) {
        mapper.onCommit = () -> scope.moveTo(ObjCgroup.of(b));
        first = percpu.allocate(20_000);
        mapper.onCommit = () -> {};
        second = percpu.allocate(20_000);
      }
      long charge = roundedCharge(percpu, 20_000);
      root.drain();
      assertEquals(charge, a.usage());
      assertEquals(charge, b.usage());
      assertEquals(percpu.chargeBytes(20_000), a.flush().percpu());
      percpu.free(first);
      root.drain();
      assertEquals(0, a.usage());
      assertEquals(charge, b.usage());
      // A mapping that fails after the move: undone where it was charged.
      try (Scope scope = ObjCgroup.of(a).enter()) {
        mapper.onCommit =
            () -> {
              scope.moveTo(ObjCgroup.of(b));
              throw new IllegalStateException("injected");
            };
        List<Long> handles = new ArrayList<>();
        assertThrows(
            IllegalStateException.class,
            () -> {
              while (true) {
                handles.add(percpu.allocate(30_000));
              }
            });
        handles.forEach(percpu::free);
      }
      root.drain();
      assertEquals(0, a.usage());
      percpu.free(second);
      root.drain();
      assertEquals(0, root.usage());
      assertEquals(0, root.flush().percpu());
    }
  }

  @Test
  void remove_groupWithLiveObjects_theParentPaysUntilTheyAreFreed() {
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup parent = instance.root.create("p");
      MemCgroup child = parent.create("c");
      List<Long> handles = new ArrayList<>();
      try (Scope _ = instance.enter(child)) {
        for (int i = 0; i < 100; i++) {
          handles.add(percpu.allocate(400));
        }
      }
      instance.root.drain();
      long usage = parent.usage();
      child.remove();
      instance.root.drain();
      assertEquals(usage, parent.usage());
      assertEquals(100 * percpu.chargeBytes(400), parent.flush().percpu());
      handles.forEach(percpu::free);
      assertEquals(0, instance.drainedUsage(parent));
      assertEquals(0, parent.flush().percpu());
      assertEquals(0, parent.nrDyingDescendants());
      assertNothingLeft(instance);
    }
  }

  @Test
  void close_withLivePercpuObjects_reportsThemAndStaysOpen() {
    Instance instance = Instance.create();
    MemCgroup group = instance.root.create("a");
    PercpuAllocator percpu = instance.kmalloc.percpu();
    long counter;
    long object;
    try (Scope _ = instance.enter(group)) {
      counter = percpu.allocate(8);
      object = instance.kmalloc.allocate(64);
    }
    long unaccounted = percpu.allocate(8);
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> instance.kmalloc.close());
    assertEquals(
        "allocator closed with live objects: nrObjects=3 [group=/a objectSize=64 nrObjects=1]"
            + " [group=/ percpuSize=8 nrObjects=1] [group=/a percpuSize=8 nrObjects=1]",
        e.getMessage());
    percpu.free(unaccounted);
    instance.kmalloc.free(object);
    e = assertThrows(IllegalStateException.class, () -> instance.kmalloc.close());
    assertEquals(
        "allocator closed with live objects: nrObjects=1 [group=/a percpuSize=8 nrObjects=1]",
        e.getMessage());
    percpu.free(counter);
    instance.kmalloc.close();
    assertThrows(IllegalStateException.class, () -> percpu.allocate(8));
    assertEquals(0, instance.drainedUsage(instance.root));
    try (Instance other = Instance.create()) {
      other.kmalloc.close();
      assertThrows(IllegalStateException.class, () -> other.kmalloc.percpu());
    }
  }

  // ---- many

  @Test
  void aMillionCounters_addedByFourThreads_sumExactlyAndAreGivenBack() throws Exception {
    int nrCounters = 1_000_000;
    int nrThreads = 4;
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup group = instance.root.create("a");
      long[] counters = new long[nrCounters];
      try (Scope _ = instance.enter(group)) {
        for (int i = 0; i < nrCounters; i++) {
          counters[i] = percpu.allocate(8);
        }
      }
      assertEquals(nrCounters * percpu.chargeBytes(8), group.flush().percpu());
      CountDownLatch start = new CountDownLatch(nrThreads);
      List<FutureTask<Integer>> tasks = new ArrayList<>();
      for (int t = 0; t < nrThreads; t++) {
        int number = t;
        FutureTask<Integer> task =
            new FutureTask<>(() -> {
              try (Scope scope = instance.enter(group)) {
                start.countDown();
                start.await();
                CpuSlot slot = scope.frame().slot();
                for (int i = 0; i < nrCounters; i++) {
                  percpu.add(counters[(i + number * 250_000) % nrCounters], slot, i % 7);
                }
                return slot.index();
              }
            });
        tasks.add(task);
        new Thread(task, "adder-" + t).start();
      }
      boolean[] used = new boolean[percpu.nrUnits()];
      for (FutureTask<Integer> task : tasks) {
        used[Instance.await(task)] = true;
      }
      assertTrue(used[0] && used[1] && used[2] && used[3], "each thread had a slot of its own");
      for (int i = 0; i < nrCounters; i++) {
        long expected = 0;
        for (int t = 0; t < nrThreads; t++) {
          expected += Math.floorMod(i - t * 250_000, nrCounters) % 7;
        }
        assertEquals(expected, percpu.sum(counters[i]));
      }
      for (long counter : counters) {
        percpu.free(counter);
      }
      assertEquals(0, instance.drainedUsage(group));
      PercpuStats stats = percpu.stats();
      assertEquals(1, stats.nrChunks());
      assertTrue(stats.nrMaxChunks() >= 8 * nrCounters / stats.unitSize(), stats::format);
      assertNothingLeft(instance);
    }
  }

  /** The kernel's test_percpu_basic. */
  @Test
  void aThousandGroups_parentUsageIsThePercpuStatWithinAPageEach() {
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup parent = instance.root.create("p");
      List<Long> handles = new ArrayList<>();
      for (int i = 0; i < 1000; i++) {
        try (Scope _ = instance.enter(parent.create("c" + i))) {
          handles.add(percpu.allocate(2048));
          handles.add(percpu.allocate(96));
        }
      }
      long usage = instance.drainedUsage(parent);
      long stat = parent.flush().percpu();
      assertEquals(1000 * (percpu.chargeBytes(2048) + percpu.chargeBytes(96)), stat);
      assertTrue(usage >= stat && usage - stat <= 1000 * Instance.PAGE, () -> usage + " " + stat);
      assertEquals(0, parent.flush().slab() - (usage - stat), "nothing else is in it");
      handles.forEach(percpu::free);
      assertEquals(0, instance.drainedUsage(parent));
      assertNothingLeft(instance);
    }
  }

  /** The kernel's scenario of depopulation: 481 MB stayed without, 135 to 154 MB with. */
  @Test
  void elevenThousandGroups_tenOfElevenRemoved_theFootprintShrinks() {
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup parent = instance.root.create("p");
      List<MemCgroup> groups = new ArrayList<>();
      List<Long> handles = new ArrayList<>();
      for (int i = 0; i < 11_000; i++) {
        MemCgroup group = parent.create("c" + i);
        groups.add(group);
        try (Scope _ = instance.enter(group)) {
          handles.add(percpu.allocate(1536));
        }
      }
      PercpuStats before = percpu.stats();
      List<Long> kept = new ArrayList<>();
      for (int i = 0; i < 11_000; i++) {
        if (i % 11 == 0) {
          kept.add(handles.get(i));
        } else {
          percpu.free(handles.get(i));
          groups.get(i).remove();
        }
      }
      PercpuStats after = percpu.stats();
      assertTrue(
          after.mappedBytes() * 2.5 < before.mappedBytes(),
          () -> "before=" + before.mappedBytes() + " after=" + after.mappedBytes());
      assertTrue(after.emptyPopPages() <= 4 + after.nrChunks() * 4, after::format);
      assertEquals(1000 * percpu.chargeBytes(1536), parent.flush().percpu());
      assertEquals(1000 * roundedCharge(percpu, 1536), instance.drainedUsage(parent));
      kept.forEach(percpu::free);
      assertEquals(0, instance.drainedUsage(parent));
      assertNothingLeft(instance);
    }
  }

  @Test
  void fourThreadsInGroupsOfTheirOwn_nearTheirLimits_loseNothing() throws Exception {
    try (Instance instance = Instance.create()) {
      PercpuAllocator percpu = instance.kmalloc.percpu();
      MemCgroup parent = instance.root.create("p");
      parent.setMax(300 * Instance.PAGE);
      List<FutureTask<Integer>> tasks = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int seed = 900 + t;
        MemCgroup group = parent.create("c" + t);
        group.setMax(100 * Instance.PAGE);
        FutureTask<Integer> task =
            new FutureTask<>(() -> {
              Random random = new Random(seed);
              List<Long> mine = new ArrayList<>();
              int nrRefused = 0;
              for (int step = 0; step < 4000; step++) {
                if (random.nextInt(5) < 3) {
                  try (Scope _ = instance.enter(group)) {
                    long handle = percpu.tryAllocate(4 + random.nextInt(2000));
                    if (handle == PercpuAllocator.NULL) {
                      nrRefused++;
                    } else {
                      mine.add(handle);
                    }
                  }
                } else if (!mine.isEmpty()) {
                  percpu.free(mine.remove(random.nextInt(mine.size())));
                }
                assertTrue(group.usage() <= 100 * Instance.PAGE, () -> "seed=" + seed);
              }
              mine.forEach(percpu::free);
              return nrRefused;
            });
        tasks.add(task);
        new Thread(task, "tenant-" + t).start();
      }
      int nrRefused = 0;
      for (FutureTask<Integer> task : tasks) {
        nrRefused += Instance.await(task);
      }
      assertTrue(nrRefused > 0);
      assertEquals(0, instance.drainedUsage(parent));
      assertNothingLeft(instance);
    }
  }
}
