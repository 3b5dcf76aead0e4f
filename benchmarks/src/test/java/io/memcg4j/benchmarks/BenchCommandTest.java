package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class BenchCommandTest {
  private static final LoopPlan SHORT = new LoopPlan(3_000, 3, 0);

  @Test
  void bench_unknownName_listsTheKnownOnes() {
    CommandRun run = CommandRun.of("bench", "nope", "--json");

    assertEquals(2, run.exitCode());
    assertEquals(
        "unknown benchmark: name=nope"
            + " known=arena,growth,kmalloc,leak,page,peers,percpu,seeds,tenants,threads,tree,vmalloc",
        run.err().strip());
    assertEquals("", run.out());
  }

  @Test
  void bench_noName_listsTheKnownOnes() {
    CommandRun run = CommandRun.of("bench");

    assertEquals(2, run.exitCode());
    assertEquals(
        "missing benchmark:"
            + " known=arena,growth,kmalloc,leak,page,peers,percpu,seeds,tenants,threads,tree,vmalloc",
        run.err().strip());
  }

  @Test
  void bench_badOption_isRefused() {
    CommandRun run = CommandRun.of("bench", "kmalloc", "--forks", "0");

    assertEquals(2, run.exitCode());
    assertEquals("bad forks: value=0 range=1..2147483647", run.err().strip());
    assertEquals(2, CommandRun.of("bench", "threads", "--rounds", "x").exitCode());
    run = CommandRun.of("bench", "kmalloc", "--count", "2147483647");
    assertEquals(2, run.exitCode());
    assertEquals("bad count: value=2147483647 range=1..100000000", run.err().strip());
    assertEquals(2, CommandRun.of("bench", "peers", "--count", "5").exitCode());
  }

  /**
   * Every subject really runs: the loops end with nothing live, else closing the allocator fails.
   */
  @ParameterizedTest
  @EnumSource(KmallocCase.class)
  void kmalloc_everySubject_measuresAllMetrics(KmallocCase which) {
    for (String subject : KmallocBench.SUBJECTS) {
      Map<String, Double> metrics = KmallocFork.measure(which, subject, SHORT);

      assertEquals(
          List.of(LoopTimer.ALLOC, LoopTimer.FREE, LoopTimer.HEAP), List.copyOf(metrics.keySet()));
      assertTrue(metrics.getOrDefault(LoopTimer.ALLOC, 0.0) > 0, subject);
      assertTrue(metrics.getOrDefault(LoopTimer.FREE, 0.0) > 0, subject);
    }
  }

  @Test
  void kmallocReport_json_hasEveryFigureOnce() {
    List<String> keys = new ArrayList<>();
    for (Figure figure : report().figures()) {
      Map<String, String> fields = JsonFields.parse(figure.toJson());
      assertEquals(
          List.of("bench", "case", "subject", "metric", "value", "unit"),
          List.copyOf(fields.keySet()).subList(0, 6));
      assertEquals("\"kmalloc\"", fields.get("bench"));
      keys.add(figure.caseName() + " " + figure.subject() + " " + figure.metric());
    }

    List<String> expected = new ArrayList<>();
    for (String which : List.of("user/bound", "user/static", "root/bound", "root/static")) {
      for (String subject : List.of("off", "original", "scoped")) {
        for (String metric : List.of("alloc", "free", "allocRatioToOff", "heap")) {
          expected.add(which + " " + subject + " " + metric);
        }
      }
    }
    for (String which : List.of("user/static", "root/static")) {
      for (String subject : List.of("linux-off", "linux-original", "linux-scoped")) {
        expected.add(which + " " + subject + " alloc");
      }
    }
    assertEquals(expected, keys);
  }

  @Test
  void kmallocReport_ratios_areOfTheMedians() {
    List<Figure> figures = report().figures();

    Figure ratio = find(figures, "user/bound", "scoped", "allocRatioToOff");
    assertEquals(1.5, ratio.value(), 1e-9);
    assertEquals("", ratio.unit());
    Figure alloc = find(figures, "user/bound", "scoped", "alloc");
    assertEquals(1500, alloc.value(), 1e-9);
    assertEquals("us", alloc.unit());
    assertEquals(new Figure.Spread(1400, 1900), alloc.spread());
    assertEquals(59078, find(figures, "user/static", "linux-scoped", "alloc").value());
    assertEquals(29742, find(figures, "root/static", "linux-off", "alloc").value());
  }

  @Test
  void kmallocReport_table_hasARowPerCaseAndTheKernels() {
    StringWriter text = new StringWriter();
    report().print(new PrintWriter(text));

    assertTrue(text.toString().contains("1500 (1400..1900)"), text.toString());
    assertTrue(text.toString().lines().anyMatch(line -> line.matches("root/static .*")));
    assertTrue(text.toString().lines().anyMatch(line -> line.matches("linux user .*84548.*")));
    assertTrue(
        text.toString()
            .contains("user/bound scoped: 1.500 x off, aim 1.05: undecided, forks differ by 36 %"));
  }

  @Test
  void kmallocReport_quietForks_saysWhetherTheAimsWereReached() {
    StringWriter text = new StringWriter();
    report(1040, 1041).print(new PrintWriter(text));

    assertTrue(text.toString().contains("user/bound scoped: 1.041 x off, aim 1.05: reached"));
    assertTrue(text.toString().contains("root/bound scoped: 1.041 x off, aim 1.01: missed"));
  }

  /** The only test that really forks: the children's figures come back and are put together. */
  @Test
  void threads_shortRun_printsAFigurePerCase() {
    CommandRun run =
        CommandRun.of(
            "bench", "threads", "--json", "--forks", "1", "--rounds", "2", "--count", "1000");

    assertEquals(0, run.exitCode(), run.err());
    List<String> cases = new ArrayList<>();
    for (String line : run.outLines()) {
      Map<String, String> fields = JsonFields.parse(line);
      assertEquals("\"threads\"", fields.get("bench"));
      assertTrue(Double.parseDouble(fields.getOrDefault("value", "")) > 0, line);
      cases.add(fields.get("case") + " " + fields.get("metric"));
    }
    assertEquals(
        List.of(
            "\"one-thread\" \"throughput\"",
            "\"one-thread\" \"ratioToOneThread\"",
            "\"two-groups\" \"throughput\"",
            "\"two-groups\" \"ratioToOneThread\"",
            "\"one-group\" \"throughput\"",
            "\"one-group\" \"ratioToOneThread\""),
        cases);
  }

  private static KmallocReport report() {
    return report(1900, 1400, 1500);
  }

  private static KmallocReport report(double... accounted) {
    Samples samples = new Samples();
    for (KmallocCase which : KmallocCase.values()) {
      for (String subject : KmallocBench.SUBJECTS) {
        boolean off = subject.equals(KmallocBench.OFF);
        for (double alloc : off ? new double[] {1000} : accounted) {
          samples.add(which.text(), subject, LoopTimer.ALLOC, alloc);
          samples.add(which.text(), subject, LoopTimer.FREE, 3000);
          samples.add(which.text(), subject, LoopTimer.HEAP, 0);
        }
      }
    }
    return new KmallocReport(new BenchOptions(), 1_000_000, samples);
  }

  private static Figure find(List<Figure> figures, String which, String subject, String metric) {
    return figures.stream()
        .filter(figure -> figure.caseName().equals(which))
        .filter(figure -> figure.subject().equals(subject))
        .filter(figure -> figure.metric().equals(metric))
        .findFirst()
        .orElseThrow();
  }
}
