package io.memcg4j.benchmarks;

import java.util.Arrays;

/** The few statistics that the reports need; none of them changes its argument. */
final class Statistics {
  private Statistics() {}

  /** The middle value; of an even number of values, the mean of the two in the middle. */
  static double median(double... values) {
    requireSome(values);
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  static double mean(double... values) {
    requireSome(values);
    return Arrays.stream(values).average().getAsDouble();
  }

  static double min(double... values) {
    requireSome(values);
    return Arrays.stream(values).min().getAsDouble();
  }

  static double max(double... values) {
    requireSome(values);
    return Arrays.stream(values).max().getAsDouble();
  }

  /** The geometric mean of values that are all above 0. */
  static double geometricMean(double... values) {
    requireSome(values);
    return Math.exp(Arrays.stream(values).map(Math::log).average().getAsDouble());
  }

  private static void requireSome(double[] values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("no values: count=0");
    }
  }
}
