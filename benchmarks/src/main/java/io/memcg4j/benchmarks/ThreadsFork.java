package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Measures the loop on one or two threads at once; runs in a process of its own. The threads start
 * each round together, and a round ends when the slower one has: its time is from the first start
 * to the last end.
 */
final class ThreadsFork {
  private static final int NR_SPINS = 1000; // then yield: with fewer cores than threads it must

  private final AtomicInteger nrArrived = new AtomicInteger();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private final Kmalloc kmalloc;
  private final List<MemCgroup> groups; // per thread
  private final LoopPlan plan;
  private final long[][] starts; // per thread and round, nanoseconds
  private final long[][] ends;

  private ThreadsFork(Kmalloc kmalloc, List<MemCgroup> groups, LoopPlan plan) {
    this.kmalloc = kmalloc;
    this.groups = groups;
    this.plan = plan;
    this.starts = new long[groups.size()][plan.nrRounds()];
    this.ends = new long[groups.size()][plan.nrRounds()];
  }

  /** Arguments: name, case, objects, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    return measure(args[1], LoopPlan.parse(args[2], args[3]));
  }

  static Map<String, Double> measure(String caseName, LoopPlan plan) throws InterruptedException {
    MemCgroup root = MemCgroup.root();
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      return new ThreadsFork(kmalloc, groups(root, caseName), plan).run();
    }
  }

  /** The group of each thread. */
  private static List<MemCgroup> groups(MemCgroup root, String caseName) {
    MemCgroup first = KmallocCase.userGroup(root, "first");
    return switch (caseName) {
      case ThreadsBench.ONE_THREAD -> List.of(first);
      case ThreadsBench.ONE_GROUP -> List.of(first, first);
      case ThreadsBench.TWO_GROUPS -> List.of(first, KmallocCase.userGroup(root, "second"));
      default -> throw new IllegalArgumentException("unknown case: name=" + caseName);
    };
  }

  private Map<String, Double> run() throws InterruptedException {
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < groups.size(); i++) {
      int number = i;
      threads.add(Thread.ofPlatform().name("bench-" + i).start(() -> runThread(number)));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    @Nullable Throwable thrown = failure.get();
    if (thrown != null) {
      throw new IllegalStateException("a thread failed: cause=" + thrown, thrown);
    }
    double bestMicros = Double.MAX_VALUE;
    for (int round = 0; round < plan.nrRounds(); round++) {
      bestMicros = Math.min(bestMicros, micros(round));
    }
    return Map.of(ThreadsBench.THROUGHPUT, (double) plan.nrObjects() * groups.size() / bestMicros);
  }

  private double micros(int round) {
    long first = starts[0][round];
    long last = ends[0][round];
    for (int i = 1; i < groups.size(); i++) {
      // Differences, because the clock's values themselves may be negative or wrap.
      first = starts[i][round] - first < 0 ? starts[i][round] : first;
      last = ends[i][round] - last > 0 ? ends[i][round] : last;
    }
    return (last - first) / 1e3;
  }

  private void runThread(int number) {
    long[] addresses = new long[plan.nrObjects()];
    try (Scope scope = ObjCgroup.of(groups.get(number)).enter()) {
      KmallocLoop loop = new KmallocLoop.Bound(kmalloc.bind(scope));
      LoopTimer.warmUp(loop, addresses, plan.minWarmupNanos());
      for (int round = 0; round < plan.nrRounds(); round++) {
        awaitAll(round + 1);
        starts[number][round] = System.nanoTime();
        loop.allocateAll(addresses);
        loop.freeAll(addresses);
        ends[number][round] = System.nanoTime();
        LoopTimer.use(addresses);
      }
    } catch (RuntimeException | Error e) {
      failure.compareAndSet(null, e);
    }
  }

  /** Waits until every thread has come here for the {@code nrTimes}-th time, or one has failed. */
  private void awaitAll(int nrTimes) {
    nrArrived.incrementAndGet();
    int nrSpins = 0;
    while (nrArrived.get() < nrTimes * groups.size() && failure.get() == null) {
      if (nrSpins++ < NR_SPINS) {
        Thread.onSpinWait();
      } else {
        Thread.yield();
      }
    }
  }
}
