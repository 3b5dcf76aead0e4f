package io.memcg4j.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;

/** What samples fail with, and that others pass. */
final class MemcgExtensionTest {
  private static final String LEAKED =
      "java.lang.AssertionError: off-heap memory leaked: nrObjects=";

  private static Map<String, String> run(Class<?> samples) {
    return SampleRun.of(samples, Map.of());
  }

  @Test
  void noLeaks_blockNotFreed_failsWithGroupAndCallSite() {
    Map<String, String> messages = run(Samples.Leaking.class);

    String message = messages.getOrDefault("leaks", "");
    assertTrue(message.startsWith(LEAKED + "1"), message);
    assertTrue(message.contains("(size 64)"), message);
    assertTrue(message.contains("cgroup \"/leaks\" cache "), message);
    assertTrue(message.contains("Samples.leak("), message);
    assertTrue(message.contains("Samples$Leaking.leaks("), message);
    assertTrue(message.contains("SUMMARY: 1 leaks, 64 bytes in 1 cgroups"), message);
    String cycle = messages.getOrDefault("cycle", "");
    assertTrue(cycle.startsWith(LEAKED + "2"), cycle);
    String inside = messages.getOrDefault("leaksInside", "");
    assertTrue(inside.startsWith(LEAKED + "1") && inside.contains("\"/leaksInside\""), inside);
  }

  @Test
  void noLeaks_everythingFreed_passes() {
    Map<String, String> messages = run(Samples.Leaking.class);

    assertEquals(11, messages.size(), messages::toString);
    for (String name : new String[] {"frees", "arena", "arenaIsClosedByTheTest", "nothing"}) {
      assertEquals("", messages.get(name), name);
    }
    assertEquals(Map.of("uses", ""), run(Samples.FreedAfter.class));
  }

  @Test
  void noLeaks_parameterized_failsTheOneInvocation() {
    Map<String, String> messages = run(Samples.Leaking.class);

    assertEquals("", messages.get("leaksOnce"));
    assertTrue(messages.getOrDefault("leaksOnce#2", "").startsWith(LEAKED + "1"));
    assertEquals("", messages.get("leaksOnce#3"));
  }

  @Test
  void noLeaks_testFailsAnyway_saysOnlyThat() {
    String message = run(Samples.Leaking.class).getOrDefault("failsAnyway", "");

    assertTrue(message.endsWith("AssertionFailedError: of itself"), message);
  }

  @Test
  void noLeaks_javaHeap_holdersCount() {
    Map<String, String> messages = run(Samples.HeldByJava.class);

    assertEquals("", messages.get("held"));
    assertTrue(messages.getOrDefault("notHeld", "").startsWith(LEAKED + "1"), messages::toString);
    Samples.HeldByJava.HELD.clear();
  }

  @Test
  void memoryLimit_isTheLimitOfAGroupOfTheTest() {
    Map<String, String> messages = run(Samples.Limited.class);

    assertEquals(7, messages.size(), messages::toString);
    for (String name :
        new String[] {"inOwnGroup", "refused", "methodsLimitCounts", "onAnotherThread"}) {
      assertEquals("", messages.get(name), name);
    }
    String refused = messages.getOrDefault("refusedAndNotCaught", "");
    assertTrue(refused.contains("MemoryLimitException: memory.max exceeded"), refused);
    String bad = messages.getOrDefault("badLimit", "");
    assertTrue(bad.contains("IllegalArgumentException") && bad.contains("lots"), bad);
  }

  @Test
  void memoryLimit_memoryLeftCharged_fails() {
    String message = run(Samples.Limited.class).getOrDefault("leftCharged", "");

    assertTrue(
        message.contains("memory left charged after the test: group=/leftCharged usage="), message);
    assertTrue(message.endsWith(" max=1048576"), message);
  }

  @Test
  void parameters_withoutRules_leakIsNoFailure() {
    assertEquals(Map.of("sameOnes", ""), run(Samples.OnlyParameters.class));
  }

  @Test
  void noLeaks_testsAtTheSameTime_eachHasItsOwnMemory() {
    Samples.AtTheSameTime.SEEN.clear();
    Samples.AtTheSameTime.barrier = new CyclicBarrier(Samples.AtTheSameTime.NR_TESTS);
    Map<String, String> messages =
        SampleRun.of(
            Samples.AtTheSameTime.class,
            Map.of(
                "junit.jupiter.execution.parallel.enabled",
                "true",
                "junit.jupiter.execution.parallel.mode.default",
                "concurrent",
                "junit.jupiter.execution.parallel.config.strategy",
                "fixed",
                "junit.jupiter.execution.parallel.config.fixed.parallelism",
                Integer.toString(Samples.AtTheSameTime.NR_TESTS)));

    assertEquals("", messages.get("one"));
    assertEquals("", messages.get("three"));
    for (String name : new String[] {"two", "four"}) {
      String message = messages.getOrDefault(name, "");
      assertTrue(message.startsWith(LEAKED + "1") && message.contains("/" + name), message);
    }
    assertEquals(Samples.AtTheSameTime.NR_TESTS, new HashSet<>(Samples.AtTheSameTime.SEEN).size());
  }

  @Test
  void autodetection_registersIt() {
    Map<String, String> settings = Map.of("junit.jupiter.extensions.autodetection.enabled", "true");

    assertEquals(Map.of("passes", ""), SampleRun.of(Autodetected.class, settings));
    String message = run(Autodetected.class).getOrDefault("passes", "");
    assertTrue(message.contains("ParameterResolutionException"), message);
  }

  static final class Autodetected {
    @Test
    void passes(io.memcg4j.memcg.MemCgroup group) {
      assertEquals("/passes", group.path());
    }
  }
}
