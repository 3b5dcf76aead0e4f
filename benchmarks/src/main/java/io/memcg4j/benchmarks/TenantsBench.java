package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.CaseBench.Metric;
import io.memcg4j.benchmarks.CaseBench.Step;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code bench tenants}: what the tree costs: charges, refusals, scopes, statistics, groups. */
@Command(
    name = TenantsBench.NAME,
    description =
        "Charges by depth and threads, beside Arrow and plain atomics; refusal, scopes, stat, groups.")
final class TenantsBench implements Callable<Integer> {
  static final String NAME = "tenants";
  static final String STOCK = "memcg4j";
  static final String COUNTERS = "memcg4j-counters";
  static final String ARROW = "arrow";
  static final String ATOMICS = "atomiclong-chain";

  private static final int[] DEPTHS = {1, 3, 5, 10};
  private static final int[] THREADS = {1, 2, 4};
  private static final List<String> PAIR_SUBJECTS = List.of(STOCK, COUNTERS, ARROW, ATOMICS);
  private static final List<String> OTHERS =
      List.of(
          "refusal/depth5",
          "scope/enter",
          "scope/nested",
          "scope/enterAllocate",
          "scope/nestedAllocate",
          "scope/among1",
          "scope/among8",
          "scope/among1000",
          "scope/wrappedRun",
          "scope/wrapAndRun",
          "scope/request",
          "stat/read10000",
          "stat/flush100of1000",
          "stat/flush100of100000",
          "group/createRemove",
          "group/heap");

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as pair/depth3 or scope.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Metric> metrics =
        List.of(new Metric(TenantsFork.NANOS, "ns"), new Metric(TenantsFork.BYTES, "B"));
    new CaseBench(NAME, options, CaseBench.chosen(steps(), prefix), metrics)
        .withBaseline(STOCK)
        .withRounds("best of " + options.nrRounds() + " rounds")
        .run(
            spec.commandLine().getOut(),
            "one batch charged and uncharged per thread, or one operation");
    return Main.OK;
  }

  private static List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    for (int depth : DEPTHS) {
      for (int nrThreads : THREADS) {
        for (boolean shared : nrThreads == 1 ? new boolean[] {true} : new boolean[] {true, false}) {
          String caseName = new TenantsPair(depth, nrThreads, shared).text();
          PAIR_SUBJECTS.forEach(subject -> steps.add(new Step(caseName, subject)));
        }
      }
    }
    OTHERS.forEach(caseName -> steps.add(new Step(caseName, STOCK)));
    return steps;
  }
}
