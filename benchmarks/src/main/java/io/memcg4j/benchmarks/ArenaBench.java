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

/** {@code bench arena}: arenas that a group pays for beside those of the JDK. */
@Command(
    name = ArenaBench.NAME,
    description = "An arena opened, segments of 64 bytes allocated in it, and closed.")
final class ArenaBench implements Callable<Integer> {
  static final String NAME = "arena";
  static final String OURS = "memcg4j";
  static final String JDK = "jdk";

  private static final int[] SEGMENTS = {1, 4, 16, 64};
  private static final int[] THREADS = {1, 2};
  private static final List<String> SUBJECTS = List.of(OURS, JDK);

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as shared or confined/segments4.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    new CaseBench(
            NAME,
            options,
            CaseBench.chosen(steps(), prefix),
            List.of(new CaseBench.Metric(ArenaFork.NANOS, "ns")))
        .withBaseline(OURS)
        .withRounds("best of " + options.nrRounds() + " rounds")
        .run(spec.commandLine().getOut(), "open, allocate, close, per arena and thread");
    return Main.OK;
  }

  private static List<CaseBench.Step> steps() {
    List<CaseBench.Step> steps = new ArrayList<>();
    for (boolean shared : new boolean[] {false, true}) {
      for (int nrSegments : SEGMENTS) {
        for (int nrThreads : THREADS) {
          String caseName = new ArenaCase(shared, nrSegments, nrThreads).text();
          SUBJECTS.forEach(subject -> steps.add(new CaseBench.Step(caseName, subject)));
        }
      }
    }
    return steps;
  }
}
