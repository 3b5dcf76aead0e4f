package io.memcg4j.benchmarks;

import java.util.List;

/**
 * Horizontal bars in groups, one scale for all of them. Where the longest would leave nothing to be
 * seen of the shortest the scale is logarithmic, and says so.
 *
 * @param title what is shown
 * @param description the same in words, for those who cannot see it
 * @param unit of the values
 * @param groups from the top
 */
record BarChart(String title, String description, String unit, List<Group> groups) {
  private static final double MAX_LINEAR_RATIO = 40;

  /** Where a logarithmic scale may begin, so that the shortest bar is one. */
  private static final double SHORTEST = 0.7;

  private static final int LABEL_WIDTH = 176;
  private static final int VALUE_WIDTH = 70;
  private static final int BAR_HEIGHT = 13;
  private static final int ROW_HEIGHT = 19;
  private static final int GROUP_GAP = 30;
  private static final int TOP = 44;
  private static final int PADDING = 16;

  /**
   * Bars under a heading.
   *
   * @param title empty for none
   */
  record Group(String title, List<Bar> bars) {}

  /**
   * One bar.
   *
   * @param value above 0
   * @param lowest of the values that this is the median of
   * @param highest of them
   * @param own drawn in the colour that stands out
   */
  record Bar(String label, double value, double lowest, double highest, boolean own) {}

  String svg() {
    List<Bar> bars = groups.stream().flatMap(group -> group.bars().stream()).toList();
    double highest = bars.stream().mapToDouble(Bar::highest).max().orElseThrow();
    double lowest = bars.stream().mapToDouble(Bar::lowest).min().orElseThrow();
    boolean logarithmic = lowest > 0 && highest / lowest > MAX_LINEAR_RATIO;
    double left = PADDING + LABEL_WIDTH;
    double right = SvgChart.WIDTH - PADDING - VALUE_WIDTH;
    ChartAxis axis =
        logarithmic
            ? ChartAxis.logarithmic(lowest * SHORTEST, highest, left, right)
            : ChartAxis.linear(highest, left, right);
    double bottom = TOP;
    for (Group group : groups) {
      bottom += (group.title().isEmpty() ? 8 : GROUP_GAP) + group.bars().size() * ROW_HEIGHT;
    }
    SvgChart chart = new SvgChart(title, description);
    for (double tick : axis.ticks()) {
      chart.line(axis.at(tick), TOP, axis.at(tick), bottom, "grid");
      chart.text(axis.at(tick), bottom + 16, "muted middle", ChartAxis.name(tick));
    }
    double y = TOP;
    for (Group group : groups) {
      y += group.title().isEmpty() ? 8 : GROUP_GAP;
      if (!group.title().isEmpty()) {
        chart.text(PADDING, y - 8, "head", group.title());
      }
      for (Bar bar : group.bars()) {
        draw(chart, axis, bar, left, y);
        y += ROW_HEIGHT;
      }
    }
    String scale = logarithmic ? ", logarithmic scale" : "";
    chart.text((left + right) / 2, bottom + 34, "muted middle", unit + scale);
    return chart.finish(bottom + 46);
  }

  private void draw(SvgChart chart, ChartAxis axis, Bar bar, double left, double y) {
    double middle = y + BAR_HEIGHT / 2.0;
    String text = SvgChart.value(bar.value());
    double end = axis.at(bar.value());
    chart.text(left - 8, middle + 4, bar.own() ? "head end" : "end", bar.label());
    chart.rectangle(
        left,
        y,
        Math.max(1, end - left),
        BAR_HEIGHT,
        bar.own() ? "own" : "other",
        bar.label() + ": " + text + " " + unit);
    double after = end;
    if (bar.highest() > bar.lowest()) {
      after = axis.at(bar.highest());
      chart.line(axis.at(bar.lowest()), middle, after, middle, "spread");
    }
    chart.text(after + 6, middle + 4, bar.own() ? "head" : "text", text);
  }
}
