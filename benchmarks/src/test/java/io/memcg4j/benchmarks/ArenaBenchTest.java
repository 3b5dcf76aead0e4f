package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** That each case does its work; how long that takes is nobody's business here. */
final class ArenaBenchTest {
  @Test
  void measure_eachKindAndSubject_givesATime() throws InterruptedException {
    for (String subject : List.of(ArenaBench.OURS, ArenaBench.JDK)) {
      for (String caseName : List.of("confined/segments4/threads1", "shared/segments1/threads2")) {
        Map<String, Double> metrics =
            ArenaFork.measure(new String[] {ArenaBench.NAME, caseName, subject, "1"});
        double nanos = metrics.getOrDefault(ArenaFork.NANOS, 0.0);
        assertTrue(nanos > 0 && nanos < 1e9, () -> subject + " " + metrics);
      }
    }
  }

  @Test
  void parse_roundTrip() {
    ArenaCase arenas = new ArenaCase(true, 16, 2);
    assertEquals(arenas, ArenaCase.parse(arenas.text()));
    assertThrows(IllegalArgumentException.class, () -> ArenaCase.parse("nothing"));
    assertThrows(
        IllegalArgumentException.class,
        () -> ArenaFork.measure(new String[] {ArenaBench.NAME, arenas.text(), "nobody", "1"}));
  }
}
