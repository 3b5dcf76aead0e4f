package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What benchmarks of many cases and subjects share: the forks, the figures, the table. */
final class CaseBench {
  /** One fork: a case and who does it. */
  record Step(String caseName, String subject) {}

  /**
   * A metric that forks print.
   *
   * @param name its key
   * @param unit of its values
   */
  record Metric(String name, String unit) {}

  private final String bench;
  private final BenchOptions options;
  private final List<Step> steps;
  private final List<Metric> metrics;
  private final Map<String, List<String>> jvmOptions = new HashMap<>();
  private String roundsText;

  CaseBench(String bench, BenchOptions options, List<Step> steps, List<Metric> metrics) {
    this.bench = bench;
    this.options = options;
    this.steps = steps;
    this.metrics = metrics;
    roundsText = "median of " + options.nrRounds() + " rounds";
  }

  /** What the title says of rounds. */
  CaseBench withRounds(String text) {
    roundsText = text;
    return this;
  }

  /** Steps whose case begins with a prefix. */
  static List<Step> chosen(List<Step> all, String prefix) {
    List<Step> steps = all.stream().filter(step -> step.caseName().startsWith(prefix)).toList();
    if (steps.isEmpty()) {
      throw new UsageError(
          "no such case: prefix=" + prefix + " example=" + all.getFirst().caseName());
    }
    return steps;
  }

  /** Cases that begin so run with more options for the JVM. */
  CaseBench withOptions(String casePrefix, List<String> options) {
    jvmOptions.put(casePrefix, options);
    return this;
  }

  private List<String> optionsOf(Step step) {
    return jvmOptions.entrySet().stream()
        .filter(entry -> step.caseName().startsWith(entry.getKey()))
        .flatMap(entry -> entry.getValue().stream())
        .toList();
  }

  void run(PrintWriter out, String title) throws IOException, InterruptedException {
    Samples samples = new Samples();
    Map<Step, List<String>> known = new LinkedHashMap<>();
    Progress progress = Progress.always();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (Step step : steps) {
          progress.show(
              step.caseName() + " " + step.subject(), nrDone++, steps.size() * options.nrForks());
          Map<String, Double> values =
              Fork.run(
                  optionsOf(step),
                  bench,
                  step.caseName(),
                  step.subject(),
                  Integer.toString(options.nrRounds()));
          values.forEach(
              (metric, value) -> samples.add(step.caseName(), step.subject(), metric, value));
          known.put(step, List.copyOf(values.keySet()));
        }
      }
    } finally {
      progress.erase();
    }
    List<Figure> figures = figures(samples, known);
    if (options.json()) {
      figures.forEach(figure -> out.println(figure.toJson()));
    } else {
      out.printf(
          "%s; %s, median of %d forks (lowest..highest)%n%n", title, roundsText, options.nrForks());
      print(out, figures);
    }
    out.flush();
  }

  private List<Figure> figures(Samples samples, Map<Step, List<String>> known) {
    List<Figure> figures = new ArrayList<>();
    for (Step step : steps) {
      for (Metric metric : metrics) {
        if (known.getOrDefault(step, List.of()).contains(metric.name())) {
          figures.add(
              new Figure(
                  bench,
                  step.caseName(),
                  step.subject(),
                  metric.name(),
                  samples.median(step.caseName(), step.subject(), metric.name()),
                  metric.unit(),
                  samples.spread(step.caseName(), step.subject(), metric.name())));
        }
      }
    }
    return figures;
  }

  private static void print(PrintWriter out, List<Figure> figures) {
    String caseName = "";
    for (Figure figure : figures) {
      if (!figure.caseName().equals(caseName)) {
        caseName = figure.caseName();
        out.println(caseName);
      }
      Figure.Spread spread = figure.spread();
      out.printf(
          Locale.ROOT,
          "  %-16s %-8s %12.2f %s (%.2f..%.2f)%n",
          figure.subject(),
          figure.metric(),
          figure.value(),
          figure.unit(),
          spread == null ? figure.value() : spread.lowest(),
          spread == null ? figure.value() : spread.highest());
    }
  }
}
