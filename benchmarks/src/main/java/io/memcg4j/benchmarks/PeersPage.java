package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.BarChart.Bar;
import io.memcg4j.benchmarks.BarChart.Group;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/** Tables and charts of a result file of {@code bench peers}. */
final class PeersPage implements ResultPage {
  private static final String HELD_64 = "held/64";

  /** Of a column: the sum of the metrics beside that of memcg4j. */
  private static final String RATIO = "64: ratio";

  private static final List<String> SHORT_LIST =
      List.of(
          "memcg4j",
          "memcg4j-off",
          "netty-adaptive-disabled",
          "netty-pooled-disabled",
          "arrow-child",
          "arena-confined",
          "ffm-malloc",
          "lwjgl-jemalloc",
          "c-glibc",
          "c-jemalloc",
          "c-mimalloc",
          "c-tcmalloc");

  private static final Map<String, String> TITLES =
      Map.of(
          "peers-pairs.svg", "Allocate and free at once",
          "peers-held.svg", "A million objects of 64 bytes held",
          "peers-random.svg", "Random sizes, each object freed when another takes its place",
          "peers-handoff.svg", "Allocated by one thread, freed by another",
          "peers-replay.svg", "Traces of six real programs, geometric mean",
          "peers-memory.svg", "Resident memory, a million objects of 64 bytes");

  private final ResultFile results;

  PeersPage(ResultFile results) {
    this.results = results;
  }

  @Override
  public List<Part> parts() {
    return List.of(
        new Part(BENCHMARKS, PeersBench.NAME, full()), new Part(README, PeersBench.NAME, brief()));
  }

  /** For {@code BENCHMARKS.md}: everything that was measured. */
  String full() {
    StringBuilder text = new StringBuilder(results.measuredOn());
    section(
        text,
        "Pairs",
        "One object allocated and freed at once, nanoseconds per pair, by size in bytes; `ratio` is"
            + " to memcg4j; `heap` is what a pair of 64 bytes allocates on the Java heap.",
        pairs(),
        "peers-pairs.svg");
    section(
        text,
        "Held",
        "A million objects (256 MiB at most; fewer where each takes microseconds) allocated, then"
            + " freed: nanoseconds per allocation + per free. `write`: to write a byte into each"
            + " object of 64 bytes, which is when memory that the allocator has not touched comes"
            + " to the cache. `heap`: bytes on the Java heap per object of 64 bytes.",
        held(),
        "peers-held.svg");
    section(
        text,
        "Random sizes, hand-over, virtual threads, memory",
        "`random`: 1 to 4096 bytes, mostly small, each object freed when another takes its place"
            + " among 10 000, first and last byte written; nanoseconds per free and allocation."
            + " `handoff`: allocated by one thread and freed by another, both in a scope of one"
            + " tenant, in batches of 256; nanoseconds per object. `vthread`: 100 000 virtual threads, each of one of 1000"
            + " tenants, with 8 pairs of 256 bytes; nanoseconds per thread, less what a thread"
            + " takes that does nothing. `memory`: resident anonymous bytes (and live bytes of the"
            + " Java heap) per byte of payload, a million objects of 64 bytes, all written.",
        others(),
        "peers-random.svg",
        "peers-handoff.svg",
        "peers-memory.svg");
    section(
        text,
        "Traces of real programs",
        "Nanoseconds per event; first and last byte of each object written.",
        replay(),
        "peers-replay.svg");
    section(
        text,
        "A tenant at its limit",
        "Its limit is 4 MiB, of which 90 % are used: nanoseconds per pair of 64 bytes, and per"
            + " request that is refused: with an exception and its stack trace, or with a NULL, as"
            + " `tryAllocate` does. Both groups are one below the root.",
        limit());
    return text.toString();
  }

  private void section(
      StringBuilder text, String title, String legend, MarkdownTable table, String... charts) {
    if (table.isEmpty()) {
      return;
    }
    text.append("\n### ").append(title).append("\n\n").append(legend).append("\n\n");
    text.append(table.text());
    for (String chart : charts) {
      text.append(image(chart));
    }
  }

  /** Nothing if there are no figures for it. */
  private String image(String chart) {
    return charts().containsKey(chart)
        ? "\n![" + title(chart) + "](" + CHARTS + "/" + chart + ")\n"
        : "";
  }

  private static String title(String chart) {
    return TITLES.getOrDefault(chart, chart);
  }

  /** For the {@code README}: a table of those that most will look for. */
  String brief() {
    MarkdownTable table =
        new MarkdownTable(
            List.of(
                "",
                "pair, 64 B",
                "1M held, 64 B: alloc + free",
                "random sizes",
                "freed by another thread",
                "traces",
                "resident / payload"));
    for (String subject : SHORT_LIST) {
      table.add(
          List.of(
              subject,
              results.cell("pairs/64", subject, PeersFork.PAIR),
              sum(HELD_64, subject),
              results.cell("random/live10000", subject, PeersFork.REPLACE),
              results.cell("handoff/64", subject, PeersFork.HANDOFF),
              cell(geometricMean(subject)),
              results.cell("memory/64", subject, PeersFork.MEMORY)));
    }
    return table.text()
        + "\nNanoseconds; last column bytes. "
        + results.measuredOn()
        + image("peers-held.svg");
  }

  private MarkdownTable pairs() {
    List<String> cases = PeerCase.PAIRS.cases(false);
    MarkdownTable table = new MarkdownTable(head("", cases, RATIO, "heap"));
    for (String subject : results.subjects()) {
      List<String> row = new ArrayList<>(List.of(subject));
      cases.forEach(name -> row.add(results.cell(name, subject, PeersFork.PAIR)));
      row.add(ratio("pairs/64", subject, List.of(PeersFork.PAIR)));
      row.add(results.cell("pairs/64", subject, PeersFork.HEAP));
      table.add(row);
    }
    return table;
  }

  private MarkdownTable held() {
    List<String> cases = PeerCase.HELD.cases(false);
    MarkdownTable table = new MarkdownTable(head("", cases, RATIO, "write", "heap"));
    for (String subject : results.subjects()) {
      List<String> row = new ArrayList<>(List.of(subject));
      cases.forEach(name -> row.add(sum(name, subject)));
      row.add(ratio(HELD_64, subject, List.of(PeersFork.ALLOC, PeersFork.FREE)));
      row.add(results.cell(HELD_64, subject, PeersFork.WRITE));
      row.add(results.cell(HELD_64, subject, PeersFork.HEAP));
      table.add(row);
    }
    return table;
  }

  private MarkdownTable others() {
    MarkdownTable table =
        new MarkdownTable(
            List.of("", "random", "handoff, 64 B", "handoff, 1024 B", "vthread", "memory"));
    for (String subject : results.subjects()) {
      table.add(
          List.of(
              subject,
              results.cell("random/live10000", subject, PeersFork.REPLACE),
              results.cell("handoff/64", subject, PeersFork.HANDOFF),
              results.cell("handoff/1024", subject, PeersFork.HANDOFF),
              cell(ofThread(subject)),
              results.cell("memory/64", subject, PeersFork.MEMORY)));
    }
    return table;
  }

  private MarkdownTable replay() {
    List<String> cases = PeerCase.REPLAY.cases(false);
    MarkdownTable table = new MarkdownTable(head("", cases, "geometric mean"));
    for (String subject : results.subjects()) {
      List<String> row = new ArrayList<>(List.of(subject));
      cases.forEach(name -> row.add(results.cell(name, subject, PeersFork.EVENT)));
      row.add(cell(geometricMean(subject)));
      table.add(row);
    }
    return table;
  }

  private MarkdownTable limit() {
    MarkdownTable table =
        new MarkdownTable(List.of("", "pair", "refusal, exception", "refusal, NULL"));
    for (String subject : results.subjects()) {
      table.add(
          List.of(
              subject,
              results.cell("limit/64", subject, PeersFork.PAIR),
              results.cell("limit/64", subject, PeersFork.REFUSAL),
              results.cell("limit/64", subject, PeersFork.NULL_REFUSAL)));
    }
    return table;
  }

  /** The charts by the names of their files. */
  @Override
  public Map<String, String> charts() {
    ResultCharts charts = new ResultCharts(results, PeersPage::isOwn);
    charts.bars(
        "peers-pairs.svg",
        title("peers-pairs.svg"),
        "ns per pair",
        List.of(
            charts.group("64 bytes", "pairs/64", PeersFork.PAIR),
            charts.group("1024 bytes", "pairs/1024", PeersFork.PAIR)));
    charts.bars(
        "peers-held.svg",
        title("peers-held.svg"),
        "ns per object",
        List.of(
            charts.group("allocation", HELD_64, PeersFork.ALLOC),
            charts.group("free", HELD_64, PeersFork.FREE)));
    charts.bars(
        "peers-random.svg",
        title("peers-random.svg"),
        "ns per free and allocation",
        List.of(charts.group("", "random/live10000", PeersFork.REPLACE)));
    charts.bars(
        "peers-handoff.svg",
        title("peers-handoff.svg"),
        "ns per object",
        List.of(
            charts.group("64 bytes", "handoff/64", PeersFork.HANDOFF),
            charts.group("1024 bytes", "handoff/1024", PeersFork.HANDOFF)));
    charts.bars(
        "peers-replay.svg", title("peers-replay.svg"), "ns per event", List.of(replayGroup()));
    charts.bars(
        "peers-memory.svg",
        title("peers-memory.svg"),
        "bytes per byte of payload",
        List.of(charts.group("", "memory/64", PeersFork.MEMORY)));
    return charts.files();
  }

  private Group replayGroup() {
    List<Bar> bars = new ArrayList<>();
    for (String subject : results.subjects()) {
      OptionalDouble mean = geometricMean(subject);
      if (mean.isPresent()) {
        double value = mean.getAsDouble();
        bars.add(new Bar(subject, value, value, value, isOwn(subject)));
      }
    }
    return new Group("", bars);
  }

  private static boolean isOwn(String subject) {
    return subject.startsWith(PeerSubject.OURS);
  }

  /** Over all traces; none if one of them is missing. */
  private OptionalDouble geometricMean(String subject) {
    List<Double> values = new ArrayList<>();
    for (String name : PeerCase.REPLAY.cases(false)) {
      Optional<Figure> figure = results.find(name, subject, PeersFork.EVENT);
      if (figure.isEmpty()) {
        return OptionalDouble.empty();
      }
      values.add(figure.get().value());
    }
    return OptionalDouble.of(
        Statistics.geometricMean(values.stream().mapToDouble(Double::doubleValue).toArray()));
  }

  /** What the work of a virtual thread takes. */
  private OptionalDouble ofThread(String subject) {
    Optional<Figure> busy = results.find("vthreads/100000", subject, PeersFork.THREAD);
    Optional<Figure> idle = results.find("vthreads/100000", subject, PeersFork.EMPTY_THREAD);
    return busy.isPresent() && idle.isPresent()
        ? OptionalDouble.of(Math.max(0, busy.get().value() - idle.get().value()))
        : OptionalDouble.empty();
  }

  /** Allocation and free; of those that the collector frees the allocation alone. */
  private String sum(String caseName, String subject) {
    String free = results.cell(caseName, subject, PeersFork.FREE);
    return results.cell(caseName, subject, PeersFork.ALLOC) + (free.isEmpty() ? "" : " + " + free);
  }

  /** How many times what memcg4j takes; empty if one of the metrics is not there. */
  private String ratio(String caseName, String subject, List<String> metrics) {
    double own = 0;
    double others = 0;
    for (String metric : metrics) {
      Optional<Figure> ours = results.find(caseName, PeerSubject.OURS, metric);
      Optional<Figure> theirs = results.find(caseName, subject, metric);
      if (ours.isEmpty() || theirs.isEmpty()) {
        return "";
      }
      own += ours.get().value();
      others += theirs.get().value();
    }
    return own > 0 ? SvgChart.value(others / own) : "";
  }

  private static String cell(OptionalDouble value) {
    return value.isPresent() ? SvgChart.value(value.getAsDouble()) : "";
  }

  private static List<String> head(String first, List<String> cases, String... more) {
    List<String> head = new ArrayList<>(List.of(first));
    cases.forEach(name -> head.add(PeerCase.variant(name)));
    head.addAll(List.of(more));
    return head;
  }
}
