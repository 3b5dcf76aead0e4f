package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.ResultFile.Skipped;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What benchmarks of many cases and subjects share: the forks, the figures, the table. A process
 * that fails is named, and the others go on.
 */
final class CaseBench {
  /** One fork: a case, or cases with commas between, and who does it. */
  record Step(String caseName, String subject) {}

  /**
   * A metric that forks print.
   *
   * @param name its key; forks of more than one case print {@code CASE:KEY}
   * @param unit of its values
   */
  record Metric(String name, String unit) {}

  /** Runs a step in a process of its own. */
  interface Runner {
    /** What it printed. */
    Map<String, Double> run(Step step) throws IOException, InterruptedException;
  }

  private final String bench;
  private final BenchOptions options;
  private final List<Step> steps;
  private final List<Metric> metrics;
  private final Map<String, List<String>> jvmOptions = new HashMap<>();
  private final Samples samples = new Samples();
  private final Map<String, Set<String>> subjectsByCase = new LinkedHashMap<>();
  private Runner runner = this::fork;
  private String roundsText;
  private @Nullable String baseline;
  private @Nullable SaveOption save;
  private List<Skipped> skipped = List.of();

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

  /** Steps are run so, rather than as forks of this JVM. */
  CaseBench withRunner(Runner other) {
    runner = other;
    return this;
  }

  /** Figures of others are given as a ratio to this subject's too. */
  CaseBench withBaseline(String subject) {
    baseline = subject;
    return this;
  }

  /** The figures also go to a file, if one was asked for, with those who could not be had. */
  CaseBench withSave(SaveOption option, List<Skipped> missing) {
    save = option;
    skipped = missing;
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

  private Map<String, Double> fork(Step step) throws IOException, InterruptedException {
    List<String> more =
        jvmOptions.entrySet().stream()
            .filter(entry -> step.caseName().startsWith(entry.getKey()))
            .flatMap(entry -> entry.getValue().stream())
            .toList();
    return Fork.run(
        more, bench, step.caseName(), step.subject(), Integer.toString(options.nrRounds()));
  }

  void run(PrintWriter out, String title) throws IOException, InterruptedException {
    if (save != null) {
      save.begin(bench, options.nrForks());
    }
    List<String> failures = measure();
    List<Figure> figures = figures();
    if (options.json()) {
      figures.forEach(figure -> out.println(figure.toJson()));
    } else {
      out.printf(
          "%s; %s, median of %d forks (lowest..highest)%n%n", title, roundsText, options.nrForks());
      print(out, figures);
    }
    out.flush();
    if (save != null) {
      save.write(figures, skipped);
    }
    if (!failures.isEmpty()) {
      throw new IllegalStateException(String.join("\n", failures));
    }
  }

  /** All forks; the subjects of a case in turn, so that a noisy minute is nobody's alone. */
  private List<String> measure() throws IOException, InterruptedException {
    Progress progress = Progress.always();
    List<String> failures = new ArrayList<>();
    int nrSteps = steps.size() * options.nrForks();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (Step step : steps) {
          progress.show(step.caseName() + " " + step.subject(), nrDone++, nrSteps);
          try {
            runner.run(step).forEach((key, value) -> add(step, key, value));
          } catch (IllegalStateException e) {
            failures.add(
                "failed: case=" + step.caseName() + " subject=" + step.subject() + " cause=" + e);
          }
        }
      }
    } finally {
      progress.erase();
    }
    return failures;
  }

  private void add(Step step, String key, double value) {
    int colon = key.indexOf(':');
    String caseName = colon < 0 ? step.caseName() : key.substring(0, colon);
    samples.add(caseName, step.subject(), key.substring(colon + 1), value);
    subjectsByCase.computeIfAbsent(caseName, any -> new LinkedHashSet<>()).add(step.subject());
  }

  private List<Figure> figures() {
    List<Figure> figures = new ArrayList<>();
    subjectsByCase.forEach((caseName, subjects) -> {
      for (String subject : subjects) {
        for (Metric metric : metrics) {
          if (samples.has(caseName, subject, metric.name())) {
            figures.add(figure(caseName, subject, metric));
          }
        }
      }
    });
    return figures;
  }

  private Figure figure(String caseName, String subject, Metric metric) {
    double value = samples.median(caseName, subject, metric.name());
    return new Figure(
        bench,
        caseName,
        subject,
        metric.name(),
        value,
        metric.unit(),
        samples.spread(caseName, subject, metric.name()),
        ratio(caseName, subject, metric.name(), value));
  }

  private @Nullable Double ratio(String caseName, String subject, String metric, double value) {
    if (baseline == null
        || subject.equals(baseline)
        || !samples.has(caseName, baseline, metric)
        || samples.median(caseName, baseline, metric) <= 0) {
      return null;
    }
    return value / samples.median(caseName, baseline, metric);
  }

  private static void print(PrintWriter out, List<Figure> figures) {
    int width = figures.stream().mapToInt(figure -> figure.subject().length()).max().orElse(0);
    String caseName = "";
    for (Figure figure : figures) {
      if (!figure.caseName().equals(caseName)) {
        caseName = figure.caseName();
        out.println(caseName);
      }
      Figure.Spread spread = figure.spread();
      Double ratio = figure.ratio();
      out.printf(
          Locale.ROOT,
          "  %-" + Math.max(16, width) + "s %-8s %12.2f %s (%.2f..%.2f)%s%n",
          figure.subject(),
          figure.metric(),
          figure.value(),
          figure.unit(),
          spread == null ? figure.value() : spread.lowest(),
          spread == null ? figure.value() : spread.highest(),
          ratio == null ? "" : String.format(Locale.ROOT, " %.2fx", ratio));
    }
  }
}
