package io.memcg4j.benchmarks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code bench tree}: lookups by interior address and full walks while a writer churns. */
@Command(
    name = TreeBench.NAME,
    description =
        "Lookups and walks of an index of ranges beside a writer: AddressTree, locks, skip list.")
final class TreeBench implements Callable<Integer> {
  static final String NAME = "tree";
  static final String MEMCG4J = "memcg4j";
  static final String READ_WRITE_LOCK = "treemap-rwlock";
  static final String STAMPED_LOCK = "treemap-stamped";
  static final String OPTIMISTIC = "array-optimistic";
  static final String SKIP_LIST = "skiplist";

  /** A red-black tree that readers read while it rotates: in {@code missed} only. */
  static final String UNLOCKED = "treemap-unlocked";

  static final List<String> SUBJECTS =
      List.of(MEMCG4J, READ_WRITE_LOCK, STAMPED_LOCK, OPTIMISTIC, SKIP_LIST);

  static final String MISSED_CASE = TreeFork.MISSED + "/areas1000/threads2";

  private static final int[] SIZES = {1_000, 10_000, 100_000, 1_000_000};
  private static final int[] THREADS = {1, 2, 4};

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as lookup/areas1000 or walk.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<CaseBench.Metric> metrics =
        List.of(
            new CaseBench.Metric(TreeFork.READ, "ns"),
            new CaseBench.Metric(TreeFork.READ_CPU, "ns"),
            new CaseBench.Metric(TreeFork.WRITE, "ns"),
            new CaseBench.Metric(TreeFork.WRITE_CPU, "ns"),
            new CaseBench.Metric(TreeFork.MISSED, "per million"));
    new CaseBench(NAME, options, CaseBench.chosen(steps(), prefix), metrics)
        .run(
            spec.commandLine().getOut(),
            "nanoseconds per lookup, or per area of a walk, of each reading thread, beside one"
                + " thread that inserts and removes; of that, per change; Cpu: without waiting;"
                + " missed: lookups of areas that are there all the time, not found");
    return Main.OK;
  }

  private static List<CaseBench.Step> steps() {
    List<CaseBench.Step> steps = new ArrayList<>();
    for (String what : List.of(TreeFork.LOOKUP, TreeFork.WALK)) {
      for (int size : SIZES) {
        for (int nrThreads : THREADS) {
          String caseName = what + "/areas" + size + "/threads" + nrThreads;
          SUBJECTS.forEach(subject -> steps.add(new CaseBench.Step(caseName, subject)));
        }
      }
    }
    for (String subject : List.of(MEMCG4J, READ_WRITE_LOCK, UNLOCKED)) {
      steps.add(new CaseBench.Step(MISSED_CASE, subject));
    }
    return steps;
  }
}
