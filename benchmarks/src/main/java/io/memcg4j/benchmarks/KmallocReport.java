package io.memcg4j.benchmarks;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The figures of {@code bench kmalloc}, for scripts and for a reader. */
final class KmallocReport {
  private static final String RATIO = "allocRatioToOff";
  private static final String MICROS = "us";

  /**
   * The kernel's published figures for the same loop, in microseconds per million allocations, in
   * the order of {@link KmallocBench#SUBJECTS}: before and after the series that scoped its
   * references.
   */
  static final List<Double> LINUX_USER = List.of(29764.0, 84548.0, 59078.0);

  static final List<Double> LINUX_ROOT = List.of(29742.0, 48342.0, 31501.0);

  /** Forks that differ by more than this factor say nothing about a few per cent. */
  private static final double MAX_NOISE = 1.1;

  private final BenchOptions options;
  private final int nrObjects;
  private final Samples samples;

  KmallocReport(BenchOptions options, int nrObjects, Samples samples) {
    this.options = options;
    this.nrObjects = nrObjects;
    this.samples = samples;
  }

  /** All figures in the order of the table. */
  List<Figure> figures() {
    List<Figure> figures = new ArrayList<>();
    for (KmallocCase which : KmallocCase.values()) {
      for (String subject : KmallocBench.SUBJECTS) {
        figures.add(measured(which, subject, LoopTimer.ALLOC, MICROS));
        figures.add(measured(which, subject, LoopTimer.FREE, MICROS));
        figures.add(figure(which, subject, RATIO, ratio(which, subject)));
        figures.add(measured(which, subject, LoopTimer.HEAP, "B"));
      }
    }
    addLinux(figures, KmallocCase.USER_STATIC, LINUX_USER);
    addLinux(figures, KmallocCase.ROOT_STATIC, LINUX_ROOT);
    return figures;
  }

  void print(PrintWriter out) {
    out.printf(
        "%d x kmalloc(%d) held live, then freed: us per million; best of %d rounds,"
            + " median of %d forks (lowest..highest)%n",
        nrObjects, KmallocLoop.SIZE, options.nrRounds(), options.nrForks());
    printTable(out, LoopTimer.ALLOC);
    printLinux(out, "linux user", LINUX_USER);
    printLinux(out, "linux root", LINUX_ROOT);
    printTable(out, LoopTimer.FREE);
    out.printf(
        "%nJava heap allocated: at most %.0f B per million allocations and frees%n", mostHeap());
    printTarget(out, KmallocCase.USER_BOUND, 1.05);
    printTarget(out, KmallocCase.ROOT_BOUND, 1.01);
    out.flush();
  }

  private void printTable(PrintWriter out, String metric) {
    out.printf("%n%-12s", metric);
    KmallocBench.SUBJECTS.forEach(subject -> out.printf(" %-24s", subject));
    out.printf(" %12s %11s%n", "original/off", "scoped/off");
    for (KmallocCase which : KmallocCase.values()) {
      out.printf("%-12s", which.text());
      for (String subject : KmallocBench.SUBJECTS) {
        Figure.Spread spread = samples.spread(which.text(), subject, metric);
        out.printf(
            " %-24s",
            String.format(
                Locale.ROOT,
                "%.0f (%.0f..%.0f)",
                samples.median(which.text(), subject, metric),
                spread.lowest(),
                spread.highest()));
      }
      out.printf(
          Locale.ROOT,
          " %12.3f %11.3f%n",
          ratio(which, KmallocBench.ORIGINAL, metric),
          ratio(which, KmallocBench.SCOPED, metric));
    }
  }

  private static void printLinux(PrintWriter out, String row, List<Double> micros) {
    out.printf(
        Locale.ROOT,
        "%-12s %-24.0f %-24.0f %-24.0f %12.3f %11.3f%n",
        row,
        micros.get(0),
        micros.get(1),
        micros.get(2),
        micros.get(1) / micros.get(0),
        micros.get(2) / micros.get(0));
  }

  private void printTarget(PrintWriter out, KmallocCase which, double limit) {
    double ratio = ratio(which, KmallocBench.SCOPED);
    double noise = Math.max(noise(which, KmallocBench.OFF), noise(which, KmallocBench.SCOPED));
    String verdict = ratio <= limit ? "reached" : "missed";
    if (noise > MAX_NOISE) {
      verdict = String.format(Locale.ROOT, "undecided, forks differ by %.0f %%", (noise - 1) * 100);
    }
    out.printf(
        Locale.ROOT, "%s scoped: %.3f x off, aim %.2f: %s%n", which.text(), ratio, limit, verdict);
  }

  /** How many times as long the slowest fork took as the fastest. */
  private double noise(KmallocCase which, String subject) {
    Figure.Spread spread = samples.spread(which.text(), subject, LoopTimer.ALLOC);
    return spread.highest() / spread.lowest();
  }

  private double ratio(KmallocCase which, String subject) {
    return ratio(which, subject, LoopTimer.ALLOC);
  }

  private double ratio(KmallocCase which, String subject, String metric) {
    return samples.median(which.text(), subject, metric)
        / samples.median(which.text(), KmallocBench.OFF, metric);
  }

  private double mostHeap() {
    double most = 0;
    for (KmallocCase which : KmallocCase.values()) {
      for (String subject : KmallocBench.SUBJECTS) {
        most = Math.max(most, samples.spread(which.text(), subject, LoopTimer.HEAP).highest());
      }
    }
    return most;
  }

  private Figure measured(KmallocCase which, String subject, String metric, String unit) {
    return new Figure(
        KmallocBench.NAME,
        which.text(),
        subject,
        metric,
        samples.median(which.text(), subject, metric),
        unit,
        samples.spread(which.text(), subject, metric));
  }

  private static Figure figure(KmallocCase which, String subject, String metric, double value) {
    String unit = metric.equals(RATIO) ? "" : MICROS;
    return new Figure(KmallocBench.NAME, which.text(), subject, metric, value, unit, null);
  }

  private static void addLinux(List<Figure> figures, KmallocCase which, List<Double> micros) {
    for (int i = 0; i < micros.size(); i++) {
      String subject = "linux-" + KmallocBench.SUBJECTS.get(i);
      figures.add(figure(which, subject, LoopTimer.ALLOC, micros.get(i)));
    }
  }
}
