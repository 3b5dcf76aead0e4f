package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Curves, such as cost against a number of threads. Each is named where it ends, and told by
 * colour, dashes and shape of its points.
 *
 * @param title what is shown
 * @param description the same in words, for those who cannot see it
 * @param x the axis to the right
 * @param y the axis up
 * @param curves in the order of their colours
 */
record LineChart(String title, String description, Axis x, Axis y, List<Curve> curves) {
  private static final int TOP = 48;
  private static final int BOTTOM = 372;
  private static final int LEFT = 78;
  private static final int LABEL_GAP = 15;
  private static final int PADDING = 16;

  /**
   * An axis.
   *
   * @param name of what it counts, with unit
   * @param logarithmic whether equal ratios are equal lengths; else it begins at 0
   */
  record Axis(String name, boolean logarithmic) {}

  /** A named curve: its points from left to right. */
  record Curve(String label, List<Point> points) {}

  /** A point: above 0 where its axis is logarithmic. */
  record Point(double x, double y) {}

  private record Label(String text, double y, int style) {}

  String svg() {
    List<Point> points = curves.stream().flatMap(curve -> curve.points().stream()).toList();
    double longest =
        curves.stream().mapToDouble(c -> SvgChart.width(c.label())).max().orElseThrow();
    double right = SvgChart.WIDTH - PADDING - longest - 12;
    ChartAxis across = axis(x, points, Point::x, LEFT, right);
    ChartAxis up = axis(y, points, Point::y, BOTTOM, TOP);
    SvgChart chart = new SvgChart(title, description);
    for (double tick : across.ticks()) {
      chart.line(across.at(tick), TOP, across.at(tick), BOTTOM, "grid");
      chart.text(across.at(tick), BOTTOM + 18, "muted middle", ChartAxis.name(tick));
    }
    for (double tick : up.ticks()) {
      chart.line(LEFT, up.at(tick), right, up.at(tick), "grid");
      chart.text(LEFT - 8, up.at(tick) + 4, "muted end", ChartAxis.name(tick));
    }
    chart.text((LEFT + right) / 2, BOTTOM + 38, "muted middle", described(x));
    chart.uprightText(PADDING + 8, (TOP + BOTTOM) / 2.0, described(y));
    List<Label> labels = new ArrayList<>();
    for (int i = 0; i < curves.size(); i++) {
      draw(chart, across, up, curves.get(i), i);
      Point last = curves.get(i).points().getLast();
      labels.add(new Label(curves.get(i).label(), up.at(last.y()) + 4, i));
    }
    drawLabels(chart, right + 10, labels);
    return chart.finish(BOTTOM + 52);
  }

  private static void draw(SvgChart chart, ChartAxis across, ChartAxis up, Curve curve, int style) {
    List<Point> points = curve.points();
    double[] x = points.stream().mapToDouble(point -> across.at(point.x())).toArray();
    double[] y = points.stream().mapToDouble(point -> up.at(point.y())).toArray();
    chart.curve(x, y, style);
    for (int i = 0; i < x.length; i++) {
      Point point = points.get(i);
      chart.marker(
          x[i],
          y[i],
          style,
          curve.label() + ": " + SvgChart.value(point.y()) + " at " + ChartAxis.name(point.x()));
    }
  }

  /** Each beside the end of its curve, or as near as those above it leave room. */
  private static void drawLabels(SvgChart chart, double x, List<Label> labels) {
    List<Label> sorted = new ArrayList<>(labels);
    sorted.sort(Comparator.comparingDouble(Label::y));
    double bottom = BOTTOM + 4 - (sorted.size() - 1) * (double) LABEL_GAP;
    double free = TOP;
    for (Label label : sorted) {
      double y = Math.max(free, Math.min(label.y(), bottom));
      chart.text(x, y, "label s" + label.style() % SvgChart.NR_STYLES, label.text());
      free = y + LABEL_GAP;
      bottom += LABEL_GAP;
    }
  }

  private static ChartAxis axis(
      Axis axis, List<Point> points, ToDoubleFunction<Point> of, double from, double to) {
    double highest = points.stream().mapToDouble(of).max().orElseThrow();
    return axis.logarithmic()
        ? ChartAxis.logarithmic(
            points.stream().mapToDouble(of).min().orElseThrow(), highest, from, to)
        : ChartAxis.linear(highest, from, to);
  }

  private static String described(Axis axis) {
    return axis.logarithmic() ? axis.name() + " (logarithmic)" : axis.name();
  }
}
