package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlots;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Handles: one per group, inherited when it is removed, gone with the last reference. */
class ObjCgroupTest {
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final TestAllocator allocator = new TestAllocator(root);

  @Test
  void group_parentRemovedAfterRelease_isTheNearestThatIsThere() {
    MemCgroup group = root.create("a");
    MemCgroup child = group.create("b");
    ObjCgroup handle = ObjCgroup.of(child);
    assertSame(child, handle.group());
    child.remove();
    assertSame(group, handle.group());
    group.remove();
    assertSame(root, handle.group());
  }

  @Test
  void remove_whileAScopeIsParked_keepsFewHandles() throws InterruptedException {
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch done = new CountDownLatch(1);
    ObjCgroup idle = ObjCgroup.of(root.create("idle"));
    Thread parked =
        Thread.startVirtualThread(() -> {
          try (Scope scope = idle.enter()) {
            inside.countDown();
            done.await();
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        });
    inside.await();
    int nrCycles = 1_000;
    for (int i = 0; i < nrCycles; i++) {
      MemCgroup group = root.create("g" + i);
      try (Scope scope = ObjCgroup.of(group).enter()) {
        allocator.free(allocator.allocate(64));
      }
      group.remove();
    }
    int nrHandles = registry.nrHandles();
    int bound = 2 + root.slots().nrSlots() * MemCgroup.STOCK_GROUPS;
    assertTrue(nrHandles <= bound, "nrHandles=" + nrHandles + " bound=" + bound);
    done.countDown();
    parked.join();
    assertEquals(2, registry.nrHandles());
  }

  @Test
  void remove_afterAThreadDiedInsideItsScope_releasesTheHandle() throws InterruptedException {
    MemCgroup small = MemCgroup.root(CpuSlots.create(1, 1));
    ObjCgroups registry = ObjCgroups.of(small);
    TestAllocator allocator = new TestAllocator(small);
    MemCgroup group = small.create("a");
    ObjCgroup handle = ObjCgroup.of(group);
    Thread dead =
        new Thread(() -> {
          Scope outer = handle.enter();
          Scope inner = handle.enter();
          allocator.free(allocator.allocate(64));
          assertSame(outer.frame().slot(), inner.frame().slot());
        });
    dead.start();
    dead.join();
    assertEquals(1, small.slots().nrBusy());
    try (Scope scope = ObjCgroup.of(small).enter()) {
      assertTrue(scope.frame().holdsSlot(), "the slot of the dead");
    }
    assertEquals(1, registry.nrStocks(), "it is hot");
    group.remove();
    assertEquals(0, registry.nrStocks());
    assertEquals(1, registry.nrHandles());
    assertEquals(0, small.usage());
  }

  @Test
  void remove_slotIsStillTheDeadThreads_releasesTheHandle() throws InterruptedException {
    MemCgroup small = MemCgroup.root(CpuSlots.create(1, 1));
    ObjCgroups registry = ObjCgroups.of(small);
    MemCgroup group = small.create("a");
    ObjCgroup handle = ObjCgroup.of(group);
    Thread dead =
        new Thread(() -> {
          Scope scope = handle.enter();
          scope.frame().resync(); // has a stock, which never held anything
        });
    dead.start();
    dead.join();
    assertEquals(1, registry.nrStocks());
    group.remove();
    assertEquals(0, registry.nrStocks());
    assertEquals(1, registry.nrHandles());
  }

  // ---- one active handle per group

  @Test
  void of_oneHandlePerGroup_sameForAllThreads() throws Exception {
    MemCgroup group = root.create("a");
    int nrThreads = 8;
    CyclicBarrier start = new CyclicBarrier(nrThreads);
    try (ExecutorService threads = Executors.newFixedThreadPool(nrThreads)) {
      for (int round = 0; round < 200; round++) {
        MemCgroup fresh = group.create("g" + round);
        List<Future<ObjCgroup>> handles = new ArrayList<>();
        for (int i = 0; i < nrThreads; i++) {
          handles.add(
              threads.submit(() -> {
                start.await();
                return ObjCgroup.of(fresh);
              }));
        }
        for (Future<ObjCgroup> handle : handles) {
          assertSame(ObjCgroup.of(fresh), handle.get());
        }
      }
    }
    assertEquals(201, registry.nrHandles(), "the root's and 200");
    assertSame(registry.rootHandle(), ObjCgroup.of(root));
    assertEquals(ObjCgroup.ROOT_ID, ObjCgroup.of(root).id());
  }

  @Test
  void handle_byId_isFoundWhileItExists() {
    ObjCgroup handle = ObjCgroup.of(root.create("a"));
    assertSame(handle, registry.handle(handle.id()));
    assertSame(registry.rootHandle(), registry.handle(ObjCgroup.ROOT_ID));
    assertNull(registry.handle(-1));
    assertNull(registry.handle(1_000_000));
    handle.group().remove();
    assertNull(registry.handle(handle.id()));
  }

  @Test
  void of_removedGroup_isTheParents() {
    MemCgroup parent = root.create("p");
    MemCgroup child = parent.create("c");
    child.remove();
    assertSame(ObjCgroup.of(parent), ObjCgroup.of(child), "never had a handle of its own");
    assertEquals(2, registry.nrHandles());
    parent.remove();
    assertSame(registry.rootHandle(), ObjCgroup.of(child));
    assertEquals(1, registry.nrHandles());
  }

  // ---- ids

  @Test
  void id_isReusedOnlyAfterTheLastReference() {
    MemCgroup group = root.create("a");
    ObjCgroup handle = ObjCgroup.of(group);
    Live object;
    try (Scope scope = handle.enter()) {
      object = allocator.allocate(100);
      assertSame(handle, object.owner());
    }
    group.remove();
    assertTrue(handle.refs().isDying());
    assertSame(handle, registry.handle(handle.id()));
    ObjCgroup next = ObjCgroup.of(root.create("b"));
    assertNotEquals(handle.id(), next.id());
    allocator.free(object);
    root.drain();
    assertTrue(handle.refs().isZero());
    assertNull(registry.handle(handle.id()));
    ObjCgroup reuser = ObjCgroup.of(root.create("c"));
    assertEquals(handle.id(), reuser.id());
    try (Scope scope = handle.enter()) {
      assertSame(root, scope.frame().stock().handle().group(), "not the group that has the id now");
    }
  }

  // ---- reparenting

  @Test
  void remove_liveObjects_areTheParentsByOneWritePerHandle() {
    MemCgroup top = root.create("top");
    MemCgroup parent = top.create("p");
    MemCgroup child = parent.create("c");
    ObjCgroup handle = ObjCgroup.of(child);
    List<Live> objects = new ArrayList<>();
    long nrBytes = 0;
    try (Scope scope = handle.enter()) {
      for (int i = 0; i < 50_000; i++) {
        objects.add(allocator.allocate(1 + i % 200));
        nrBytes += 1 + i % 200;
      }
    }
    root.drain();
    long charged = TestAllocator.pageBytes(nrBytes);
    assertEquals(charged, child.usage());
    int nrHandles = registry.nrHandles();
    child.remove();
    assertSame(parent, handle.group());
    assertEquals(nrHandles, registry.nrHandles());
    assertEquals(charged, parent.usage());
    parent.remove();
    assertSame(top, handle.group());
    root.drain();
    assertEquals(charged, top.usage());
    assertTrue(objects.stream().allMatch(object -> object.owner() == handle));
    objects.subList(0, 25_000).forEach(allocator::free);
    root.drain();
    long rest = objects.subList(25_000, 50_000).stream().mapToLong(Live::nrBytes).sum();
    assertEquals(TestAllocator.pageBytes(rest), top.usage());
    objects.subList(25_000, 50_000).forEach(allocator::free);
    root.drain();
    assertEquals(0, root.usage());
    assertEquals(1, registry.nrHandles());
    assertEquals(0, registry.nrStocks());
  }

  @Test
  void remove_wholeChain_bottomUp_inheritsAgainAndAgain() {
    int depth = 40;
    List<MemCgroup> chain = new ArrayList<>();
    List<Live> objects = new ArrayList<>();
    MemCgroup group = root;
    for (int i = 0; i < depth; i++) {
      group = group.create("g" + i);
      chain.add(group);
      try (Scope scope = ObjCgroup.of(group).enter()) {
        objects.add(allocator.allocate(1000 + i));
      }
    }
    assertEquals(depth + 1, registry.nrHandles());
    for (int i = depth - 1; i > 0; i--) {
      chain.get(i).remove();
      for (int j = i; j < depth; j++) {
        assertSame(chain.get(i - 1), objects.get(j).owner().group());
      }
      root.drain();
      assertEquals((long) depth * PAGE, chain.get(0).usage(), "one page for each handle");
      assertEquals((long) (depth - i + 1) * PAGE, chain.get(i - 1).usage());
    }
    chain.get(0).remove();
    assertEquals(depth + 1, registry.nrHandles());
    objects.forEach(object -> assertSame(root, object.owner().group()));
    for (int i = 0; i < depth; i++) {
      allocator.free(objects.get(i));
      root.drain();
      assertEquals(depth - i, registry.nrHandles());
      assertEquals((long) (depth - 1 - i) * PAGE, root.usage());
    }
  }

  @Test
  void remove_liveObjects_doNotKeepTheGroup() throws InterruptedException {
    MemCgroup parent = root.create("p");
    List<Live> objects = new ArrayList<>();
    WeakReference<MemCgroup> group = useAndRemove(parent, objects);
    root.drain();
    for (int nrTries = 0; group.get() != null && nrTries < 100; nrTries++) {
      System.gc();
      Thread.sleep(10);
    }
    assertNull(group.get(), "still reachable");
    objects.forEach(object -> assertSame(parent, object.owner().group()));
    objects.forEach(allocator::free);
  }

  private WeakReference<MemCgroup> useAndRemove(MemCgroup parent, List<Live> objects) {
    MemCgroup group = parent.create("c");
    try (Scope scope = ObjCgroup.of(group).enter()) {
      for (int i = 0; i < 1_000; i++) {
        objects.add(allocator.allocate(100));
      }
    }
    group.remove();
    return new WeakReference<>(group);
  }

  // ---- comings and goings

  @Test
  void remove_manyGroupsOneAfterTheOther_leavesNothingBehind() {
    Live[] kept = new Live[7];
    for (int i = 0; i < 100_000; i++) {
      MemCgroup group = root.create("g");
      try (Scope scope = ObjCgroup.of(group).enter()) {
        Live object = allocator.allocate(1 + i % 10_000);
        int keptFor = i % kept.length; // some objects outlive their group for a while
        if (kept[keptFor] != null) {
          allocator.free(kept[keptFor]);
        }
        kept[keptFor] = object;
      }
      group.remove();
      if (i % 10_000 == 0) {
        assertTrue(registry.nrHandles() <= 1 + kept.length + 1, "i=" + i);
        assertTrue(registry.nrStocks() <= kept.length + 1, "i=" + i);
      }
    }
    for (Live object : kept) {
      allocator.free(object);
    }
    root.drain();
    assertEquals(1, registry.nrHandles());
    assertEquals(0, registry.nrStocks());
    assertEquals(0, root.usage());
    assertTrue(ObjCgroup.of(root.create("next")).id() < 20, "ids are reused");
  }

  @Test
  void remove_insideAnOpenScope_leavesNothingBehind() {
    try (Scope outer = ObjCgroup.of(root.create("outer")).enter()) {
      for (int i = 0; i < 20_000; i++) {
        MemCgroup group = root.create("g");
        try (Scope scope = ObjCgroup.of(group).enter()) {
          allocator.free(allocator.allocate(1 + i % 10_000));
        }
        group.remove();
      }
      outer.resync();
      assertTrue(registry.nrHandles() <= 2 + MemCgroup.STOCK_GROUPS);
    }
    assertEquals(2, registry.nrHandles());
  }

  /** Groups are removed under the threads that enter them, charge and free. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void remove_whileOthersEnterAndCharge_losesNothing(long seed) throws Exception {
    int nrThreads = 6;
    AtomicReferenceArray<MemCgroup> groups = new AtomicReferenceArray<>(8);
    for (int i = 0; i < groups.length(); i++) {
      groups.set(i, root.create("g" + i));
    }
    ConcurrentLinkedQueue<Live> passedOn = new ConcurrentLinkedQueue<>();
    AtomicBoolean stop = new AtomicBoolean();
    try (ExecutorService threads = Executors.newFixedThreadPool(nrThreads)) {
      List<Future<?>> results = new ArrayList<>();
      for (int t = 0; t < nrThreads; t++) {
        Random random = new Random(seed * 100 + t);
        results.add(
            threads.submit(() -> {
              while (!stop.get()) {
                MemCgroup group = groups.get(random.nextInt(groups.length()));
                try (Scope scope = ObjCgroup.of(group).enter()) {
                  for (int i = random.nextInt(20); i > 0; i--) {
                    Live object = allocator.allocate(1 + random.nextInt(6_000));
                    assertTrue(object.owner().group().isDescendantOf(root));
                    passedOn.add(object);
                  }
                }
                for (int i = random.nextInt(20); i > 0; i--) {
                  Live object = passedOn.poll();
                  if (object != null) {
                    allocator.free(object);
                  }
                }
              }
            }));
      }
      try {
        Random random = new Random(seed);
        for (int i = 0; i < 3_000; i++) {
          int index = random.nextInt(groups.length());
          MemCgroup old = groups.get(index);
          groups.set(index, root.create("r" + i));
          old.remove();
        }
      } finally {
        stop.set(true);
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
    passedOn.forEach(allocator::free);
    for (int i = 0; i < groups.length(); i++) {
      groups.get(i).remove();
    }
    root.drain();
    assertEquals(0, root.usage(), "seed=" + seed);
    assertEquals(1, registry.nrHandles(), "seed=" + seed);
    assertEquals(0, registry.nrStocks(), "seed=" + seed);
  }
}
