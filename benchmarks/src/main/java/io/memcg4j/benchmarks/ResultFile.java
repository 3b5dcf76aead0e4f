package io.memcg4j.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a run of a benchmark found, as JSON lines: what it ran on, then a line for each figure, and
 * for each subject that could not be had.
 *
 * @param run of {@link RunFacts}
 * @param figures in the order of the report
 * @param skipped who is not among them, and why
 */
record ResultFile(Map<String, String> run, List<Figure> figures, List<Skipped> skipped) {
  /** A subject that could not be had, and why. */
  record Skipped(String subject, String reason) {}

  private static final String REASON = "skipped";

  /** Forks that differ by more than this have been disturbed, or the JIT compiler has chosen. */
  private static final double UNCERTAIN_RATIO = 1.25;

  /** Stands before a value whose forks differ so much. */
  private static final String UNCERTAIN = "≈ ";

  private static final String UNCERTAIN_NOTE =
      "≈ stands where the highest of the forks is more than 1.25 times the lowest.";
  private static final int MAX_CAUSE = 300;

  /**
   * Reads a file.
   *
   * @throws UsageError if it is none that {@link #write} has written
   */
  static ResultFile read(Path file) {
    try {
      List<String> lines = Files.readAllLines(file);
      if (lines.isEmpty()) {
        throw new UsageError("no results: file=" + file);
      }
      Map<String, String> run = JsonReader.parse(lines.getFirst());
      List<Figure> figures = new ArrayList<>();
      List<Skipped> skipped = new ArrayList<>();
      for (String line : lines.subList(1, lines.size())) {
        Map<String, String> fields = JsonReader.parse(line);
        if (fields.containsKey(REASON)) {
          skipped.add(
              new Skipped(fields.getOrDefault("subject", ""), fields.getOrDefault(REASON, "")));
        } else {
          figures.add(Figure.of(fields));
        }
      }
      return new ResultFile(run, figures, skipped);
    } catch (IOException | IllegalArgumentException e) {
      String cause = TraceException.printable(String.valueOf(e.getMessage()), MAX_CAUSE);
      throw new UsageError("cannot read results: file=" + file + " cause=" + cause);
    }
  }

  void write(Path file) throws IOException {
    List<String> lines = new ArrayList<>();
    JsonLine first = new JsonLine();
    run.forEach(first::put);
    lines.add(first.toString());
    for (Skipped each : skipped) {
      lines.add(
          new JsonLine().put("subject", each.subject()).put(REASON, each.reason()).toString());
    }
    figures.forEach(figure -> lines.add(figure.toJson()));
    Files.write(file, lines);
  }

  /** A figure, if it was measured. */
  Optional<Figure> find(String caseName, String subject, String metric) {
    return figures.stream()
        .filter(figure -> figure.caseName().equals(caseName))
        .filter(figure -> figure.subject().equals(subject))
        .filter(figure -> figure.metric().equals(metric))
        .findFirst();
  }

  /** Who has figures, in the order of the report. */
  List<String> subjects() {
    return figures.stream().map(Figure::subject).distinct().toList();
  }

  /**
   * The value of a figure as text, with {@link #UNCERTAIN} before it where forks differ by more
   * than {@link #UNCERTAIN_RATIO}; empty if it was not measured.
   */
  String cell(String caseName, String subject, String metric) {
    return find(caseName, subject, metric).map(ResultFile::cell).orElse("");
  }

  private static String cell(Figure figure) {
    Figure.Spread spread = figure.spread();
    boolean isUncertain =
        spread != null && spread.highest() > Math.max(spread.lowest(), 1) * UNCERTAIN_RATIO;
    return (isUncertain ? UNCERTAIN : "") + SvgChart.value(figure.value());
  }

  /** Where and how it was measured, and what is missing, for a page. */
  String measuredOn() {
    StringBuilder text = new StringBuilder("Measured on ").append(origin()).append(". ");
    text.append(UNCERTAIN_NOTE).append('\n');
    for (Skipped each : skipped) {
      text.append("\nNot there: ").append(each.subject()).append(" (").append(each.reason());
      text.append(").\n");
    }
    return text.toString();
  }

  /** Where and how it was measured, in a sentence. */
  String origin() {
    return "%s, %s processors, Linux %s, JDK %s, commit %s, on %s by `%s`: median of %s forks, load %s"
        .formatted(
            run.getOrDefault("cpu", "?"),
            run.getOrDefault("processors", "?"),
            run.getOrDefault("kernel", "?"),
            run.getOrDefault("jdk", "?"),
            run.getOrDefault("commit", "?"),
            run.getOrDefault("date", "?"),
            run.getOrDefault("command", "?"),
            run.getOrDefault("forks", "?"),
            run.getOrDefault("load", "?"));
  }
}
