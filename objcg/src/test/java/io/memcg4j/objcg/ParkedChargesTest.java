package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What slots hold in advance for a group never passes what is published: {@code 1/32} of a limit,
 * or one page a slot if that is more.
 */
class ParkedChargesTest {
  private static final int NR_SLOTS = 16;
  private static final int NR_ROUNDS = 80;
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  @ParameterizedTest
  @CsvSource({
    "1, 60000, 1",
    "1, 1000000, 2",
    "1, 4000000, 3",
    "1, 40000000, 4",
    "1, 400000000, 5",
    "4, 200000, 6",
    "4, 1000000, 7",
    "4, 4000000, 8",
    "4, 40000000, 9",
    "4, 400000000, 10",
    "7, 2000000, 11",
    "7, 8000000, 12",
    "7, 16000000, 13",
    "7, 24000000, 14",
    "7, 80000000, 15"
  })
  void usage_allSlotsAtWork_overReadsByAtMostTheBound(int nrChildren, long maxBytes, long seed)
      throws Exception {
    MemCgroup root = MemCgroup.root(CpuSlots.create(NR_SLOTS - 1, 1));
    MemCgroup limited = root.create("limited");
    limited.setMax(maxBytes);
    List<ObjCgroup> handles = new ArrayList<>();
    for (int i = 0; i < nrChildren; i++) {
      handles.add(ObjCgroup.of(limited.create("c" + i)));
    }
    TestAllocator allocator = new TestAllocator(root);
    List<Worker> workers = new ArrayList<>();
    for (int i = 0; i < NR_SLOTS - 1; i++) {
      workers.add(new Worker(allocator, handles, new Random(seed * 1000 + i)));
    }
    long bound = Math.max(maxBytes / MemCgroup.MAX_STOCK_FRACTION, (long) NR_SLOTS * PAGE);
    for (int round = 0; round < NR_ROUNDS; round++) {
      for (Worker worker : workers) {
        worker.call(worker::work);
        long parked = limited.usage() - liveBytes(workers) - remainders(handles);
        String where = "seed=%d round=%d bound=%d".formatted(seed, round, bound);
        assertTrue(parked <= bound, where + " parked=" + parked);
      }
    }
    for (Worker worker : workers) {
      worker.call(worker::freeAll);
      worker.thread.close();
    }
    root.drain();
    assertEquals(0, root.usage(), "seed=" + seed);
  }

  /** One byte for each of several groups in each slot leaves as much as can be in their stocks. */
  @ParameterizedTest
  @CsvSource({
    "1, 60000",
    "2, 100000",
    "4, 500000",
    "4, 2000000",
    "4, 5000000",
    "4, 8000000",
    "4, 11000000",
    "4, 17000000",
    "4, 21000000",
    "4, 23000000",
    "4, 34000000",
    "6, 2000000",
    "6, 40000000"
  })
  void usage_fullStocksInAllSlots_overReadsByAtMostTheBound(int nrChildren, long maxBytes)
      throws Exception {
    MemCgroup root = MemCgroup.root(CpuSlots.create(NR_SLOTS - 1, 1));
    MemCgroup limited = root.create("limited");
    limited.setMax(maxBytes);
    List<ObjCgroup> handles = new ArrayList<>();
    for (int i = 0; i < nrChildren; i++) {
      handles.add(ObjCgroup.of(limited.create("c" + i)));
    }
    TestAllocator allocator = new TestAllocator(root);
    List<Worker> workers = new ArrayList<>();
    for (int i = 0; i < NR_SLOTS - 1; i++) {
      workers.add(new Worker(allocator, handles, new Random(i)));
    }
    long bound = Math.max(maxBytes / MemCgroup.MAX_STOCK_FRACTION, (long) NR_SLOTS * PAGE);
    for (Worker worker : workers) {
      worker.call(worker::touchAll);
      long parked = limited.usage() - liveBytes(workers) - remainders(handles);
      assertTrue(parked <= bound, "bound=" + bound + " parked=" + parked);
    }
    for (Worker worker : workers) {
      worker.call(worker::freeAll);
      worker.thread.close();
    }
    root.drain();
    assertEquals(0, root.usage());
  }

  private static long liveBytes(List<Worker> workers) {
    return workers.stream().flatMap(w -> w.live.stream()).mapToLong(Live::nrBytes).sum();
  }

  /** Parts of pages that no slot holds. */
  private static long remainders(List<ObjCgroup> handles) {
    long sum = 0;
    for (ObjCgroup handle : handles) {
      long rest = handle.takeRemainder();
      handle.unchargeNow(rest);
      sum += rest;
    }
    return sum;
  }

  /** A thread that stays in a scope, and goes in and out of others. */
  private static final class Worker {
    final ExecutorService thread = Executors.newSingleThreadExecutor();
    final List<Live> live = new ArrayList<>();
    private final TestAllocator allocator;
    private final List<ObjCgroup> handles;
    private final Random random;
    private final Deque<Scope> scopes = new ArrayDeque<>();

    Worker(TestAllocator allocator, List<ObjCgroup> handles, Random random) {
      this.allocator = allocator;
      this.handles = handles;
      this.random = random;
    }

    void call(Runnable work) throws Exception {
      thread.submit(work).get();
    }

    void work() {
      if (scopes.isEmpty() || random.nextInt(3) != 0) {
        scopes.push(handles.get(random.nextInt(handles.size())).enter());
      }
      while (scopes.size() > 1 && random.nextInt(3) == 0) {
        scopes.pop().close();
      }
      boolean grow = random.nextInt(100) < 60;
      for (int i = random.nextInt(40); i > 0; i--) {
        if (grow) {
          Live object = allocator.tryAllocate(1 + random.nextInt(random.nextInt(1, 9000)));
          if (object != null) {
            live.add(object);
          }
        } else if (!live.isEmpty()) {
          allocator.free(live.remove(random.nextInt(live.size())));
        }
      }
    }

    void touchAll() {
      for (ObjCgroup handle : handles) {
        scopes.push(handle.enter());
        Live object = allocator.tryAllocate(1);
        if (object != null) {
          live.add(object);
        }
      }
    }

    void freeAll() {
      live.forEach(allocator::free);
      live.clear();
      while (!scopes.isEmpty()) {
        scopes.pop().close();
      }
    }
  }
}
