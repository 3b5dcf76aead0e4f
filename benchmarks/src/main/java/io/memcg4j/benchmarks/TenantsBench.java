package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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

  private record Step(String caseName, String subject) {}

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as pair/depth3 or scope.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Step> steps = steps();
    if (steps.isEmpty()) {
      throw new UsageError(
          "no such case: prefix=" + prefix + " known=pair,refusal,scope,stat,group");
    }
    List<Figure> figures = figures(steps, measure(steps));
    PrintWriter out = spec.commandLine().getOut();
    if (options.json()) {
      figures.forEach(figure -> out.println(figure.toJson()));
    } else {
      print(out, figures);
    }
    return Main.OK;
  }

  private List<Step> steps() {
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
    return steps.stream().filter(step -> step.caseName().startsWith(prefix)).toList();
  }

  private Samples measure(List<Step> steps) throws IOException, InterruptedException {
    Samples samples = new Samples();
    Progress progress = Progress.onTerminal();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (Step step : steps) {
          progress.show(step.caseName(), nrDone++, steps.size() * options.nrForks());
          Fork.run(NAME, step.caseName(), step.subject(), Integer.toString(options.nrRounds()))
              .forEach(
                  (metric, value) -> samples.add(step.caseName(), step.subject(), metric, value));
        }
      }
    } finally {
      progress.erase();
    }
    return samples;
  }

  private static List<Figure> figures(List<Step> steps, Samples samples) {
    List<Figure> figures = new ArrayList<>();
    for (Step step : steps) {
      boolean heap = step.caseName().equals("group/heap");
      String metric = heap ? TenantsFork.BYTES : TenantsFork.NANOS;
      figures.add(
          new Figure(
              NAME,
              step.caseName(),
              step.subject(),
              metric,
              samples.median(step.caseName(), step.subject(), metric),
              heap ? "B" : "ns",
              samples.spread(step.caseName(), step.subject(), metric)));
    }
    return figures;
  }

  private void print(PrintWriter out, List<Figure> figures) {
    out.printf(
        "one batch charged and uncharged per thread, or one operation; best of %d rounds, median of"
            + " %d forks (lowest..highest)%n%n",
        options.nrRounds(), options.nrForks());
    Map<String, List<Figure>> byCase = new LinkedHashMap<>();
    for (Figure figure : figures) {
      byCase.computeIfAbsent(figure.caseName(), name -> new ArrayList<>()).add(figure);
    }
    byCase.forEach((caseName, mine) -> {
      out.printf("%-28s", caseName);
      for (Figure figure : mine) {
        Figure.Spread spread = figure.spread();
        out.printf(
            Locale.ROOT,
            "  %s %.1f %s (%.1f..%.1f)",
            figure.subject(),
            figure.value(),
            figure.unit(),
            spread == null ? figure.value() : spread.lowest(),
            spread == null ? figure.value() : spread.highest());
      }
      out.println();
    });
    out.flush();
  }
}
