package io.memcg4j.junit;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemCgroupFs;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What one test has: a tree with one group, an allocator, and an open scope. */
final class TestMemory {
  /*
   * Invariant  nothing is shared with another test, so that tests may run at the same time.
   * Not        that the address space is given back of a test that left something allocated: threads
   * guaranteed of it may still use it.
   */
  /** Bounds what one test can allocate; small, for what failed tests leave mapped. */
  private static final long RANGE_BYTES = 16L << 30;

  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc;
  private final MemCgroup group;
  private final ObjCgroup tenant;
  private final boolean isLimited;
  private final @Nullable LeakCheck check;
  private final Scope scope;
  private final Thread thread = Thread.currentThread();
  private final List<AccountedArena> arenas = new ArrayList<>();

  /** For the calling thread, which enters the group. */
  TestMemory(String name, @Nullable MemoryLimit limit, @Nullable NoLeaks noLeaks) {
    group = root.create(name);
    isLimited = limit != null;
    if (limit != null) {
      new MemCgroupFs(root).write(name + "/memory.max", limit.value());
    }
    tenant = ObjCgroup.of(group);
    kmalloc = Kmalloc.builder(root).rangeBytes(RANGE_BYTES).build();
    check = noLeaks == null ? null : LeakCheck.begin(kmalloc, noLeaks.javaHeap());
    scope = tenant.enter();
  }

  static boolean has(Class<?> type) {
    return type == MemCgroup.class
        || type == ObjCgroup.class
        || type == Kmalloc.class
        || type == Scope.class
        || type == AccountedArena.class;
  }

  Object get(Class<?> type) {
    if (type == MemCgroup.class) {
      return group;
    } else if (type == ObjCgroup.class) {
      return tenant;
    } else if (type == Kmalloc.class) {
      return kmalloc;
    } else if (type == Scope.class) {
      return scope;
    }
    AccountedArena arena = AccountedArena.ofShared(kmalloc);
    arenas.add(arena);
    return arena;
  }

  Kmalloc kmalloc() {
    return kmalloc;
  }

  /** A scope for code of the test that runs on another thread; null on the test's own. */
  @Nullable Scope enterElsewhere() {
    return Thread.currentThread() == thread ? null : tenant.enter();
  }

  /**
   * Ends it.
   *
   * @param passed whether to look at what the test left
   * @throws AssertionError if it left what it must not
   */
  void end(boolean passed) {
    for (AccountedArena arena : arenas) {
      if (arena.scope().isAlive()) {
        arena.close();
      }
    }
    scope.close();
    if (passed) {
      if (check != null) {
        check.assertNone();
      }
      if (isLimited) {
        assertNothingCharged();
      }
    }
    group.remove();
    try {
      kmalloc.close();
    } catch (IllegalStateException e) {
      // Something is allocated, and this test may leave it.
    }
  }

  private void assertNothingCharged() {
    group.drain();
    long usage = group.usage();
    if (usage != 0) {
      throw new AssertionError(
          "memory left charged after the test: group="
              + group.path()
              + " usage="
              + usage
              + " peak="
              + group.peak()
              + " max="
              + group.max());
    }
  }
}
