package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** That each case does its work; how long that takes is nobody's business here. */
final class GrowthBenchTest {
  private static final Map<GrowthAxis, Set<String>> METRICS =
      Map.of(
          GrowthAxis.TENANTS,
          Set.of(GrowthFork.REQUEST, GrowthFork.HEAP, GrowthFork.MAPPED, GrowthFork.CHARGED),
          GrowthAxis.OBJECTS,
          Set.of(GrowthFork.PAIR, GrowthFork.ARRAY, GrowthFork.REPLACE, GrowthFork.SCAN),
          GrowthAxis.THREADS,
          Set.of(GrowthFork.THROUGHPUT, GrowthFork.CPU),
          GrowthAxis.DEPTH,
          Set.of(
              GrowthFork.STOCK,
              GrowthFork.COUNTERS,
              GrowthFork.REFUSAL,
              GrowthFork.SCOPE,
              GrowthFork.REQUEST),
          GrowthAxis.CACHES,
          Set.of(GrowthFork.PAIR, GrowthFork.MAPPED, GrowthFork.SHRINK));

  private static Map<String, Double> measure(String caseName, String subject)
      throws InterruptedException {
    return GrowthFork.measure(
        new String[] {GrowthBench.NAME, caseName, subject, "1", GrowthFork.Plan.TINY.name()});
  }

  @ParameterizedTest
  @EnumSource(GrowthAxis.class)
  void axis_fewOfIt_givesAllMetrics(GrowthAxis axis) throws InterruptedException {
    for (String subject : axis.subjects()) {
      for (int number : new int[] {1, 3}) {
        Map<String, Double> metrics = measure(axis.text() + "/" + number, subject);
        assertEquals(METRICS.get(axis), metrics.keySet(), subject);
        // The processor time of a process is counted in steps of 10 ms: so little work may be none.
        Set<String> mayBeNone = Set.of(GrowthFork.HEAP, GrowthFork.CPU);
        metrics.forEach((metric, value) ->
            assertTrue(
                Double.isFinite(value) && (value > 0 || mayBeNone.contains(metric)),
                () -> subject + " " + metrics));
      }
    }
  }

  /** More threads in scopes than there are slots for scopes. */
  @ParameterizedTest
  @ValueSource(strings = {"platform-own", "virtual-one"})
  void threads_moreThanSlots_allEnd(String subject) throws InterruptedException {
    int nrThreads = 4 * Math.max(4, Runtime.getRuntime().availableProcessors()) + 2;
    assertTrue(measure("threads/" + nrThreads, subject).get(GrowthFork.THROUGHPUT) > 0);
  }

  @Test
  void tenants_whenIdle_areChargedForWhatSlotsKeepOnly() throws InterruptedException {
    double few = measure("tenants/10", PeerSubject.OURS).get(GrowthFork.CHARGED);
    double many = measure("tenants/1000", PeerSubject.OURS).get(GrowthFork.CHARGED);
    assertTrue(many * 1000 <= few * 10 * 4, () -> "few=" + few + " many=" + many);
  }

  @Test
  void cases_quickOnes_areAmongAll() {
    for (GrowthAxis axis : GrowthAxis.values()) {
      assertTrue(axis.cases(false).containsAll(axis.cases(true)), axis.text());
      axis.cases(false).forEach(name -> assertEquals(axis, GrowthAxis.of(name)));
    }
  }

  @Test
  void bench_largestPopulation_isNamedAndLeftOut() {
    CommandRun run = CommandRun.of("bench", "growth", "--case", "objects/100000000", "--json");
    assertEquals(Main.BAD_INPUT, run.exitCode(), run.err());
    assertEquals("", run.out());
    assertTrue(run.err().startsWith("skipped: case=objects/100000000 reason="), run.err());
    assertTrue(run.err().contains("nothing to measure"), run.err());
  }

  @Test
  void measure_unknownNames_areRefused() {
    assertThrows(IllegalArgumentException.class, () -> measure("nothing/1", PeerSubject.OURS));
    assertThrows(IllegalArgumentException.class, () -> measure("threads/1", "green-own"));
    CommandRun run = CommandRun.of("bench", "growth", "--case", "nothing");
    assertFalse(run.exitCode() == Main.OK);
    assertTrue(run.err().contains("no such case: prefix=nothing"), run.err());
  }

  private static Figure ofTenants(int nr, String metric, double value) {
    return new Figure(
        GrowthBench.NAME, "tenants/" + nr, PeerSubject.OURS, metric, value, "ns", null);
  }

  @Test
  void page_hasARowForEachMeasuredNumber_andACurve() throws Exception {
    ResultPage page =
        ResultPage.of(
            new ResultFile(
                Map.of("run", GrowthBench.NAME),
                List.of(
                    ofTenants(1, GrowthFork.REQUEST, 30),
                    ofTenants(1, GrowthFork.HEAP, -5),
                    ofTenants(100_000, GrowthFork.REQUEST, 500)),
                List.of()));
    String tenants =
        page.parts().stream()
            .filter(part -> part.name().equals("growth-tenants"))
            .map(ResultPage.Part::text)
            .findFirst()
            .orElseThrow();
    assertTrue(tenants.contains("| 1 | 30.0 | -5"), tenants);
    assertTrue(tenants.contains("| 100 000 | 500 |  |  |  |"), tenants);
    assertFalse(tenants.contains("| 64 |"), tenants);
    assertEquals(List.of("growth-tenants.svg"), List.copyOf(page.charts().keySet()));
    String svg = page.charts().getOrDefault("growth-tenants.svg", "");
    SvgChartTest.parse(svg);
    assertTrue(svg.contains("30.0 at 1, 500 at 100k"), svg);
  }

  @Test
  void resultsOfAnotherBenchmark_haveNoPage() {
    assertThrows(
        UsageError.class,
        () -> ResultPage.of(new ResultFile(Map.of("run", "arena"), List.of(), List.of())));
  }
}
