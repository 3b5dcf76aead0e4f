package io.memcg4j.benchmarks;

import org.jspecify.annotations.Nullable;

/**
 * One figure of a benchmark, in the form that scripts read.
 *
 * @param bench the benchmark's name on the command line
 * @param caseName what was done
 * @param subject who did it
 * @param metric what was measured
 * @param value the median over the forks, or what was derived from medians
 * @param unit empty for a plain ratio
 * @param spread lowest and highest fork; {@code null} where the value is no median of forks
 */
record Figure(
    String bench,
    String caseName,
    String subject,
    String metric,
    double value,
    String unit,
    @Nullable Spread spread) {

  /** The lowest and the highest value over the forks. */
  record Spread(double lowest, double highest) {}

  String toJson() {
    JsonLine line =
        new JsonLine()
            .put("bench", bench)
            .put("case", caseName)
            .put("subject", subject)
            .put("metric", metric)
            .put("value", value)
            .put("unit", unit);
    if (spread != null) {
      line.put("lowest", spread.lowest()).put("highest", spread.highest());
    }
    return line.toString();
  }
}
