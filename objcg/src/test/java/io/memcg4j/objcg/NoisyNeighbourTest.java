package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A tenant whose requests are refused again and again does not get another one refused that fits:
 * beside what is live and what slots may hold in advance.
 */
class NoisyNeighbourTest {
  private static final int NR_ALLOCATIONS = 200_000;
  private static final int NR_NOISY = 2;
  private static final int MOST_BYTES = 20_000;

  @ParameterizedTest
  @CsvSource({"1048576, 1", "16777216, 2", "268435456, 3"})
  void allocate_besideRefusedRequests_isNeverRefused(long maxBytes, long seed) throws Exception {
    CpuSlots slots = CpuSlots.create(6, 2);
    MemCgroup root = MemCgroup.root(slots);
    TestAllocator allocator = new TestAllocator(root);
    MemCgroup shared = root.create("shared");
    shared.setMax(maxBytes);
    ObjCgroup noisy = ObjCgroup.of(shared.create("noisy"));
    ObjCgroup good = ObjCgroup.of(shared.create("good"));
    AtomicBoolean done = new AtomicBoolean();
    long nrNoisyBytes = maxBytes / 4 / MemCgroup.PAGE_SIZE * MemCgroup.PAGE_SIZE;
    long parked =
        Math.max(
            maxBytes / MemCgroup.MAX_STOCK_FRACTION, (long) slots.nrSlots() * MemCgroup.PAGE_SIZE);
    // What may be live without a refusal; a part of a page for each handle cannot be shared.
    long room = maxBytes - NR_NOISY * nrNoisyBytes - parked - 2 * MemCgroup.PAGE_SIZE;
    assertTrue(room > 4 * MOST_BYTES, "room=" + room);
    try (ExecutorService threads = Executors.newFixedThreadPool(NR_NOISY)) {
      List<Future<?>> noise = new ArrayList<>();
      for (int i = 0; i < NR_NOISY; i++) {
        noise.add(
            threads.submit(() -> {
              try (Scope scope = noisy.enter()) {
                Live steady = allocator.allocate(nrNoisyBytes);
                while (!done.get()) {
                  assertNull(allocator.tryAllocate(maxBytes - nrNoisyBytes / 2));
                }
                allocator.free(steady);
              }
            }));
      }
      try {
        workWithin(room, allocator, good, seed);
      } finally {
        done.set(true);
      }
      for (Future<?> each : noise) {
        each.get();
      }
    }
    root.drain();
    assertEquals(0, root.usage());
  }

  private static void workWithin(long room, TestAllocator allocator, ObjCgroup good, long seed) {
    Random random = new Random(seed);
    List<Live> live = new ArrayList<>();
    long nrBytes = 0;
    Scope scope = good.enter();
    for (int i = 0; i < NR_ALLOCATIONS; i++) {
      int next = 1 + random.nextInt(random.nextInt(10) == 0 ? MOST_BYTES : 300);
      while (nrBytes + next > room) {
        Live freed = live.remove(random.nextInt(live.size()));
        nrBytes -= freed.nrBytes();
        allocator.free(freed);
      }
      Live object = allocator.tryAllocate(next);
      assertNotNull(object, "seed=" + seed + " i=" + i + " live=" + nrBytes + " room=" + room);
      live.add(object);
      nrBytes += next;
      if (i % 100 == 0) { // another slot, perhaps
        scope.close();
        scope = good.enter();
      }
    }
    live.forEach(allocator::free);
    scope.close();
  }
}
