package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.CaseBench.Metric;
import io.memcg4j.benchmarks.CaseBench.Step;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code bench leak}: how fast a scan is, and what it costs those who allocate. */
@Command(
    name = LeakBench.NAME,
    description = {
      "Leak scans: marking of object graphs beside the two ways it was done in Linux before (a tree",
      "under a lock per pointer, and per object), LeakSanitizer and Boehm's collector where gcc and",
      "libgc-dev are installed; allocation latency with and without a scan; reading the Java heap."
    })
final class LeakBench implements Callable<Integer> {
  static final String NAME = "leak";
  static final String MARK = "mark";
  static final String LATENCY = "latency";
  static final String HEAP = "heap";
  static final String ONE_WORKER = "memcg4j";
  static final String TWO_WORKERS = "memcg4j-2workers";
  static final String PER_POINTER = "lock-per-pointer";
  static final String PER_BLOCK = "lock-per-block";
  static final String LSAN = "lsan";
  static final String BOEHM = "boehm";
  static final String IDLE = "idle";
  static final String SCANNING = "scanning";
  static final List<String> NATIVE = List.of(LSAN, BOEHM);

  private static final List<String> MARKERS =
      List.of(ONE_WORKER, TWO_WORKERS, PER_POINTER, PER_BLOCK);
  private static final List<LeakGraph.Shape> SHAPES =
      List.of(
          new LeakGraph.Shape(1_000_000, 64, 1000),
          new LeakGraph.Shape(1_000_000, 64, 250),
          new LeakGraph.Shape(1_000_000, 64, 120),
          new LeakGraph.Shape(100_000, 1024, 50),
          new LeakGraph.Shape(1_000_000, 64, -1));
  private static final LeakGraph.Shape LARGE = new LeakGraph.Shape(10_000_000, 64, 250);
  private static final List<String> HEAPS = List.of("64m", "256m");

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as mark/words250, latency or heap.")
  private String prefix = "";

  @Option(
      names = "--large",
      description = "Also 10 million objects, 640 MB, and a Java heap of 1 GiB.")
  private boolean large;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Metric> metrics =
        List.of(
            new Metric(LeakFork.MARK, "ms"),
            new Metric(LeakFork.OBJECTS, "Mobjects/s"),
            new Metric(LeakFork.BYTES, "GB/s"),
            new Metric(LeakFork.SCAN, "ms"),
            new Metric(LeakFork.P50, "ns"),
            new Metric(LeakFork.P99, "ns"),
            new Metric(LeakFork.P999, "ns"),
            new Metric(LeakFork.MAX, "ns"),
            new Metric(LeakFork.SCANS, ""),
            new Metric(LeakFork.DUMP, "ms"),
            new Metric(LeakFork.PARSE, "ms"),
            new Metric(LeakFork.DUMP_BYTES, "MiB"));
    List<Step> chosen = CaseBench.chosen(steps(), prefix);
    new CaseBench(NAME, options, possible(chosen), metrics)
        .run(
            spec.commandLine().getOut(),
            "mark/wordsN: N of 1000 words point to random objects, a tenth of which are roots; time"
                + " and rate of what is looked into, best round; scan: from snapshot to report");
    return Main.OK;
  }

  private List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    for (LeakGraph.Shape shape : SHAPES) {
      MARKERS.forEach(subject -> steps.add(new Step(shape.text(), subject)));
      NATIVE.forEach(subject -> steps.add(new Step(shape.text(), subject)));
    }
    if (large) {
      for (String subject : List.of(ONE_WORKER, TWO_WORKERS, LSAN, BOEHM)) {
        steps.add(new Step(LARGE.text(), subject));
      }
    }
    for (String subject : List.of(IDLE, SCANNING)) {
      steps.add(new Step(LATENCY + "/objects1000000", subject));
    }
    HEAPS.forEach(size -> steps.add(new Step(HEAP + "/" + size, ONE_WORKER)));
    if (large) {
      steps.add(new Step(HEAP + "/1g", ONE_WORKER));
    }
    return steps;
  }

  /** Without the subjects that are not installed, which are named. */
  private List<Step> possible(List<Step> steps) throws InterruptedException {
    List<Step> possible = new ArrayList<>(steps);
    for (String subject : NATIVE) {
      if (steps.stream().anyMatch(step -> step.subject().equals(subject))) {
        String reason = NativeMarking.whyNot(subject);
        if (!reason.isEmpty()) {
          spec.commandLine().getErr().println("skipped: subject=" + subject + " reason=" + reason);
          possible.removeIf(step -> step.subject().equals(subject));
        }
      }
    }
    return possible;
  }
}
