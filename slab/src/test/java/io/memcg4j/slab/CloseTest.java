package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What is left of an allocator that is closed, and of one that could not be. */
final class CloseTest {
  @Test
  void close_liveObjects_reportsThemAndStaysOpen() {
    Instance instance = Instance.create();
    ObjCgroup handle = instance.handle("a");
    long small;
    long large;
    try (Scope _ = handle.enter()) {
      small = instance.kmalloc.allocate(100);
      large = instance.kmalloc.allocate(100_000);
    }
    long unaccounted = instance.kmalloc.allocate(24);
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> instance.kmalloc.close());
    assertTrue(e.getMessage().contains("nrObjects=3"), e::getMessage);
    assertTrue(e.getMessage().contains("[group=/a objectSize=112 nrObjects=1]"), e::getMessage);
    assertTrue(e.getMessage().contains("[group=/a objectSize=102400 nrObjects=1]"), e::getMessage);
    assertTrue(e.getMessage().contains("[group=/ objectSize=24 nrObjects=1]"), e::getMessage);
    assertEquals(0, instance.pages.releasedBytes());

    long another = instance.kmalloc.allocate(100);
    Instance.write(another, 99, 7);
    instance.kmalloc.free(another);
    instance.kmalloc.free(small);
    instance.kmalloc.free(large);
    instance.kmalloc.free(unaccounted);
    instance.assertNothingLeft();
    instance.close();
    assertTrue(instance.pages.releasedBytes() >= Instance.DEFAULT_RANGE_BYTES);
  }

  @Test
  void close_objectsOfRemovedGroup_reportsTheGroupThatPays() {
    Instance instance = Instance.create();
    ObjCgroup handle = instance.handle("a");
    long address;
    try (Scope _ = handle.enter()) {
      address = instance.kmalloc.allocate(64);
    }
    handle.group().remove();
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> instance.kmalloc.close());
    assertTrue(e.getMessage().contains("[group=/ objectSize=64 nrObjects=1]"), e::getMessage);
    instance.kmalloc.free(address);
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void anyCall_afterClose_saysSoOrDoesNothing() {
    Instance instance = Instance.create();
    Kmalloc kmalloc = instance.kmalloc;
    KmemCache cache = KmemCache.create(kmalloc, "c", 40);
    long address = kmalloc.allocate(64);
    kmalloc.free(address);
    kmalloc.close();
    kmalloc.close();
    assertThrows(IllegalStateException.class, () -> kmalloc.allocate(64));
    assertThrows(IllegalStateException.class, () -> kmalloc.tryAllocate(64));
    assertThrows(IllegalStateException.class, () -> kmalloc.allocate(1 << 20));
    assertThrows(IllegalStateException.class, () -> cache.allocate());
    assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
    assertThrows(IllegalArgumentException.class, () -> kmalloc.usableSize(address));
    assertEquals(0, kmalloc.shrink());
    SlabInfo info = kmalloc.info();
    assertEquals(0, info.mappedBytes());
    assertEquals(0, info.nrObjects());
    assertEquals(0, info.retainedBytes());
    cache.close();
    assertEquals(0, instance.drainedUsage(instance.root));
  }

  /**
   * Another thread has a scope open, with slabs and ready objects of this allocator on its slot.
   */
  @Test
  void close_slotOfAnotherThreadHasSlabs_leavesThatThreadWorking() throws Exception {
    Instance instance = Instance.create();
    Kmalloc second = Kmalloc.builder(instance.root).rangeBytes(1 << 26).build();
    CountDownLatch ready = new CountDownLatch(1);
    CountDownLatch closed = new CountDownLatch(1);
    ObjCgroup handle = instance.handle("a");
    long[] shared = new long[200];
    FutureTask<Void> task =
        new FutureTask<>(() -> {
          try (Scope scope = handle.enter()) {
            Kmalloc.Bound bound = instance.kmalloc.bind(scope);
            for (int i = 0; i < shared.length; i++) {
              shared[i] = bound.allocate(64);
            }
            bound.free(bound.allocate(512));
            ready.countDown();
            assertTrue(closed.await(60, TimeUnit.SECONDS));
            // The slow path of the other allocator does what was left for this slot.
            second.free(second.allocate(64));
            assertThrows(IllegalStateException.class, () -> bound.allocate(64));
            assertThrows(IllegalStateException.class, () -> bound.allocate(512));
            assertThrows(IllegalStateException.class, () -> bound.allocate(128));
            second.free(second.allocate(64));
          }
          return null;
        });
    Thread thread = new Thread(task, "user");
    thread.start();
    assertTrue(ready.await(60, TimeUnit.SECONDS));
    for (long address : shared) {
      instance.kmalloc.free(address); // remote: its owner has not collected any
    }
    instance.kmalloc.close();
    closed.countDown();
    Instance.await(task);
    assertEquals(0, instance.root.slots().nrBusy());
    assertDoesNotThrow(() -> instance.kmalloc.shrink());
    assertEquals(0, instance.kmalloc.info().retainedBytes());
    assertEquals(0, instance.drainedUsage(instance.root));
    second.shrink();
    second.close();
    handle.group().remove();
    assertEquals(1, instance.registry().nrHandles());
  }

  @Test
  void close_insideAScope_closes() {
    Instance instance = Instance.create();
    try (Scope scope = instance.handle("a").enter()) {
      Kmalloc.Bound bound = instance.kmalloc.bind(scope);
      bound.free(bound.allocate(64));
      bound.free(bound.allocate(1 << 20));
      instance.kmalloc.close();
      assertThrows(IllegalStateException.class, () -> bound.allocate(64));
      assertThrows(IllegalStateException.class, () -> bound.allocate(1 << 20));
    }
    assertEquals(0, instance.drainedUsage(instance.root));
  }
}
