package io.memcg4j.percpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Several threads allocate, hand over, free, add, shrink and look at the same time. */
final class PercpuAllocatorConcurrencyTest {
  private static final int NR_THREADS = 4;
  private static final int NR_STEPS = 15_000;

  private final CpuSlots slots = CpuSlots.create(3, 2);
  private final TestPages pages = new TestPages();
  private final TestCharger charger = new TestCharger();
  private final PercpuAllocator allocator =
      new PercpuAllocator(slots, pages, charger, 24L * PercpuChunk.UNIT_SIZE);

  @Test
  void fourThreads_allocateAndFreeEachOthersObjects_nothingOverlapsOrIsLost() throws Exception {
    ConcurrentLinkedQueue<long[]> handedOver = new ConcurrentLinkedQueue<>();
    run(number -> {
      Random random = new Random(number);
      List<long[]> mine = new ArrayList<>();
      for (int step = 0; step < NR_STEPS; step++) {
        if (random.nextInt(100) < 50) {
          int size = 8 * (1 + random.nextInt(random.nextInt(10) == 0 ? 512 : 8));
          long handle = allocator.tryAllocate(size);
          if (handle != PercpuAllocator.NULL) {
            fill(handle, size, handle);
            mine.add(new long[] {handle, size});
          }
        } else if (random.nextInt(4) == 0) {
          long[] other = handedOver.poll();
          if (other != null) {
            checkAndFree(other);
          }
        } else if (!mine.isEmpty()) {
          long[] object = mine.remove(random.nextInt(mine.size()));
          if (random.nextBoolean()) {
            handedOver.add(object);
          } else {
            checkAndFree(object);
          }
        }
        if (number == 0 && step % 500 == 0) {
          allocator.shrink();
          allocator.stats();
          allocator.forEach((handle, nrBytes, payer) -> assertTrue(nrBytes > 0 && payer == 1));
        }
      }
      mine.forEach(this::checkAndFree);
    });
    handedOver.forEach(this::checkAndFree);
    allocator.checkInvariants();
    assertEquals(0, charger.total.get());
    assertEquals(0, allocator.nrLive());
    assertTrue(allocator.stats().depopulatedPages() > 0);
    allocator.close();
  }

  private void fill(long handle, int size, long value) {
    for (int unit = 0; unit < allocator.nrUnits(); unit++) {
      for (int i = 0; i < size; i += 8) {
        assertEquals(0, allocator.value(handle + i, unit), "not zero, or of two objects");
        TestPages.MEMORY.set(JAVA_LONG, allocator.address(handle + i, unit), value + unit);
      }
    }
  }

  private void checkAndFree(long[] object) {
    for (int unit = 0; unit < allocator.nrUnits(); unit++) {
      for (int i = 0; i < object[1]; i += 8) {
        assertEquals(object[0] + unit, allocator.value(object[0] + i, unit));
      }
    }
    allocator.free(object[0]);
  }

  /** More threads than slots of their own: some add through shared ones. */
  @Test
  void manyThreads_add_theSumIsExact() throws Exception {
    long[] counters = new long[100];
    for (int i = 0; i < counters.length; i++) {
      counters[i] = allocator.allocate(8);
    }
    run(number -> {
      CpuSlot slot = number < 3 ? slots.tryClaim(number) : slots.overflow();
      assertNotNull(slot);
      for (int step = 0; step < 200_000; step++) {
        allocator.add(counters[step % 100], slot, number + 1);
        if (step % 1000 == 0) {
          long sum = allocator.sum(counters[7]);
          assertTrue(sum >= 0 && sum <= 2000L * 10, () -> "sum=" + sum);
        }
      }
      if (number < 3) {
        slot.release();
      }
    });
    for (long counter : counters) {
      assertEquals(2000L * (1 + 2 + 3 + 4), allocator.sum(counter));
      allocator.free(counter);
    }
    allocator.close();
  }

  private interface Work {
    void run(int number) throws Exception;
  }

  private static void run(Work work) throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(NR_THREADS)) {
      List<Callable<Boolean>> tasks = new ArrayList<>();
      for (int i = 0; i < NR_THREADS; i++) {
        int number = i;
        tasks.add(() -> {
          work.run(number);
          return true;
        });
      }
      for (Future<Boolean> task : threads.invokeAll(tasks, 60, TimeUnit.SECONDS)) {
        assertTrue(task.get());
      }
    }
  }
}
