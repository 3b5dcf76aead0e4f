package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
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
    List<String> cases = cases();
    if (cases.isEmpty()) {
      throw new UsageError("no such case: prefix=" + prefix + " known=confined,shared");
    }
    Samples samples = measure(cases);
    PrintWriter out = spec.commandLine().getOut();
    if (!options.json()) {
      out.printf(
          "open, allocate, close, per arena and thread; best of %d rounds, median of %d forks%n%n",
          options.nrRounds(), options.nrForks());
    }
    for (String caseName : cases) {
      print(out, caseName, samples);
    }
    out.flush();
    return Main.OK;
  }

  private List<String> cases() {
    List<String> cases = new ArrayList<>();
    for (boolean shared : new boolean[] {false, true}) {
      for (int nrSegments : SEGMENTS) {
        for (int nrThreads : THREADS) {
          cases.add(new ArenaCase(shared, nrSegments, nrThreads).text());
        }
      }
    }
    return cases.stream().filter(name -> name.startsWith(prefix)).toList();
  }

  private Samples measure(List<String> cases) throws IOException, InterruptedException {
    Samples samples = new Samples();
    Progress progress = Progress.onTerminal();
    int nrSteps = options.nrForks() * cases.size() * SUBJECTS.size();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (String caseName : cases) {
          for (String subject : SUBJECTS) {
            progress.show(caseName, nrDone++, nrSteps);
            Fork.run(NAME, caseName, subject, Integer.toString(options.nrRounds()))
                .forEach((metric, value) -> samples.add(caseName, subject, metric, value));
          }
        }
      }
    } finally {
      progress.erase();
    }
    return samples;
  }

  private void print(PrintWriter out, String caseName, Samples samples) {
    if (!options.json()) {
      out.printf("%-28s", caseName);
    }
    for (String subject : SUBJECTS) {
      double nanos = samples.median(caseName, subject, ArenaFork.NANOS);
      Figure.Spread spread = samples.spread(caseName, subject, ArenaFork.NANOS);
      if (options.json()) {
        Figure figure = new Figure(NAME, caseName, subject, ArenaFork.NANOS, nanos, "ns", spread);
        out.println(figure.toJson());
      } else {
        out.printf(
            Locale.ROOT,
            "  %s %.0f ns (%.0f..%.0f)",
            subject,
            nanos,
            spread.lowest(),
            spread.highest());
      }
    }
    if (!options.json()) {
      out.println();
    }
  }
}
