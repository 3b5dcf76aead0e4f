package io.memcg4j.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests to be run by tests: some of them fail on purpose. */
final class Samples {
  private Samples() {}

  static void leak(Kmalloc kmalloc, long nrBytes) {
    kmalloc.allocate(nrBytes);
  }

  @NoLeaks
  static final class Leaking {
    @Test
    void leaks(Kmalloc kmalloc) {
      leak(kmalloc, 64);
      kmalloc.free(kmalloc.allocate(100));
    }

    @Test
    void frees(Kmalloc kmalloc) {
      kmalloc.free(kmalloc.allocate(64));
    }

    @Test
    void cycle(Kmalloc kmalloc) {
      long first = kmalloc.allocate(32);
      long second = kmalloc.allocate(32);
      Kmalloc.MEMORY.set(java.lang.foreign.ValueLayout.JAVA_LONG, first, second);
      Kmalloc.MEMORY.set(java.lang.foreign.ValueLayout.JAVA_LONG, second, first);
    }

    @Test
    void failsAnyway(Kmalloc kmalloc) {
      leak(kmalloc, 64);
      fail("of itself");
    }

    @Test
    void arena(AccountedArena arena) {
      assertEquals(1000, arena.allocate(1000, 8).byteSize());
    }

    @Test
    void arenaIsClosedByTheTest(AccountedArena arena) {
      arena.allocate(1000, 8);
      arena.close();
    }

    @Test
    void nothing() {}

    @Nested
    final class Inner {
      @Test
      void leaksInside(Kmalloc kmalloc) {
        leak(kmalloc, 8);
      }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void leaksOnce(int number, Kmalloc kmalloc) {
      if (number == 1) {
        leak(kmalloc, 64);
      }
    }
  }

  @NoLeaks(javaHeap = true)
  static final class HeldByJava {
    static final List<Object> HELD = new ArrayList<>();

    @Test
    void held(Kmalloc kmalloc) {
      HELD.add(kmalloc.allocateSegment(64));
      HELD.add(new long[] {kmalloc.allocate(64)});
    }

    @Test
    void notHeld(Kmalloc kmalloc) {
      leak(kmalloc, 64);
    }
  }

  static final class FreedAfter {
    private long block;

    @BeforeEach
    void allocate(Kmalloc kmalloc) {
      block = kmalloc.allocate(64);
    }

    @Test
    @NoLeaks
    void uses(Kmalloc kmalloc) {
      assertEquals(64, kmalloc.usableSize(block));
    }

    @AfterEach
    void free(Kmalloc kmalloc) {
      kmalloc.free(block);
    }
  }

  @MemoryLimit("1m")
  static final class Limited {
    @Test
    void inOwnGroup(MemCgroup group, ObjCgroup tenant, Scope scope, Kmalloc kmalloc) {
      assertEquals("/inOwnGroup", group.path());
      assertEquals(1 << 20, group.max());
      assertSame(group, tenant.group());
      assertSame(tenant, scope.current());
      long block = kmalloc.bind(scope).allocate(5000);
      group.drain();
      assertTrue(group.usage() >= 5000, group::toString);
      kmalloc.free(block);
    }

    @Test
    void refused(Kmalloc kmalloc, MemCgroup group) {
      MemoryLimitException e =
          assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(2 << 20));
      assertTrue(e.toString().contains(group.path()), e::toString);
    }

    @Test
    void refusedAndNotCaught(Kmalloc kmalloc) {
      kmalloc.allocate(2 << 20);
    }

    @Test
    @MemoryLimit("4m")
    void methodsLimitCounts(Kmalloc kmalloc) {
      kmalloc.free(kmalloc.allocate(2 << 20));
    }

    @Test
    void leftCharged(Kmalloc kmalloc) {
      leak(kmalloc, 100_000);
    }

    @Test
    @MemoryLimit("lots")
    void badLimit() {}

    @Test
    @Timeout(value = 1, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void onAnotherThread(Kmalloc kmalloc) {
      assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(2 << 20));
    }
  }

  @ExtendWith(MemcgExtension.class)
  static final class OnlyParameters {
    @Test
    void sameOnes(Kmalloc one, Kmalloc two, AccountedArena a, AccountedArena b, MemCgroup group) {
      assertSame(one, two);
      assertNotSame(a, b);
      assertEquals(MemCgroup.UNLIMITED, group.max());
      leak(one, 64);
    }
  }

  @NoLeaks
  static final class AtTheSameTime {
    static final int NR_TESTS = 4;
    static final Queue<Kmalloc> SEEN = new ConcurrentLinkedQueue<>();
    static @Nullable CyclicBarrier barrier;

    private static void meet() throws Exception {
      CyclicBarrier all = barrier;
      assertNotNull(all);
      all.await(30, TimeUnit.SECONDS);
    }

    @Test
    void one(Kmalloc kmalloc) throws Exception {
      run(kmalloc, false);
    }

    @Test
    void two(Kmalloc kmalloc) throws Exception {
      run(kmalloc, true);
    }

    @Test
    void three(Kmalloc kmalloc) throws Exception {
      run(kmalloc, false);
    }

    @Test
    void four(Kmalloc kmalloc) throws Exception {
      run(kmalloc, true);
    }

    private static void run(Kmalloc kmalloc, boolean leaks) throws Exception {
      SEEN.add(kmalloc);
      long[] blocks = new long[100];
      meet();
      for (int i = 0; i < blocks.length; i++) {
        blocks[i] = kmalloc.allocate(64);
      }
      meet();
      for (int i = leaks ? 1 : 0; i < blocks.length; i++) {
        kmalloc.free(blocks[i]);
      }
    }
  }
}
