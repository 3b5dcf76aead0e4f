package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.BarChart.Bar;
import io.memcg4j.benchmarks.BarChart.Group;
import io.memcg4j.benchmarks.LineChart.Axis;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Tables and charts of a result file of {@code bench seeds}: {@code docs/seeds.md}. */
final class SeedsPage implements ResultPage {
  private static final String PAGE = "docs/seeds.md";
  private static final int ORIGINAL_COLUMN = KmallocBench.SUBJECTS.indexOf(KmallocBench.ORIGINAL);
  private static final int SCOPED_COLUMN = KmallocBench.SUBJECTS.indexOf(KmallocBench.SCOPED);
  private static final double NANOS_PER_MICRO_OF_A_MILLION = 1e-3;

  /** A row of accounting: off, original, scoped, in microseconds per million; empty if unknown. */
  private record Accounting(String name, List<Double> micros, boolean own) {
    double ratio(int column) {
      return micros.get(column) / micros.getFirst();
    }
  }

  private final ResultFile results;

  SeedsPage(ResultFile results) {
    this.results = results;
  }

  @Override
  public List<Part> parts() {
    return List.of(
        new Part(PAGE, SeedsBench.NAME, results.measuredOn()),
        part(SeedsBench.KMALLOC, accounting()),
        part(SeedsBench.LEAK, marking()),
        part(SeedsBench.VMALLOC, areas()),
        part(SeedsBench.TREE, lookups()),
        new Part(PAGE, SeedsBench.NAME + "-missed", missed()),
        new Part(README, KmallocBench.NAME, brief()));
  }

  /** For the {@code README}: what accounting adds, and what a free takes. */
  private String brief() {
    List<String> head = new ArrayList<>(List.of(""));
    head.addAll(KmallocBench.SUBJECTS);
    head.addAll(List.of("scoped / off", "free, off", "free, scoped"));
    MarkdownTable table = new MarkdownTable(head);
    for (KmallocCase which : KmallocCase.values()) {
      List<String> row = new ArrayList<>(List.of(nameOf(which)));
      for (String subject : KmallocBench.SUBJECTS) {
        row.add(nanos(which, subject, LoopTimer.ALLOC));
      }
      row.add(accounting(which).map(each -> SvgChart.value(each.ratio(SCOPED_COLUMN))).orElse(""));
      row.add(nanos(which, KmallocBench.OFF, LoopTimer.FREE));
      row.add(nanos(which, KmallocBench.SCOPED, LoopTimer.FREE));
      table.add(row);
    }
    return table.text() + "\nNanoseconds; best round of a process. " + results.measuredOn();
  }

  private static String nameOf(KmallocCase which) {
    return (which.isUser() ? "tenant's group, " : "root group, ")
        + (which.isBound() ? "bound allocator" : "found by thread");
  }

  /** Of microseconds per million. */
  private String nanos(KmallocCase which, String subject, String metric) {
    return results
        .find(SeedsBench.KMALLOC + which.text(), subject, metric)
        .map(figure -> SvgChart.value(figure.value() * NANOS_PER_MICRO_OF_A_MILLION))
        .orElse("");
  }

  private static Part part(String prefix, String table) {
    String name = SeedsBench.NAME + "-" + prefix.substring(0, prefix.length() - 1);
    return new Part(PAGE, name, table + "\n![Chart of the table](charts/" + name + ".svg)\n");
  }

  private String accounting() {
    List<String> head = new ArrayList<>(List.of(""));
    KmallocBench.SUBJECTS.forEach(subject -> head.add(subject + ", ns"));
    head.addAll(List.of("original / off", "scoped / off"));
    MarkdownTable table = new MarkdownTable(head);
    for (Accounting each : accountings()) {
      List<String> row = new ArrayList<>(List.of(each.name()));
      each.micros()
          .forEach(micros -> row.add(SvgChart.value(micros * NANOS_PER_MICRO_OF_A_MILLION)));
      row.add(SvgChart.value(each.ratio(ORIGINAL_COLUMN)));
      row.add(SvgChart.value(each.ratio(SCOPED_COLUMN)));
      table.add(row);
    }
    return table.text();
  }

  private List<Accounting> accountings() {
    List<Accounting> rows = new ArrayList<>();
    rows.add(new Accounting("Linux, user group", KmallocReport.LINUX_USER, false));
    rows.add(new Accounting("Linux, root group", KmallocReport.LINUX_ROOT, false));
    for (KmallocCase which : KmallocCase.values()) {
      accounting(which).ifPresent(rows::add);
    }
    return rows;
  }

  private Optional<Accounting> accounting(KmallocCase which) {
    List<Double> micros =
        KmallocBench.SUBJECTS.stream()
            .map(subject ->
                results.find(SeedsBench.KMALLOC + which.text(), subject, LoopTimer.ALLOC))
            .flatMap(Optional::stream)
            .map(Figure::value)
            .toList();
    return micros.size() == KmallocBench.SUBJECTS.size()
        ? Optional.of(new Accounting("memcg4j, " + which.text(), micros, true))
        : Optional.empty();
  }

  private String marking() {
    MarkdownTable table =
        new MarkdownTable(
            List.of("graph", "who", "mark, ms", "million objects a second", "whole scan, ms"));
    for (Figure figure : figures(SeedsBench.LEAK, LeakFork.MARK)) {
      table.add(
          List.of(
              graph(figure.caseName()),
              figure.subject(),
              results.cell(figure.caseName(), figure.subject(), LeakFork.MARK),
              results.cell(figure.caseName(), figure.subject(), LeakFork.OBJECTS),
              results.cell(figure.caseName(), figure.subject(), LeakFork.SCAN)));
    }
    return table.text();
  }

  private static String graph(String caseName) {
    LeakGraph.Shape shape = LeakGraph.Shape.parse(caseName.substring(SeedsBench.LEAK.length()));
    return "%d %% of words point to objects".formatted(shape.perThousand() / 10);
  }

  private String areas() {
    MarkdownTable table =
        new MarkdownTable(
            List.of(
                "the other thread",
                "who",
                "pair, ns",
                "of that running",
                "99.9 %, us",
                "read, ns"));
    for (Figure figure : figures(SeedsBench.VMALLOC, VmallocFork.PAIR)) {
      table.add(
          List.of(
              reader(figure.caseName()),
              figure.subject(),
              results.cell(figure.caseName(), figure.subject(), VmallocFork.PAIR),
              results.cell(figure.caseName(), figure.subject(), VmallocFork.PAIR_CPU),
              results.cell(figure.caseName(), figure.subject(), VmallocFork.WORST),
              results.cell(figure.caseName(), figure.subject(), VmallocFork.READ)));
    }
    return table.text();
  }

  private static String reader(String caseName) {
    return caseName.split("/", -1)[1];
  }

  private String lookups() {
    List<String> cases = lookupCases();
    List<String> head = new ArrayList<>(List.of("lookup + change, ns"));
    cases.forEach(name -> head.add("%,d areas".formatted(nrAreas(name)).replace(',', ' ')));
    MarkdownTable table = new MarkdownTable(head);
    for (String subject : TreeBench.SUBJECTS) {
      List<String> row = new ArrayList<>(List.of(subject));
      for (String name : cases) {
        String read = results.cell(name, subject, TreeFork.READ);
        row.add(read.isEmpty() ? "" : read + " + " + results.cell(name, subject, TreeFork.WRITE));
      }
      table.add(row);
    }
    return table.text();
  }

  private List<String> lookupCases() {
    return cases(SeedsBench.TREE + TreeFork.LOOKUP, TreeFork.READ);
  }

  private static int nrAreas(String caseName) {
    return Integer.parseInt(caseName.split("/", -1)[2].substring("areas".length()));
  }

  private String missed() {
    MarkdownTable table = new MarkdownTable(List.of("", "missed, of a million lookups"));
    for (Figure figure : figures(SeedsBench.TREE, TreeFork.MISSED)) {
      table.add(List.of(figure.subject(), SvgChart.value(figure.value())));
    }
    return table.text();
  }

  private List<Figure> figures(String prefix, String metric) {
    return results.figures().stream()
        .filter(figure -> figure.caseName().startsWith(prefix))
        .filter(figure -> figure.metric().equals(metric))
        .toList();
  }

  @Override
  public Map<String, String> charts() {
    ResultCharts charts = new ResultCharts(results, TreeBench.MEMCG4J::equals);
    charts.bars(
        "seeds-kmalloc.svg",
        "An accounted allocation of 64 bytes",
        "times an unaccounted one",
        accountings().stream().map(SeedsPage::group).toList());
    charts.bars(
        "seeds-leak.svg",
        "Marking a million objects of 64 bytes",
        "ms",
        cases(SeedsBench.LEAK, LeakFork.MARK).stream()
            .map(name -> charts.group(graph(name), name, LeakFork.MARK))
            .toList());
    charts.bars(
        "seeds-vmalloc.svg",
        "An area allocated and freed while another thread reads: one in a thousand takes longer",
        "us",
        cases(SeedsBench.VMALLOC, VmallocFork.WORST).stream()
            .map(name -> charts.group(reader(name), name, VmallocFork.WORST))
            .toList());
    charts.lines(
        "seeds-tree.svg",
        "A lookup beside a thread that inserts and removes",
        new Axis("areas", true),
        new Axis("nanoseconds", true),
        TreeBench.SUBJECTS.stream()
            .map(subject ->
                charts.curve(subject, subject, TreeFork.READ, lookupCases(), SeedsPage::nrAreas))
            .toList());
    return charts.files();
  }

  private List<String> cases(String prefix, String metric) {
    return figures(prefix, metric).stream().map(Figure::caseName).distinct().toList();
  }

  private static Group group(Accounting row) {
    List<Bar> bars = new ArrayList<>();
    for (int i = 1; i < KmallocBench.SUBJECTS.size(); i++) {
      double ratio = row.ratio(i);
      bars.add(new Bar(KmallocBench.SUBJECTS.get(i), ratio, ratio, ratio, row.own()));
    }
    return new Group(row.name(), bars);
  }
}
