package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.List;

/**
 * Where the values of a chart are drawn, and which of them are named. A logarithmic axis begins and
 * ends at a power of ten, or at 2 or 5 times one.
 */
final class ChartAxis {
  private static final double[] STEPS = {1, 2, 5};

  /** Up to so many decades 2 and 5 are named too. */
  private static final double MAX_DECADES_IN_STEPS = 1.6;

  private static final int MAX_LINEAR_TICKS = 6;

  private final double from; // pixels
  private final double to;
  private final boolean logarithmic;
  private final List<Double> ticks;

  private ChartAxis(double from, double to, boolean logarithmic, List<Double> ticks) {
    this.from = from;
    this.to = to;
    this.logarithmic = logarithmic;
    this.ticks = ticks;
  }

  /** Logarithmic, around values that are all above 0. */
  static ChartAxis logarithmic(double lowest, double highest, double from, double to) {
    if (!(lowest > 0 && highest >= lowest && Double.isFinite(highest))) {
      throw new IllegalArgumentException(
          "bad range of a logarithmic axis: lowest=" + lowest + " highest=" + highest);
    }
    boolean inSteps = Math.log10(highest / lowest) <= MAX_DECADES_IN_STEPS;
    List<Double> ticks = new ArrayList<>();
    for (int decade = (int) Math.floor(Math.log10(lowest)) - 1; ; decade++) {
      for (int i = 0; i < (inSteps ? STEPS.length : 1); i++) {
        double tick =
            decade < 0 ? STEPS[i] / Math.pow(10, -decade) : STEPS[i] * Math.pow(10, decade);
        if (tick <= lowest && highest > lowest) {
          ticks.clear(); // the last one that is not above all
        }
        ticks.add(tick);
        if (tick >= highest && ticks.size() > 1) {
          return new ChartAxis(from, to, true, List.copyOf(ticks));
        }
      }
    }
  }

  /** Linear from 0. */
  static ChartAxis linear(double highest, double from, double to) {
    if (!(highest > 0 && Double.isFinite(highest))) {
      throw new IllegalArgumentException("bad end of an axis: highest=" + highest);
    }
    double step = Math.pow(10, Math.floor(Math.log10(highest)) - 1);
    for (int i = 1; highest / step > MAX_LINEAR_TICKS; i++) {
      step *= i % 3 == 2 ? 2.5 : 2; // 1, 2, 5, 10, ...
    }
    List<Double> ticks = new ArrayList<>();
    for (int i = 0; i == 0 || ticks.getLast() < highest; i++) {
      ticks.add(i * step);
    }
    return new ChartAxis(from, to, false, List.copyOf(ticks));
  }

  /** Where a value is, in pixels. */
  double at(double value) {
    double low = ticks.getFirst();
    double high = ticks.getLast();
    double share =
        logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return from + share * (to - from);
  }

  /** The values that get a line and a name, in order. */
  List<Double> ticks() {
    return ticks;
  }

  /** A value of an axis, such as 0.5, 20, 100k. */
  static String name(double tick) {
    if (tick >= 1e9) {
      return trimmed(tick / 1e9) + "G";
    }
    if (tick >= 1e6) {
      return trimmed(tick / 1e6) + "M";
    }
    return tick >= 1e4 ? trimmed(tick / 1e3) + "k" : trimmed(tick);
  }

  private static String trimmed(double value) {
    double rounded = Math.rint(value * 1e6) / 1e6;
    return rounded == Math.rint(rounded)
        ? Long.toString(Math.round(rounded))
        : Double.toString(rounded);
  }
}
