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
      "under a lock per pointer, and per object; and without a lock), LeakSanitizer and Boehm's collector where gcc and",
      "libgc-dev are installed; allocation latency with and without a scan; reading the Java heap;",
      "--case report: from nothing to the report of 10 million objects and a Java heap of 1 GiB.",
      "Rounds end after a few seconds, however many were asked for."
    })
final class LeakBench implements Callable<Integer> {
  static final String NAME = "leak";
  static final String MARK = "mark";
  static final String LATENCY = "latency";
  static final String HEAP = "heap";
  static final String REPORT = "report";
  static final String ONE_WORKER = "memcg4j";
  static final String TWO_WORKERS = "memcg4j-2workers";
  static final String PER_POINTER = "lock-per-pointer";
  static final String PER_BLOCK = "lock-per-block";
  static final String NO_LOCK = "tree-no-lock";
  static final String LSAN = "lsan";
  static final String BOEHM = "boehm";
  static final String IDLE = "idle";
  static final String READING = "reading";
  static final String SCANNING = "scanning";
  static final List<String> NATIVE = List.of(LSAN, BOEHM);

  private static final List<String> MARKERS =
      List.of(ONE_WORKER, TWO_WORKERS, PER_POINTER, PER_BLOCK, NO_LOCK);
  private static final List<LeakGraph.Shape> SHAPES =
      List.of(
          new LeakGraph.Shape(1_000_000, 64, 1000),
          new LeakGraph.Shape(1_000_000, 64, 250),
          new LeakGraph.Shape(1_000_000, 64, 120),
          new LeakGraph.Shape(100_000, 1024, 50),
          new LeakGraph.Shape(1_000_000, 64, -1));
  private static final LeakGraph.Shape LARGE = new LeakGraph.Shape(10_000_000, 64, 250);
  private static final List<String> HEAPS = List.of("64m", "256m");
  private static final String LARGE_HEAP = HEAP + "/1g";
  private static final String LARGE_REPORT = REPORT + "/heap1g/objects10000000";

  /** Of the C programs the table of what is to be reached, of Java the bits and side arrays. */
  private static final double BYTES_PER_OBJECT_BYTE = 2.5;

  private static final long LARGE_HEAP_BYTES = 6L << 30;

  @Mixin private BenchOptions options = new BenchOptions(1);

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description =
          "Only cases that begin so, such as mark/words250, latency, heap, or report, which is in"
              + " none but that.")
  private String prefix = "";

  @Option(names = "--large", description = "Also cases with a Java heap of 1 GiB.")
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
            new Metric(LeakFork.DUMP_BYTES, "MiB"),
            new Metric(LeakFork.REPORT, "s"),
            new Metric(LeakFork.LEAKS, ""));
    List<Step> chosen = possible(CaseBench.chosen(steps(), prefix));
    if (chosen.isEmpty()) {
      return Main.OK;
    }
    new CaseBench(NAME, options, chosen, metrics)
        .withOptions(LARGE_HEAP, List.of("-Xmx3g"))
        .withOptions(REPORT, List.of("-Xmx3g"))
        .withRounds(
            "best of up to %d rounds, of those that begin within %d s"
                .formatted(options.nrRounds(), LeakFork.BUDGET_NANOS / 1_000_000_000))
        .run(
            spec.commandLine().getOut(),
            "mark/wordsN: N of 1000 words point to random objects, a tenth of which are roots; time"
                + " and rate of what is looked into, best round; scan: from snapshot to report;"
                + " reading: another thread reads the same memory and nothing else");
    return Main.OK;
  }

  private List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    for (LeakGraph.Shape shape : SHAPES) {
      MARKERS.forEach(subject -> steps.add(new Step(shape.text(), subject)));
      NATIVE.forEach(subject -> steps.add(new Step(shape.text(), subject)));
    }
    for (String subject : List.of(ONE_WORKER, TWO_WORKERS, LSAN, BOEHM)) {
      steps.add(new Step(LARGE.text(), subject));
    }
    for (String subject : List.of(IDLE, READING, SCANNING)) {
      steps.add(new Step(LATENCY + "/objects1000000", subject));
    }
    HEAPS.forEach(size -> steps.add(new Step(HEAP + "/" + size, ONE_WORKER)));
    if (large || prefix.equals(LARGE_HEAP)) {
      steps.add(new Step(LARGE_HEAP, ONE_WORKER));
    }
    if (large || prefix.startsWith(REPORT)) {
      steps.add(new Step(LARGE_REPORT, ONE_WORKER));
      steps.add(new Step(LARGE_REPORT, TWO_WORKERS));
    }
    return steps;
  }

  /** Without the subjects that are not installed and cases without memory, which are named. */
  private List<Step> possible(List<Step> steps) throws InterruptedException {
    List<Step> possible = new ArrayList<>(steps);
    skipWithoutMemory(
        possible,
        LARGE.text(),
        (long) (BYTES_PER_OBJECT_BYTE * LARGE.nrObjects() * LARGE.nrBytes()));
    skipWithoutMemory(possible, LARGE_HEAP, LARGE_HEAP_BYTES);
    skipWithoutMemory(possible, LARGE_REPORT, LARGE_HEAP_BYTES);
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

  private void skipWithoutMemory(List<Step> steps, String caseName, long nrBytes) {
    long available = AvailableMemory.bytes();
    if (available < nrBytes && steps.removeIf(step -> step.caseName().equals(caseName))) {
      spec.commandLine()
          .getErr()
          .printf(
              "skipped: case=%s reason=memory available=%d needed=%d%n",
              caseName, available, nrBytes);
    }
  }
}
