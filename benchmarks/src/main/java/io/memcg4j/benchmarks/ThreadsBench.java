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
import picocli.CommandLine.Spec;

/** {@code bench threads}: the kmalloc loop on two threads at once, against one thread. */
@Command(
    name = ThreadsBench.NAME,
    description =
        "The kmalloc(64) loop on two threads, in two groups and in one, against one thread.")
final class ThreadsBench implements Callable<Integer> {
  static final String NAME = "threads";
  static final String ONE_THREAD = "one-thread";
  static final String TWO_GROUPS = "two-groups";
  static final String ONE_GROUP = "one-group";
  static final List<String> CASES = List.of(ONE_THREAD, TWO_GROUPS, ONE_GROUP);
  static final String THROUGHPUT = "throughput";

  private static final String RATIO = "ratioToOneThread";

  @Mixin private BenchOptions options = new BenchOptions();

  @Mixin private CountOption count = new CountOption();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Figure> figures = figures(measure());
    PrintWriter out = spec.commandLine().getOut();
    if (options.json()) {
      figures.forEach(figure -> out.println(figure.toJson()));
    } else {
      print(out, figures);
    }
    return Main.OK;
  }

  private Samples measure() throws IOException, InterruptedException {
    Samples samples = new Samples();
    Progress progress = Progress.onTerminal();
    String nrRounds = Integer.toString(options.nrRounds());
    String nrObjects = Integer.toString(count.nrObjects());
    int nrSteps = options.nrForks() * CASES.size();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (int i = 0; i < CASES.size(); i++) {
          String caseName = CASES.get((i + fork) % CASES.size());
          progress.show(caseName, nrDone++, nrSteps);
          Fork.run(NAME, caseName, nrObjects, nrRounds)
              .forEach(
                  (metric, value) -> samples.add(caseName, KmallocBench.SCOPED, metric, value));
        }
      }
    } finally {
      progress.erase();
    }
    return samples;
  }

  private static List<Figure> figures(Samples samples) {
    List<Figure> figures = new ArrayList<>();
    String subject = KmallocBench.SCOPED;
    double one = samples.median(ONE_THREAD, subject, THROUGHPUT);
    for (String caseName : CASES) {
      double all = samples.median(caseName, subject, THROUGHPUT);
      Figure.Spread spread = samples.spread(caseName, subject, THROUGHPUT);
      figures.add(new Figure(NAME, caseName, subject, THROUGHPUT, all, "Mops/s", spread));
      figures.add(new Figure(NAME, caseName, subject, RATIO, all / one, "", null));
    }
    return figures;
  }

  private void print(PrintWriter out, List<Figure> figures) {
    out.printf(
        "%d x kmalloc(%d) held live, then freed, per thread: million allocations with their frees a"
            + " second; best of %d rounds, median of %d forks (lowest..highest)%n%n",
        count.nrObjects(), KmallocLoop.SIZE, options.nrRounds(), options.nrForks());
    for (Figure figure : figures) {
      Figure.Spread spread = figure.spread();
      if (spread == null) {
        out.printf(Locale.ROOT, " %8.3f x one thread%n", figure.value());
      } else {
        String range =
            String.format(Locale.ROOT, "(%.1f..%.1f)", spread.lowest(), spread.highest());
        out.printf(Locale.ROOT, "%-12s %8.1f %-16s", figure.caseName(), figure.value(), range);
      }
    }
    out.flush();
  }
}
