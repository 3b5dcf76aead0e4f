package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlots;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

class ObjCgroupTest {
  private final MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));

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
    ObjCgroups registry = ObjCgroups.of(root);
    TestAllocator allocator = new TestAllocator(root);
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
          assertSame(outer.slot(), inner.slot());
        });
    dead.start();
    dead.join();
    assertEquals(1, small.slots().nrBusy());
    try (Scope scope = ObjCgroup.of(small).enter()) {
      assertTrue(scope.holdsSlot(), "the slot of the dead");
    }
    assertEquals(1, registry.nrStocks(), "it is hot");
    group.remove();
    assertEquals(0, registry.nrStocks());
    assertEquals(1, registry.nrHandles());
    assertEquals(0, small.usage());
  }
}
