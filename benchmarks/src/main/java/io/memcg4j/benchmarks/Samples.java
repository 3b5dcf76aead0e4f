package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What the forks measured: per case, subject and metric one value from each fork. One thread. */
final class Samples {
  private record Key(String caseName, String subject, String metric) {}

  private final Map<Key, List<Double>> values = new HashMap<>();

  void add(String caseName, String subject, String metric, double value) {
    values.computeIfAbsent(new Key(caseName, subject, metric), key -> new ArrayList<>()).add(value);
  }

  boolean has(String caseName, String subject, String metric) {
    return values.containsKey(new Key(caseName, subject, metric));
  }

  double median(String caseName, String subject, String metric) {
    return Statistics.median(of(caseName, subject, metric));
  }

  Figure.Spread spread(String caseName, String subject, String metric) {
    double[] forks = of(caseName, subject, metric);
    return new Figure.Spread(Statistics.min(forks), Statistics.max(forks));
  }

  private double[] of(String caseName, String subject, String metric) {
    return values.getOrDefault(new Key(caseName, subject, metric), List.of()).stream()
        .mapToDouble(Double::doubleValue)
        .toArray();
  }
}
