package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** In the steady state the loops make no garbage. */
final class HeapAllocationTest {
  /** For what happens now and then: a list that grows, a slab that was purged in between. */
  private static final long ALLOWED_BYTES = 64 << 10;

  private static final int NR_OBJECTS = 4000;
  private static final int NR_WARM_UP_ROUNDS = 20;
  private static final int NR_ROUNDS = 60;

  private interface Round {
    void run(long[] objects);
  }

  private static void assertNoGarbage(String what, Round round) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    assumeTrue(threads.isThreadAllocatedMemorySupported());
    long[] objects = new long[NR_OBJECTS];
    for (int i = 0; i < NR_WARM_UP_ROUNDS; i++) {
      round.run(objects);
    }
    long before = threads.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < NR_ROUNDS; i++) {
      round.run(objects);
    }
    long nrBytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertTrue(nrBytes <= ALLOWED_BYTES, () -> what + ": heapBytes=" + nrBytes);
  }

  @Test
  void bound_userGroupWithLimits_noGarbage() {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("a").create("b").create("c");
      group.setMax(1L << 30);
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        assertNoGarbage("one size", objects -> sameSize(bound, objects));
        assertNoGarbage("mixed sizes", objects -> mixedSizes(bound, objects));
        assertNoGarbage("at once", objects -> freedAtOnce(bound, objects));
      }
    }
  }

  @Test
  void bound_rootAndUnaccounted_noGarbage() {
    try (Instance accounted = Instance.create();
        Instance unaccounted = Instance.unaccounted()) {
      for (Instance instance : new Instance[] {accounted, unaccounted}) {
        try (Scope scope = instance.enter(instance.root)) {
          Kmalloc.Bound bound = instance.kmalloc.bind(scope);
          assertNoGarbage("one size", objects -> sameSize(bound, objects));
          assertNoGarbage("mixed sizes", objects -> mixedSizes(bound, objects));
        }
      }
    }
  }

  @Test
  void general_insideAndOutsideScopes_noGarbage() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      Round round =
          objects -> {
            for (int i = 0; i < objects.length; i++) {
              objects[i] = kmalloc.allocate(64);
            }
            for (long address : objects) {
              kmalloc.free(address);
            }
          };
      try (Scope _ = instance.handle("a").enter()) {
        assertNoGarbage("scope", round);
      }
      assertNoGarbage("no scope", round);
    }
  }

  @Test
  void general_refused_noGarbageBeyondTheWalk() {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("a");
      group.setMax(0);
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        assertNoGarbage(
            "refused",
            objects -> {
              for (int i = 0; i < 100; i++) {
                objects[i] = bound.tryAllocate(64);
              }
            });
      }
    }
  }

  @Test
  void cache_insideAScope_noGarbage() {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "c", 72)) {
      try (Scope _ = instance.handle("a").enter()) {
        assertNoGarbage(
            "cache",
            objects -> {
              for (int i = 0; i < objects.length; i++) {
                objects[i] = cache.allocate();
              }
              for (long address : objects) {
                cache.free(address);
              }
            });
      }
    }
  }

  private static void sameSize(Kmalloc.Bound bound, long[] objects) {
    for (int i = 0; i < objects.length; i++) {
      objects[i] = bound.allocate(64);
    }
    for (long address : objects) {
      bound.free(address);
    }
  }

  private static void mixedSizes(Kmalloc.Bound bound, long[] objects) {
    for (int i = 0; i < objects.length; i++) {
      objects[i] = bound.allocate(1 + (i * 37) % 2000);
    }
    for (int i = objects.length - 1; i >= 0; i--) {
      bound.free(objects[i]);
    }
  }

  private static void freedAtOnce(Kmalloc.Bound bound, long[] objects) {
    for (int i = 0; i < objects.length; i++) {
      bound.free(bound.allocate(100));
    }
  }
}
