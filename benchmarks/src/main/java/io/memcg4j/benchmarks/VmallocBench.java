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

/** {@code bench vmalloc}: allocation of areas while others read statistics, or walk the areas. */
@Command(
    name = VmallocBench.NAME,
    description =
        "Areas allocated and freed while statistics are read: one lock as Linux had it, and ours.")
final class VmallocBench implements Callable<Integer> {
  static final String NAME = "vmalloc";
  static final String MEMCG4J = "memcg4j";
  static final String ONE_LOCK = "one-lock";
  static final List<String> SUBJECTS = List.of(ONE_LOCK, MEMCG4J);

  /** What the other thread does. */
  static final List<String> READERS = List.of("none", "meminfo", "walk", "find");

  private static final int[] THREADS = {1, 2, 4};

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as meminfo or walk/threads2.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<CaseBench.Metric> metrics =
        List.of(
            new CaseBench.Metric(VmallocFork.PAIR, "ns"),
            new CaseBench.Metric(VmallocFork.PAIR_CPU, "ns"),
            new CaseBench.Metric(VmallocFork.WORST, "us"),
            new CaseBench.Metric(VmallocFork.READ, "ns"));
    new CaseBench(NAME, options, CaseBench.chosen(steps(), prefix), metrics)
        .run(
            spec.commandLine().getOut(),
            "4 pages allocated and freed beside 15000 live areas, per thread, while another thread"
                + " reads: nanoseconds per pair (Cpu: without waiting), the 99.9th percentile, and per read");
    return Main.OK;
  }

  private static List<CaseBench.Step> steps() {
    List<CaseBench.Step> steps = new ArrayList<>();
    for (String reader : READERS) {
      for (int nrThreads : THREADS) {
        String caseName = reader + "/threads" + nrThreads;
        SUBJECTS.forEach(subject -> steps.add(new CaseBench.Step(caseName, subject)));
      }
    }
    return steps;
  }
}
