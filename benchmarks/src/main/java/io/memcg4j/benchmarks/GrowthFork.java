package io.memcg4j.benchmarks;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One measurement of {@code bench growth}; runs in a process of its own. What a kind of work takes
 * is the median of its rounds.
 */
final class GrowthFork {
  /** Allocation and free of the same object, one after the other. */
  static final String PAIR = "pair";

  /** Free of an object somewhere, and allocation of another in its place. */
  static final String REPLACE = "replace";

  /** Of a replacement: to read where the object is. */
  static final String ARRAY = "array";

  /** A leak scan, by object. */
  static final String SCAN = "scan";

  /** A scope, with a pair in it. */
  static final String REQUEST = "request";

  static final String SCOPE = "scope";
  static final String HEAP = "heap";
  static final String MAPPED = "mapped";
  static final String CHARGED = "charged";
  static final String THROUGHPUT = "throughput";
  static final String CPU = "cpu";
  static final String STOCK = "stock";
  static final String COUNTERS = "counters";
  static final String REFUSAL = "refusal";
  static final String SHRINK = "shrink";

  /** How long a kind of work is warmed up and measured. */
  enum Plan {
    FULL(250, 250),
    QUICK(100, 80),
    TINY(0, 0);

    private final int warmupMillis;
    private final int measureMillis;

    Plan(int warmupMillis, int measureMillis) {
      this.warmupMillis = warmupMillis;
      this.measureMillis = measureMillis;
    }

    PeerRounds rounds(int maxRounds) {
      return new PeerRounds(
          warmupMillis * 1_000_000L, measureMillis * 1_000_000L, maxRounds, false);
    }
  }

  /** Something that is done again and again. */
  interface Work {
    /**
     * Does it so many times.
     *
     * @return something that depends on all that was done, so that all of it is
     */
    long run(int nrTimes);
  }

  private final Plan plan;
  private final int maxRounds;
  private final Map<String, Double> metrics = new LinkedHashMap<>();
  private long sink;

  GrowthFork(Plan plan, int maxRounds) {
    this.plan = plan;
    this.maxRounds = maxRounds;
  }

  /** Arguments: name, case, subject, rounds, plan. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    String caseName = args[1];
    int nr = GrowthAxis.number(caseName);
    GrowthFork fork = new GrowthFork(Plan.valueOf(args[4]), Integer.parseInt(args[3]));
    switch (GrowthAxis.of(caseName)) {
      case TENANTS -> GrowthTenants.measure(nr, fork);
      case OBJECTS -> GrowthObjects.measure(nr, fork);
      case THREADS -> GrowthThreads.measure(nr, args[2], fork);
      case DEPTH -> GrowthDepth.measure(nr, fork);
      case CACHES -> GrowthCaches.measure(nr, fork);
    }
    return fork.metrics;
  }

  /** Rounds, at most so many. */
  PeerRounds rounds(int most) {
    return plan.rounds(Math.min(most, maxRounds));
  }

  /** Times a kind of work: nanoseconds each time. */
  void time(String metric, int nrTimes, Work work) {
    PeerRounds rounds = rounds(maxRounds);
    while (rounds.next()) {
      long start = System.nanoTime();
      sink += work.run(nrTimes);
      rounds.add(metric, System.nanoTime() - start, nrTimes);
    }
    put(rounds.results());
  }

  void put(String metric, double value) {
    metrics.put(metric, value);
  }

  void put(Map<String, Double> more) {
    metrics.putAll(more);
    if (sink == 42) {
      System.err.println(sink); // so that no work is left out
    }
  }
}
