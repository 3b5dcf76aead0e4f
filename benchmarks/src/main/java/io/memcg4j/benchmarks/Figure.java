package io.memcg4j.benchmarks;

import java.util.Map;
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
 * @param ratio to the value of the subject that all are compared with; {@code null} without one
 */
record Figure(
    String bench,
    String caseName,
    String subject,
    String metric,
    double value,
    String unit,
    @Nullable Spread spread,
    @Nullable Double ratio) {

  /** The lowest and the highest value over the forks. */
  record Spread(double lowest, double highest) {}

  Figure(
      String bench,
      String caseName,
      String subject,
      String metric,
      double value,
      String unit,
      @Nullable Spread spread) {
    this(bench, caseName, subject, metric, value, unit, spread, null);
  }

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
    if (ratio != null) {
      line.put("ratio", ratio);
    }
    return line.toString();
  }

  /** From the fields of {@link #toJson}. */
  static Figure of(Map<String, String> fields) {
    return new Figure(
        field(fields, "bench"),
        field(fields, "case"),
        field(fields, "subject"),
        field(fields, "metric"),
        Double.parseDouble(field(fields, "value")),
        field(fields, "unit"),
        fields.containsKey("lowest")
            ? new Spread(
                Double.parseDouble(field(fields, "lowest")),
                Double.parseDouble(field(fields, "highest")))
            : null,
        fields.containsKey("ratio") ? Double.valueOf(field(fields, "ratio")) : null);
  }

  private static String field(Map<String, String> fields, String name) {
    String value = fields.get(name);
    if (value == null) {
      throw new IllegalArgumentException("no such field: name=" + name + " fields=" + fields);
    }
    return value;
  }
}
