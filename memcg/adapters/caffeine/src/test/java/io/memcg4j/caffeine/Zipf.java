package io.memcg4j.caffeine;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/** Draws keys {@code 0..nrKeys-1}, the lower the more often. */
final class Zipf {
  private final double[] cumulative;

  Zipf(int nrKeys, double exponent) {
    cumulative = new double[nrKeys];
    double sum = 0;
    for (int i = 0; i < nrKeys; i++) {
      sum += 1 / Math.pow(i + 1, exponent);
      cumulative[i] = sum;
    }
  }

  int next(RandomGenerator random) {
    double wanted = random.nextDouble() * cumulative[cumulative.length - 1];
    int at = Arrays.binarySearch(cumulative, wanted);
    return Math.min(at < 0 ? -at - 1 : at, cumulative.length - 1);
  }
}
