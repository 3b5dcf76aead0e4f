package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Arenas of random sizes, alignments, groups and threads: every byte is what its owner wrote. */
final class ArenaModelTest {
  private static final int NR_STEPS = 4000;
  private static final int NR_VIRTUAL_THREADS = 10_000;

  /** An arena with all that is in it. */
  private record Filled(AccountedArena arena, int mark, List<MemorySegment> segments) {
    void check(long seed) {
      for (MemorySegment segment : segments) {
        for (long i = 0; i < segment.byteSize(); i += Math.max(1, segment.byteSize() - 1)) {
          int mine = mark;
          assertEquals((byte) mark, segment.get(JAVA_BYTE, i), () -> "seed=" + seed + " " + mine);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void random_twoThreads_bytesAreTheirOwnersAndAllComesBack(long seed) throws Exception {
    try (Instance instance = Instance.create()) {
      List<MemCgroup> groups = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        MemCgroup group = instance.root.create("g" + i);
        group.setMax((1L << 20) << (2 * i));
        groups.add(group);
      }
      List<FutureTask<Integer>> tasks = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        Random random = new Random(seed * 31 + t);
        tasks.add(new FutureTask<>(() -> run(instance, groups, random, seed)));
      }
      List<Thread> threads = tasks.stream().map(Thread::new).toList();
      threads.forEach(Thread::start);
      for (FutureTask<Integer> task : tasks) {
        assertTrue(Instance.await(task) > 0, () -> "nothing allocated: seed=" + seed);
      }
      for (Thread thread : threads) {
        thread.join();
      }
      ArenaInfo info = ArenaInfo.of(instance.kmalloc);
      assertTrue(info.waitingBytes() <= info.sharedBytes(), () -> "seed=" + seed + " " + info);
      instance.kmalloc.shrink();
      assertEquals(0, ArenaInfo.of(instance.kmalloc).sharedBytes(), () -> "seed=" + seed);
      instance.assertNothingLeft();
    }
  }

  private static int run(Instance instance, List<MemCgroup> groups, Random random, long seed) {
    List<Filled> open = new ArrayList<>();
    int nrAllocated = 0;
    for (int step = 0; step < NR_STEPS; step++) {
      int action = random.nextInt(100);
      if (open.isEmpty() || (action < 20 && open.size() < 40)) {
        AccountedArena arena =
            random.nextBoolean()
                ? AccountedArena.ofConfined(instance.kmalloc)
                : AccountedArena.ofShared(instance.kmalloc);
        open.add(new Filled(arena, random.nextInt(), new ArrayList<>()));
      } else if (action < 40) {
        Filled closing = open.remove(random.nextInt(open.size()));
        closing.check(seed);
        closing.arena.close();
      } else if (action == 40) {
        instance.kmalloc.shrink();
      } else {
        Filled into = open.get(random.nextInt(open.size()));
        try (Scope _ = instance.enter(groups.get(random.nextInt(groups.size())))) {
          nrAllocated += allocate(into, random);
        }
      }
    }
    for (Filled filled : open) {
      filled.check(seed);
      filled.arena.close();
    }
    return nrAllocated;
  }

  private static int allocate(Filled into, Random random) {
    long nrBytes = random.nextInt(1 << (1 + random.nextInt(17)));
    long alignment = 1L << random.nextInt(random.nextInt(20) == 0 ? 17 : 8);
    try {
      MemorySegment segment = into.arena.allocate(nrBytes, alignment);
      assertEquals(0, segment.address() % alignment);
      assertEquals(-1, segment.mismatch(MemorySegment.ofArray(new byte[(int) nrBytes])));
      segment.fill((byte) into.mark);
      into.segments.add(segment);
      return 1;
    } catch (MemoryLimitException e) {
      return 0; // the arena is as it was
    }
  }

  @Test
  void requests_onVirtualThreads_eachWithArenas_allComesBack() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(8, 2))) {
      List<ObjCgroup> tenants = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        tenants.add(instance.handle("t" + i));
      }
      AtomicReference<Throwable> failure = new AtomicReference<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < NR_VIRTUAL_THREADS; i++) {
        ObjCgroup tenant = tenants.get(i % tenants.size());
        int mark = i;
        threads.add(
            Thread.ofVirtual()
                .start(() -> {
                  try {
                    request(instance.kmalloc, tenant, mark);
                  } catch (Throwable t) {
                    failure.compareAndSet(null, t);
                  }
                }));
      }
      for (Thread thread : threads) {
        assertTrue(thread.join(Duration.ofMinutes(1)), "thread hangs");
      }
      if (failure.get() != null) {
        throw new AssertionError(failure.get());
      }
      instance.kmalloc.shrink();
      instance.assertNothingLeft();
      assertEquals(0, instance.root.slots().nrBusy());
    }
  }

  /** Memory of a request: some for the thread alone, some that a helper of it fills. */
  private static void request(Kmalloc kmalloc, ObjCgroup tenant, int mark) throws Exception {
    try (Scope _ = tenant.enter();
        AccountedArena confined = AccountedArena.ofConfined(kmalloc);
        AccountedArena shared = AccountedArena.ofShared(kmalloc)) {
      MemorySegment mine = confined.allocate(1000);
      MemorySegment ours = shared.allocate(100);
      mine.fill((byte) mark);
      Thread helper = Thread.ofVirtual().start(() -> ours.fill((byte) (mark + 1)));
      helper.join();
      assertEquals((byte) mark, mine.get(JAVA_BYTE, 999));
      assertEquals((byte) (mark + 1), ours.get(JAVA_BYTE, 99));
    }
  }
}
