package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** That each case does its work; how long that takes is nobody's business here. */
final class PercpuBenchTest {
  private static Map<String, Double> measure(String caseName, String subject)
      throws InterruptedException {
    return PercpuFork.measure(new String[] {PercpuBench.NAME, caseName, subject, "1", "20000"});
  }

  @Test
  void measure_addBySeveralThreads_givesATimePerSubject() throws InterruptedException {
    for (String subject :
        List.of(
            PercpuBench.PERCPU,
            PercpuBench.UNBOUND,
            PercpuBench.LONG_ADDER,
            PercpuBench.ATOMIC_LONG)) {
      double nanos = measure("add/2", subject).getOrDefault(PercpuFork.NANOS, 0.0);
      assertTrue(nanos > 0 && nanos < 1e9, () -> subject + " " + nanos);
    }
  }

  @Test
  void measure_oneOfEachOtherKind_givesATime() throws InterruptedException {
    for (String caseName : List.of("addmany/1", "sum", "pair")) {
      double nanos = measure(caseName, PercpuBench.PERCPU).getOrDefault(PercpuFork.NANOS, 0.0);
      assertTrue(nanos > 0 && nanos < 1e9, () -> caseName + " " + nanos);
    }
  }

  @Test
  void measure_memory_isWhatSlotsTouchedAndWhatIsCharged() throws InterruptedException {
    Map<String, Double> untouched = measure("memory/0", PercpuBench.PERCPU);
    assertEquals(0.0, untouched.get(PercpuFork.NATIVE));
    Map<String, Double> touched = measure("memory/2", PercpuBench.PERCPU);
    double resident = touched.getOrDefault(PercpuFork.NATIVE, 0.0);
    assertTrue(resident >= 16 && resident < 18, touched::toString);
    double charged = touched.getOrDefault(PercpuFork.CHARGED, 0.0);
    assertTrue(charged > resident, touched::toString);
    assertTrue(measure("memory-contended/2", PercpuBench.LONG_ADDER).containsKey(PercpuFork.HEAP));
  }

  @Test
  void measure_unknownCaseOrSubject_throws() {
    assertThrows(IllegalArgumentException.class, () -> measure("nothing", PercpuBench.PERCPU));
    assertThrows(IllegalArgumentException.class, () -> measure("add/1", "nothing"));
  }
}
