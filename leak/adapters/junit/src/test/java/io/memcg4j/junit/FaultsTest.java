package io.memcg4j.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;

/** Which allocations of samples are failed, and which tests fail for it. */
final class FaultsTest {
  @Test
  void faults_samples_hitTheMethodOfTheTestAndNothingElse() {
    Map<String, String> messages =
        new TreeMap<>(SampleRun.of(FaultSamples.Failing.class, Map.of()));

    String notCaught = String.valueOf(messages.remove("notCaught"));
    assertTrue(notCaught.contains("MemoryLimitException"), notCaught);
    String tooFew = String.valueOf(messages.remove("tooFew"));
    assertEquals("java.lang.AssertionError: no allocation was failed: n=20 allocations=10", tooFew);
    String once = String.valueOf(messages.remove("eachInvocation"));
    assertEquals("java.lang.AssertionError: no allocation was failed: n=2 allocations=1", once);
    String leak = String.valueOf(messages.remove("leaksOnFailure"));
    assertTrue(leak.contains("off-heap memory leaked: nrObjects=1"), leak);
    String bad = String.valueOf(messages.remove("badSetting"));
    assertTrue(bad.contains("probability=101"), bad);
    assertEquals(11, messages.size(), messages::toString);
    messages.forEach((name, message) -> assertEquals("", message, name));
  }

  @Test
  void faults_dynamicTests_areHitEachByItself() {
    for (String parallel : List.of("false", "true")) {
      Map<String, String> messages =
          new TreeMap<>(
              SampleRun.of(
                  FaultSamples.Dynamic.class,
                  Map.of(
                      "junit.jupiter.execution.parallel.enabled",
                      parallel,
                      "junit.jupiter.execution.parallel.mode.default",
                      "concurrent")));
      assertEquals(
          "java.lang.AssertionError: no allocation was failed: n=2 allocations=1",
          messages.remove("tooFew"));
      assertEquals("", messages.remove("leak"));
      String leak = String.valueOf(messages.remove("leaks"));
      assertTrue(leak.contains("off-heap memory leaked: nrObjects=1"), leak);
      assertEquals(
          Set.of("hit", "hitToo", "factory", "even", "evenToo"),
          messages.keySet(),
          messages::toString);
      messages.forEach((name, message) -> assertEquals("", message, name));
    }
  }

  @Test
  void faults_testsAtTheSameTime_hitTheirOwnOnly() {
    FaultSamples.AtTheSameTime.barrier = new CyclicBarrier(FaultSamples.AtTheSameTime.NR_TESTS);
    Map<String, String> messages =
        SampleRun.of(
            FaultSamples.AtTheSameTime.class,
            Map.of(
                "junit.jupiter.execution.parallel.enabled",
                "true",
                "junit.jupiter.execution.parallel.mode.default",
                "concurrent",
                "junit.jupiter.execution.parallel.config.strategy",
                "fixed",
                "junit.jupiter.execution.parallel.config.fixed.parallelism",
                Integer.toString(FaultSamples.AtTheSameTime.NR_TESTS)));

    for (String name : List.of("nth", "slab", "none")) {
      assertEquals("", messages.get(name), messages::toString);
    }
  }
}
