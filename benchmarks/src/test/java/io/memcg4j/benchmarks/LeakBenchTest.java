package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.benchmarks.LockedMarking.Locking;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** That each case does its work; how long that takes is nobody's business here. */
final class LeakBenchTest {
  private static final String RANDOM = "mark/words250/bytes64/objects3000";
  private static final String CHAIN = "mark/chain/bytes64/objects3000";

  private static Map<String, Double> measure(String caseName, String subject)
      throws InterruptedException {
    return LeakFork.measure(new String[] {LeakBench.NAME, caseName, subject, "1"});
  }

  private static void assertFigures(Map<String, Double> metrics, String... names) {
    assertEquals(Set.of(names), metrics.keySet());
    metrics.forEach((name, value) -> assertTrue(value > 0 && value < 1e12, metrics::toString));
  }

  @Test
  void mark_eachSubjectInJava_givesRates() throws InterruptedException {
    for (String caseName : List.of(RANDOM, CHAIN, "mark/words50/bytes1024/objects500")) {
      for (String subject : List.of(LeakBench.ONE_WORKER, LeakBench.TWO_WORKERS)) {
        assertFigures(
            measure(caseName, subject),
            LeakFork.MARK,
            LeakFork.OBJECTS,
            LeakFork.BYTES,
            LeakFork.SCAN);
      }
      for (String subject :
          List.of(LeakBench.PER_POINTER, LeakBench.PER_BLOCK, LeakBench.NO_LOCK)) {
        assertFigures(measure(caseName, subject), LeakFork.MARK, LeakFork.OBJECTS, LeakFork.BYTES);
      }
    }
  }

  /** A scheme that reached other objects would be no comparison. */
  @Test
  void lockedMarking_allSchemes_reachTheSame() {
    try (LeakGraph graph = new LeakGraph(LeakGraph.Shape.parse(RANDOM))) {
      int nrReached = graph.nrReachable();
      assertTrue(nrReached > 1500 && nrReached < 3000, () -> "nrReached=" + nrReached);
      for (Locking locking : Locking.values()) {
        assertEquals(nrReached, new LockedMarking(graph, locking).mark());
      }
    }
    try (LeakGraph chain = new LeakGraph(LeakGraph.Shape.parse(CHAIN))) {
      assertEquals(3000, new LockedMarking(chain, Locking.PER_POINTER).mark());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {LeakBench.LSAN, LeakBench.BOEHM})
  void mark_scannersOfC_giveRatesWhereInstalled(String subject) throws InterruptedException {
    String reason = NativeMarking.whyNot(subject);
    assumeTrue(reason.isEmpty(), reason);
    assertFigures(measure(CHAIN, subject), LeakFork.MARK, LeakFork.OBJECTS, LeakFork.BYTES);
  }

  @Test
  void latency_whileScanning_hasScans() throws InterruptedException {
    String caseName = "latency/objects1000";
    Map<String, Double> idle = measure(caseName, LeakBench.IDLE);
    assertEquals(0, idle.getOrDefault(LeakFork.SCANS, -1.0));
    assertEquals(0, measure(caseName, LeakBench.READING).getOrDefault(LeakFork.SCANS, -1.0));
    Map<String, Double> scanning = measure(caseName, LeakBench.SCANNING);
    assertTrue(
        scanning.getOrDefault(LeakFork.P50, 0.0) <= scanning.getOrDefault(LeakFork.MAX, 0.0),
        scanning::toString);
  }

  @Test
  void heap_small_isReadWhole() throws InterruptedException {
    Map<String, Double> metrics = measure("heap/4m", LeakBench.ONE_WORKER);
    assertFigures(metrics, LeakFork.DUMP, LeakFork.PARSE, LeakFork.DUMP_BYTES);
    assertTrue(metrics.getOrDefault(LeakFork.DUMP_BYTES, 0.0) >= 4, metrics::toString);
  }

  @Test
  void report_small_findsWhatIsLeaked() throws InterruptedException {
    Map<String, Double> metrics = measure("report/heap2m/objects2000", LeakBench.TWO_WORKERS);
    assertEquals(1000, metrics.getOrDefault(LeakFork.LEAKS, 0.0));
    assertTrue(metrics.getOrDefault(LeakFork.REPORT, 0.0) > 0, metrics::toString);
  }

  @Test
  void shape_roundTrip() {
    for (String text : List.of(RANDOM, CHAIN)) {
      assertEquals(text, LeakGraph.Shape.parse(text).text());
    }
    assertThrows(IllegalArgumentException.class, () -> measure("nothing/1", LeakBench.ONE_WORKER));
    CommandRun run = CommandRun.of("bench", "leak", "--case", "nothing");
    assertEquals(Main.BAD_INPUT, run.exitCode());
  }
}
