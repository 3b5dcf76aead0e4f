package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The bound form: who may use it, and whom it charges when its scope is moved. */
final class BoundTest {
  @Test
  void bind_scopeOfAnotherTree_isRefused() {
    try (Instance instance = Instance.create();
        Instance other = Instance.create()) {
      try (Scope scope = other.handle("a").enter()) {
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> instance.kmalloc.bind(scope));
        assertEquals(true, e.getMessage().contains("another tree"), e::getMessage);
      }
    }
  }

  @Test
  void bind_closedScope_isRefused() {
    try (Instance instance = Instance.create()) {
      Scope scope = instance.handle("a").enter();
      scope.close();
      assertThrows(IllegalStateException.class, () -> instance.kmalloc.bind(scope));
    }
  }

  @Test
  void allocateAndFree_innerScopeOpen_throwAndChangeNothing() {
    try (Instance instance = Instance.create()) {
      ObjCgroup handle = instance.handle("a");
      try (Scope scope = handle.enter()) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        long small = bound.allocate(64);
        long large = bound.allocate(1 << 20);
        long usage;
        try (Scope _ = instance.handle("b").enter()) {
          usage = instance.root.usage();
          assertThrows(IllegalStateException.class, () -> bound.allocate(64));
          assertThrows(IllegalStateException.class, () -> bound.tryAllocate(1 << 20));
          assertThrows(IllegalStateException.class, () -> bound.free(small));
          assertThrows(IllegalStateException.class, () -> bound.free(large));
          assertThrows(IllegalStateException.class, () -> bound.reallocate(large, 4096));
          assertEquals(usage, instance.root.usage());
          assertEquals(2, instance.kmalloc.info().nrObjects());
        }
        bound.free(small);
        bound.free(large);
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocateAndFree_scopeClosed_throwAndChangeNothing() {
    for (int nrScopeSlots : new int[] {4, 0}) {
      try (Instance instance = Instance.of(CpuSlots.create(nrScopeSlots, 2))) {
        Scope scope = instance.handle("a").enter();
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        long small = bound.allocate(64);
        long large = bound.allocate(1 << 20);
        scope.close();
        long usage = instance.drainedUsage(instance.root);
        assertThrows(IllegalStateException.class, () -> bound.allocate(64));
        assertThrows(IllegalStateException.class, () -> bound.allocateAligned(64, 4096));
        assertThrows(IllegalStateException.class, () -> bound.free(small));
        assertThrows(IllegalStateException.class, () -> bound.free(large));
        assertThrows(IllegalStateException.class, () -> bound.reallocate(large, 100));
        assertEquals(usage, instance.drainedUsage(instance.root));
        assertEquals(2, instance.kmalloc.info().nrObjects());
        instance.kmalloc.free(small);
        instance.kmalloc.free(large);
        instance.assertNothingLeft();
      }
    }
  }

  @Test
  void free_otherThread_throwsAndChangesNothing() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(0, 2))) {
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        long large = bound.allocate(1 << 20);
        Instance.elsewhere(
            () -> assertThrows(IllegalStateException.class, () -> bound.free(large)));
        assertEquals(1, instance.kmalloc.info().nrObjects());
        bound.free(large);
      }
      instance.assertNothingLeft();
    }
  }

  /** The move is noticed by the static form; the bound one must not go on with what it knows. */
  @Test
  void allocate_moveNoticedElsewhere_isChargedToTheNewGroup() {
    try (Instance instance = Instance.create()) {
      ObjCgroup a = instance.handle("a");
      ObjCgroup b = instance.handle("b");
      List<Long> objects = new ArrayList<>();
      try (Scope scope = a.enter()) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        for (int i = 0; i < 100; i++) {
          objects.add(bound.allocate(64));
        }
        long before = count(instance, "/a");
        scope.moveTo(b);
        objects.add(instance.kmalloc.allocate(64));
        for (int i = 0; i < 100; i++) {
          objects.add(bound.allocate(64));
        }
        assertEquals(before, count(instance, "/a"), "allocated for the old group after the move");
        assertEquals(101, count(instance, "/b"));
        objects.forEach(bound::free);
      }
      instance.assertNothingLeft();
    }
  }

  /** What a bound allocator knows of a group that is gone must not be used again. */
  @Test
  void allocate_oldGroupGoneAfterMove_isChargedToTheNewGroup() {
    assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () -> {
          try (Instance instance = Instance.create()) {
            MemCgroup group = instance.root.create("a");
            ObjCgroup b = instance.handle("b");
            try (Scope scope = ObjCgroup.of(group).enter()) {
              Kmalloc.Bound bound = instance.kmalloc.bind(scope);
              bound.free(bound.allocate(64));
              scope.moveTo(b);
              instance.kmalloc.free(instance.kmalloc.allocate(64));
              group.remove();
              instance.kmalloc.free(instance.kmalloc.allocate(64));
              long address = bound.allocate(64);
              assertEquals(1, count(instance, "/b"));
              long other = bound.allocate(64);
              assertNotEquals(address, other);
              bound.free(address);
              bound.free(other);
            }
            instance.assertNothingLeft();
            assertEquals(2, instance.registry().nrHandles());
          }
        });
  }

  private static long count(Instance instance, String group) {
    long nrObjects = 0;
    for (Slab slab : instance.allocator().range().inUse()) {
      for (Word word : slab.words) {
        Magazines owner = word.owner();
        if (owner != null && owner.handle().group().path().equals(group)) {
          nrObjects += word.nrLiveObjects();
        }
      }
    }
    return nrObjects;
  }
}
