package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** That each case does its work; how long that takes is nobody's business here. */
final class TenantsBenchTest {
  @Test
  void measure_eachSubjectOfAPair_givesATime() throws InterruptedException {
    for (String subject :
        List.of(
            TenantsBench.STOCK, TenantsBench.COUNTERS, TenantsBench.ARROW, TenantsBench.ATOMICS)) {
      for (String caseName : List.of("pair/depth3/threads1/shared", "pair/depth3/threads2/own")) {
        Map<String, Double> metrics =
            TenantsFork.measure(new String[] {TenantsBench.NAME, caseName, subject, "1"});
        double nanos = metrics.getOrDefault(TenantsFork.NANOS, 0.0);
        assertTrue(nanos > 0 && nanos < 1e9, () -> subject + " " + metrics);
      }
    }
  }

  @Test
  void measure_oneOfEachOtherKind_givesAFigure() throws InterruptedException {
    for (String caseName :
        List.of(
            "refusal/depth5",
            "scope/nested",
            "scope/wrappedRun",
            "scope/wrapAndRun",
            "scope/request",
            "stat/flush100of1000",
            "group/createRemove")) {
      Map<String, Double> metrics =
          TenantsFork.measure(new String[] {TenantsBench.NAME, caseName, TenantsBench.STOCK, "1"});
      assertTrue(metrics.getOrDefault(TenantsFork.NANOS, 0.0) > 0, () -> caseName + metrics);
    }
  }

  @Test
  void parse_roundTrip() {
    TenantsPair pair = new TenantsPair(10, 4, false);
    assertEquals(pair, TenantsPair.parse(pair.text()));
    assertEquals(4, pair.nrLeaves());
    assertThrows(
        IllegalArgumentException.class,
        () -> TenantsFork.measure(new String[] {TenantsBench.NAME, "nothing", "memcg4j", "1"}));
  }
}
