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

/** {@code bench percpu}: counters in per-CPU memory beside those of the JDK. */
@Command(
    name = PercpuBench.NAME,
    description =
        "Counters in per-CPU memory beside LongAdder and AtomicLong: add, sum, memory, make.")
final class PercpuBench implements Callable<Integer> {
  static final String NAME = "percpu";
  static final String PERCPU = "memcg4j";
  static final String UNBOUND = "memcg4j-unbound";
  static final String LONG_ADDER = "longadder";
  static final String ATOMIC_LONG = "atomiclong";

  private static final List<String> ADDERS = List.of(PERCPU, UNBOUND, LONG_ADDER, ATOMIC_LONG);
  private static final List<String> KINDS = List.of(PERCPU, LONG_ADDER, ATOMIC_LONG);

  private static final Map<String, List<String>> CASES = new LinkedHashMap<>();

  static {
    for (String kind : List.of("add", "addmany")) {
      for (int nrThreads : new int[] {1, 2, 4}) {
        CASES.put(kind + "/" + nrThreads, ADDERS);
      }
    }
    for (String caseName : List.of("sum", "pair", "memory/0", "memory/1", "memory/2", "memory/4")) {
      CASES.put(caseName, KINDS);
    }
    CASES.put("memory-contended/2", KINDS);
  }

  private record Step(String caseName, String subject) {}

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as add/2, sum or memory.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Step> steps = new ArrayList<>();
    CASES.forEach((caseName, subjects) -> {
      if (caseName.startsWith(prefix)) {
        subjects.forEach(subject -> steps.add(new Step(caseName, subject)));
      }
    });
    if (steps.isEmpty()) {
      throw new UsageError(
          "no such case: prefix=" + prefix + " known=" + String.join(",", CASES.keySet()));
    }
    List<Figure> figures = measure(steps);
    PrintWriter out = spec.commandLine().getOut();
    if (options.json()) {
      figures.forEach(figure -> out.println(figure.toJson()));
    } else {
      print(out, figures);
    }
    return Main.OK;
  }

  private List<Figure> measure(List<Step> steps) throws IOException, InterruptedException {
    Samples samples = new Samples();
    Map<Step, Map<String, Double>> metrics = new LinkedHashMap<>();
    Progress progress = Progress.onTerminal();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (Step step : steps) {
          progress.show(step.caseName(), nrDone++, steps.size() * options.nrForks());
          Map<String, Double> measured =
              Fork.run(
                  NAME,
                  step.caseName(),
                  step.subject(),
                  Integer.toString(options.nrRounds()),
                  Integer.toString(options.nrObjects()));
          measured.forEach(
              (metric, value) -> samples.add(step.caseName(), step.subject(), metric, value));
          metrics.put(step, measured);
        }
      }
    } finally {
      progress.erase();
    }
    List<Figure> figures = new ArrayList<>();
    metrics.forEach((step, measured) ->
        measured
            .keySet()
            .forEach(metric ->
                figures.add(
                    new Figure(
                        NAME,
                        step.caseName(),
                        step.subject(),
                        metric,
                        samples.median(step.caseName(), step.subject(), metric),
                        metric.equals(PercpuFork.NANOS) ? "ns" : "B",
                        samples.spread(step.caseName(), step.subject(), metric)))));
    return figures;
  }

  private void print(PrintWriter out, List<Figure> figures) {
    out.printf(
        "add/N: one counter, N threads; addmany/N: 8192 of them in turn; nanoseconds per addition"
            + " and thread, best of %d rounds, median of %d forks (lowest..highest)%n"
            + "memory/N: bytes per counter of %d after N threads added to each; native is what is"
            + " resident, charged what the group pays%n%n",
        options.nrRounds(), options.nrForks(), options.nrObjects());
    String last = "";
    for (Figure figure : figures) {
      if (!figure.caseName().equals(last)) {
        last = figure.caseName();
        out.println(last);
      }
      Figure.Spread spread = figure.spread();
      out.printf(
          Locale.ROOT,
          "  %-16s %-8s %10.1f %s (%.1f..%.1f)%n",
          figure.subject(),
          figure.metric(),
          figure.value(),
          figure.unit(),
          spread == null ? figure.value() : spread.lowest(),
          spread == null ? figure.value() : spread.highest());
    }
    out.flush();
  }
}
