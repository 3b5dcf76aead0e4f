package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.LineChart.Axis;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Tables and charts of a result file of {@code bench growth}: a part of the page for each axis. */
final class GrowthPage implements ResultPage {
  /**
   * A curve, and a column.
   *
   * @param name of both
   */
  private record Line(String name, String subject, String metric) {
    Line(String name, String metric) {
      this(name, PeerSubject.OURS, metric);
    }
  }

  /**
   * A chart.
   *
   * @param file its name
   * @param number what there is more and more of
   * @param value what the curves are of
   */
  private record Chart(
      GrowthAxis axis, String file, String title, String number, Axis value, List<Line> lines) {}

  private static final String PAGE = "docs/growth.md";
  private static final Axis NANOS = new Axis("nanoseconds", true);
  private static final String THROUGHPUT = "million pairs a second";

  private static final List<Chart> CHARTS_OF_AXES =
      List.of(
          new Chart(
              GrowthAxis.TENANTS,
              "growth-tenants.svg",
              "A request of each tenant in turn: scope, allocation, free",
              "tenants",
              NANOS,
              List.of(new Line("request, ns", GrowthFork.REQUEST))),
          new Chart(
              GrowthAxis.TENANTS,
              "growth-tenants-bytes.svg",
              "What an idle tenant holds",
              "tenants",
              new Axis("bytes per tenant", true),
              List.of(
                  new Line("Java heap, bytes", GrowthFork.HEAP),
                  new Line("mapped, bytes", GrowthFork.MAPPED),
                  new Line("charged, bytes", GrowthFork.CHARGED))),
          new Chart(
              GrowthAxis.OBJECTS,
              "growth-objects.svg",
              "Work among live objects of 64 bytes",
              "live objects",
              NANOS,
              List.of(
                  new Line("pair, ns", GrowthFork.PAIR),
                  new Line("replace, ns", GrowthFork.REPLACE),
                  new Line("array, ns", GrowthFork.ARRAY),
                  new Line("scan, ns/object", GrowthFork.SCAN))),
          new Chart(
              GrowthAxis.THREADS,
              "growth-threads.svg",
              "Threads that allocate and free, each inside a scope",
              "threads",
              new Axis(THROUGHPUT, true),
              ofThreads("", GrowthFork.THROUGHPUT)),
          new Chart(
              GrowthAxis.THREADS,
              "growth-threads-cpu.svg",
              "Processor time of an allocation and its free",
              "threads",
              NANOS,
              ofThreads(", cpu ns", GrowthFork.CPU)),
          new Chart(
              GrowthAxis.DEPTH,
              "growth-depth.svg",
              "What a level of the tree costs",
              "levels below the root",
              NANOS,
              List.of(
                  new Line("charge, from stock, ns", GrowthFork.STOCK),
                  new Line("charge, all levels, ns", GrowthFork.COUNTERS),
                  new Line("refusal at the top, ns", GrowthFork.REFUSAL),
                  new Line("nested scope, ns", GrowthFork.SCOPE),
                  new Line("request, ns", GrowthFork.REQUEST))),
          new Chart(
              GrowthAxis.CACHES,
              "growth-caches.svg",
              "Typed caches in turn",
              "caches",
              NANOS,
              List.of(
                  new Line("pair, ns", GrowthFork.PAIR),
                  new Line("shrink, ns/cache", GrowthFork.SHRINK))));

  private final ResultFile results;

  GrowthPage(ResultFile results) {
    this.results = results;
  }

  private static List<Line> ofThreads(String suffix, String metric) {
    return GrowthThreads.SUBJECTS.stream()
        .map(subject -> new Line(subject + suffix, subject, metric))
        .toList();
  }

  @Override
  public List<Part> parts() {
    List<Part> parts = new ArrayList<>();
    parts.add(new Part(PAGE, GrowthBench.NAME, results.measuredOn()));
    for (GrowthAxis axis : GrowthAxis.values()) {
      List<Chart> charts = CHARTS_OF_AXES.stream().filter(chart -> chart.axis() == axis).toList();
      StringBuilder text = new StringBuilder(table(axis, charts));
      for (Chart chart : charts) {
        text.append("\n![%s](charts/%s)\n".formatted(chart.title(), chart.file()));
      }
      parts.add(new Part(PAGE, GrowthBench.NAME + "-" + axis.text(), text.toString()));
    }
    return parts;
  }

  private String table(GrowthAxis axis, List<Chart> charts) {
    List<Line> lines = charts.stream().flatMap(chart -> chart.lines().stream()).toList();
    List<String> head = new ArrayList<>(List.of(charts.getFirst().number()));
    lines.forEach(line -> head.add(line.name()));
    MarkdownTable table = new MarkdownTable(head);
    for (String caseName : axis.cases(false)) {
      List<String> row =
          new ArrayList<>(List.of("%,d".formatted(GrowthAxis.number(caseName)).replace(',', ' ')));
      lines.forEach(line -> row.add(results.cell(caseName, line.subject(), line.metric())));
      table.add(row);
    }
    return table.text();
  }

  @Override
  public Map<String, String> charts() {
    ResultCharts charts = new ResultCharts(results, subject -> false);
    for (Chart chart : CHARTS_OF_AXES) {
      charts.lines(
          chart.file(),
          chart.title(),
          new Axis(chart.number(), true),
          chart.value(),
          chart.lines().stream()
              .map(line ->
                  charts.curve(
                      line.name(),
                      line.subject(),
                      line.metric(),
                      chart.axis().cases(false),
                      GrowthAxis::number))
              .toList());
    }
    return charts.files();
  }
}
