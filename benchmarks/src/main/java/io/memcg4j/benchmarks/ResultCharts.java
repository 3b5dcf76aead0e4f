package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.BarChart.Bar;
import io.memcg4j.benchmarks.BarChart.Group;
import io.memcg4j.benchmarks.LineChart.Axis;
import io.memcg4j.benchmarks.LineChart.Curve;
import io.memcg4j.benchmarks.LineChart.Point;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/** The charts of a result file, by the names of their files. What has no figures is left out. */
final class ResultCharts {
  private final ResultFile results;
  private final Predicate<String> isOwn;
  private final Map<String, String> files = new LinkedHashMap<>();

  /**
   * Without charts yet.
   *
   * @param isOwn subjects that are to stand out
   */
  ResultCharts(ResultFile results, Predicate<String> isOwn) {
    this.results = results;
    this.isOwn = isOwn;
  }

  Map<String, String> files() {
    return files;
  }

  /** Adds a chart of bars. */
  void bars(String file, String title, String unit, List<Group> groups) {
    List<Group> known = groups.stream().filter(group -> !group.bars().isEmpty()).toList();
    if (!known.isEmpty()) {
      files.put(file, new BarChart(title, described(title, unit, known), unit, known).svg());
    }
  }

  /** The bars of a case, one for each subject that has the metric. */
  Group group(String title, String caseName, String metric) {
    List<Bar> bars = new ArrayList<>();
    for (String subject : results.subjects()) {
      results
          .find(caseName, subject, metric)
          .filter(figure -> figure.value() > 0)
          .map(this::bar)
          .ifPresent(bars::add);
    }
    return new Group(title, bars);
  }

  private Bar bar(Figure figure) {
    Figure.Spread spread = figure.spread();
    return new Bar(
        figure.subject(),
        figure.value(),
        spread == null ? figure.value() : spread.lowest(),
        spread == null ? figure.value() : spread.highest(),
        isOwn.test(figure.subject()));
  }

  private static String described(String title, String unit, List<Group> groups) {
    StringBuilder text = new StringBuilder(title).append(", ").append(unit).append('.');
    for (Group group : groups) {
      text.append(group.title().isEmpty() ? "" : " " + group.title() + ":");
      for (Bar bar : group.bars()) {
        text.append(' ').append(bar.label()).append(' ').append(SvgChart.value(bar.value()));
        text.append(bar == group.bars().getLast() ? '.' : ',');
      }
    }
    return text.toString();
  }

  /** Adds a chart of curves. */
  void lines(String file, String title, Axis x, Axis y, List<Curve> curves) {
    List<Curve> known = curves.stream().filter(curve -> !curve.points().isEmpty()).toList();
    if (!known.isEmpty()) {
      files.put(file, new LineChart(title, described(title, x, y, known), x, y, known).svg());
    }
  }

  /** A metric of a subject over several cases: those that have it, and more than nothing of it. */
  Curve curve(
      String label,
      String subject,
      String metric,
      List<String> cases,
      ToDoubleFunction<String> number) {
    List<Point> points = new ArrayList<>();
    for (String caseName : cases) {
      results
          .find(caseName, subject, metric)
          .filter(figure -> figure.value() > 0)
          .map(figure -> new Point(number.applyAsDouble(caseName), figure.value()))
          .ifPresent(points::add);
    }
    return new Curve(label, points);
  }

  private static String described(String title, Axis x, Axis y, List<Curve> curves) {
    StringBuilder text = new StringBuilder(title).append(", ").append(y.name());
    text.append(" by ").append(x.name()).append('.');
    for (Curve curve : curves) {
      Point first = curve.points().getFirst();
      Point last = curve.points().getLast();
      text.append(' ').append(curve.label()).append(": ").append(SvgChart.value(first.y()));
      text.append(" at ").append(ChartAxis.name(first.x())).append(", ");
      text.append(SvgChart.value(last.y())).append(" at ").append(ChartAxis.name(last.x()));
      text.append('.');
    }
    return text.toString();
  }
}
