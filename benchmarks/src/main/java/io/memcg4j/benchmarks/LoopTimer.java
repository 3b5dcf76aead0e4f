package io.memcg4j.benchmarks;

import com.sun.management.ThreadMXBean;
import io.memcg4j.slab.Kmalloc;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.Map;

/** Warms a loop up, measures it and reports the best round. */
final class LoopTimer {
  static final String ALLOC = "alloc";
  static final String FREE = "free";

  /** Bytes allocated on the Java heap per million allocations and frees. */
  static final String HEAP = "heap";

  private static final int MIN_WARMUP_ROUNDS = 30;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private LoopTimer() {}

  /** Runs the loop on the calling thread. */
  static Map<String, Double> measure(KmallocLoop loop, LoopPlan plan) {
    int nrObjects = plan.nrObjects();
    int nrRounds = plan.nrRounds();
    long[] addresses = new long[nrObjects];
    warmUp(loop, addresses, plan.minWarmupNanos());
    long bestAllocNanos = Long.MAX_VALUE;
    long bestFreeNanos = Long.MAX_VALUE;
    long heapBefore = heapBytes();
    for (int round = 0; round < nrRounds; round++) {
      long start = System.nanoTime();
      loop.allocateAll(addresses);
      long middle = System.nanoTime();
      loop.freeAll(addresses);
      long end = System.nanoTime();
      bestAllocNanos = Math.min(bestAllocNanos, middle - start);
      bestFreeNanos = Math.min(bestFreeNanos, end - middle);
      use(addresses);
    }
    double heapBytes = (double) (heapBytes() - heapBefore) / nrRounds;
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put(ALLOC, microsPerMillion(bestAllocNanos, nrObjects));
    metrics.put(FREE, microsPerMillion(bestFreeNanos, nrObjects));
    metrics.put(HEAP, heapBytes * 1e6 / nrObjects);
    return metrics;
  }

  static void warmUp(KmallocLoop loop, long[] addresses, long minNanos) {
    long start = System.nanoTime();
    for (int i = 0; i < MIN_WARMUP_ROUNDS || System.nanoTime() - start < minNanos; i++) {
      loop.allocateAll(addresses);
      loop.freeAll(addresses);
      use(addresses);
    }
  }

  /** Looks at every address, so that no compiler can drop the work that made them. */
  static void use(long[] addresses) {
    for (long address : addresses) {
      if (address == Kmalloc.NULL) {
        throw new IllegalStateException("no object: count=" + addresses.length);
      }
    }
  }

  /** What the calling thread has allocated on the Java heap so far. */
  static long heapBytes() {
    return THREADS.getCurrentThreadAllocatedBytes();
  }

  private static double microsPerMillion(long nanos, int nrObjects) {
    return nanos / 1e3 * (1e6 / nrObjects);
  }
}
