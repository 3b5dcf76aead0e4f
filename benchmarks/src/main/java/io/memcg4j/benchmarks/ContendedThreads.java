package io.memcg4j.benchmarks;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Runs works of different kinds against each other, each on a thread of its own, for rounds of a
 * fixed time. Whoever has finished its rounds goes on until all have, so that no round is measured
 * in quiet.
 */
final class ContendedThreads {
  private static final long WARMUP_NANOS = 500_000_000L;
  private static final long ROUND_NANOS = 20_000_000L;

  /** What one thread does again and again. */
  interface Work {
    /**
     * Does it so many times.
     *
     * @return something that depends on all that was done, so that all of it is
     */
    long run(int nrTimes);
  }

  private final List<Work> works = new ArrayList<>();
  private final List<Integer> batches = new ArrayList<>();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private final AtomicInteger nrRunning = new AtomicInteger();
  private volatile long sink;

  /**
   * Adds a thread.
   *
   * @param nrTimes how often it does its work between two looks at the clock
   * @return its number
   */
  int add(int nrTimes, Work work) {
    works.add(work);
    batches.add(nrTimes);
    return works.size() - 1;
  }

  /**
   * What one thread needed for its work, in nanoseconds per time: the median of the rounds.
   *
   * @param wall with all that it waited, for locks and for a processor
   * @param cpu without: what is left on a machine that is busy with other things
   */
  record Cost(double wall, double cpu) {}

  /** Runs all. */
  Cost[] run(int nrRounds) throws InterruptedException {
    int nrThreads = works.size();
    Cost[] costs = new Cost[nrThreads];
    CyclicBarrier start = new CyclicBarrier(nrThreads);
    nrRunning.set(nrThreads);
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < nrThreads; i++) {
      int number = i;
      threads.add(
          Thread.ofPlatform()
              .name("bench-" + i)
              .start(() -> {
                try {
                  start.await();
                  costs[number] = measure(works.get(number), batches.get(number), nrRounds);
                } catch (Exception | Error e) {
                  failure.compareAndSet(null, e);
                  start.reset();
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    @Nullable Throwable thrown = failure.get();
    if (thrown != null) {
      throw new IllegalStateException("a thread failed: cause=" + thrown, thrown);
    }
    return costs;
  }

  /** The median of one kind of cost over several threads. */
  static double median(ToDoubleFunction<Cost> kind, Cost... costs) {
    return Statistics.median(Arrays.stream(costs).mapToDouble(kind).toArray());
  }

  private Cost measure(Work work, int batch, int nrRounds) {
    ThreadMXBean clock = ManagementFactory.getThreadMXBean();
    long sum = 0;
    double[] walls = new double[nrRounds];
    double[] cpus = new double[nrRounds];
    for (int round = -1; round < nrRounds; round++) {
      long length = round < 0 ? WARMUP_NANOS : ROUND_NANOS;
      long nrTimes = 0;
      long cpuBegin = clock.getCurrentThreadCpuTime();
      long begin = System.nanoTime();
      long now = begin;
      while (now - begin < length && failure.get() == null) {
        sum += work.run(batch);
        nrTimes += batch;
        now = System.nanoTime();
      }
      if (round >= 0) {
        walls[round] = (double) (now - begin) / Math.max(1, nrTimes);
        cpus[round] = (double) (clock.getCurrentThreadCpuTime() - cpuBegin) / Math.max(1, nrTimes);
      }
    }
    nrRunning.decrementAndGet();
    while (nrRunning.get() > 0 && failure.get() == null) {
      sum += work.run(batch);
    }
    sink = sum;
    return new Cost(Statistics.median(walls), Statistics.median(cpus));
  }

  /** What all works gave, of the last one that ended. */
  long sink() {
    return sink;
  }
}
