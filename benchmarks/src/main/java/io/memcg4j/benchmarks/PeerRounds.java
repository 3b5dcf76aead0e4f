package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The rounds of one case: some that warm up, then those that count, until there were enough or
 * their time is over. One thread.
 */
final class PeerRounds {
  private static final int MIN_ROUNDS = 3;

  private final long warmupNanos;
  private final long measureNanos;
  private final int maxRounds;
  private final boolean mean;
  private final Map<String, List<Double>> times = new LinkedHashMap<>();
  private long warmingSince;
  private long measuredSince;
  private int nrWarmup;
  private int nrMeasured;

  /**
   * Of a plan.
   *
   * @param first whether nothing is compiled yet
   * @param mean whether the mean counts rather than the median: where some rounds pay for all, as
   *     with a garbage collection
   */
  PeerRounds(PeersPlan plan, boolean first, int maxRounds, boolean mean) {
    this(plan.warmupNanos(first), plan.measureNanos(), maxRounds, mean);
  }

  /** As the other one, with the times themselves. */
  PeerRounds(long warmupNanos, long measureNanos, int maxRounds, boolean mean) {
    this.warmupNanos = warmupNanos;
    this.measureNanos = measureNanos;
    this.maxRounds = maxRounds;
    this.mean = mean;
  }

  /** Whether another round is to be run. */
  boolean next() {
    long now = System.nanoTime();
    if (nrWarmup == 0) {
      warmingSince = now;
    }
    if (nrMeasured == 0 && (nrWarmup == 0 || now - warmingSince < warmupNanos)) {
      nrWarmup++;
      return true;
    }
    if (nrMeasured == 0) {
      measuredSince = now;
    } else if (nrMeasured >= maxRounds
        || (nrMeasured >= MIN_ROUNDS && now - measuredSince >= measureNanos)) {
      return false;
    }
    nrMeasured++;
    return true;
  }

  /**
   * How many objects the next round should have, so that it takes the time that is wanted: the
   * rounds that warm up tell, as the first ones are slow, and those that count have as many each.
   *
   * @param nanos what a round of {@code nrObjects} took
   */
  int nrObjects(int nrObjects, long nanos, long wantedNanos, int least, int most) {
    if (nrMeasured > 0) {
      return nrObjects;
    }
    return Math.clamp(wantedNanos * nrObjects / Math.max(1, nanos), least, most);
  }

  /** What a part of the round took, by object; of a round that warms up it is forgotten. */
  void add(String metric, long nanos, long nrObjects) {
    if (nrMeasured > 0) {
      times.computeIfAbsent(metric, key -> new ArrayList<>()).add((double) nanos / nrObjects);
    }
  }

  /** The metrics in the order in which they came. */
  Map<String, Double> results() {
    Map<String, Double> results = new LinkedHashMap<>();
    times.forEach((metric, values) -> {
      double[] all = values.stream().mapToDouble(Double::doubleValue).toArray();
      results.put(metric, mean ? Statistics.mean(all) : Statistics.median(all));
    });
    return results;
  }
}
