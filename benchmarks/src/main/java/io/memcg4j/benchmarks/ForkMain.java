package io.memcg4j.benchmarks;

import java.util.Map;

/** Entry of the processes that measure. Prints {@code METRIC=VALUE} lines on standard output. */
public final class ForkMain {
  private ForkMain() {}

  /**
   * Runs one measurement.
   *
   * @param args the benchmark's name and what its fork takes
   * @throws InterruptedException if interrupted while threads are measured
   */
  public static void main(String[] args) throws InterruptedException {
    Map<String, Double> metrics =
        switch (args[0]) {
          case ArenaBench.NAME -> ArenaFork.measure(args);
          case GrowthBench.NAME -> GrowthFork.measure(args);
          case KmallocBench.NAME -> KmallocFork.measure(args);
          case PeersBench.NAME -> PeersFork.measure(args);
          case LeakBench.NAME -> LeakFork.measure(args);
          case PercpuBench.NAME -> PercpuFork.measure(args);
          case TenantsBench.NAME -> TenantsFork.measure(args);
          case ThreadsBench.NAME -> ThreadsFork.measure(args);
          case TreeBench.NAME -> TreeFork.measure(args);
          case VmallocBench.NAME -> VmallocFork.measure(args);
          default -> throw new IllegalArgumentException("unknown measurement: name=" + args[0]);
        };
    metrics.forEach((metric, value) -> System.out.println(metric + "=" + value));
  }
}
