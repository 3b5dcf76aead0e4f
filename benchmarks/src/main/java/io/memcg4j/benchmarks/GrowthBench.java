package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.CaseBench.Metric;
import io.memcg4j.benchmarks.CaseBench.Step;
import io.memcg4j.benchmarks.ResultFile.Skipped;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code bench growth}: what it costs when there is more of everything. */
@Command(
    name = GrowthBench.NAME,
    description = {
      "Cost against the number of tenants, live objects, threads, levels of the tree and typed"
          + " caches.",
      "Cases that need more memory than there is are named and left out. bench page makes tables",
      "and charts of a saved file."
    })
final class GrowthBench implements Callable<Integer> {
  static final String NAME = "growth";

  private static final List<Metric> METRICS =
      List.of(
          new Metric(GrowthFork.REQUEST, "ns"),
          new Metric(GrowthFork.PAIR, "ns"),
          new Metric(GrowthFork.REPLACE, "ns"),
          new Metric(GrowthFork.ARRAY, "ns"),
          new Metric(GrowthFork.SCAN, "ns"),
          new Metric(GrowthFork.THROUGHPUT, "Mpairs/s"),
          new Metric(GrowthFork.CPU, "ns"),
          new Metric(GrowthFork.STOCK, "ns"),
          new Metric(GrowthFork.COUNTERS, "ns"),
          new Metric(GrowthFork.REFUSAL, "ns"),
          new Metric(GrowthFork.SCOPE, "ns"),
          new Metric(GrowthFork.SHRINK, "ns"),
          new Metric(GrowthFork.HEAP, "bytes"),
          new Metric(GrowthFork.MAPPED, "bytes"),
          new Metric(GrowthFork.CHARGED, "bytes"));

  /** Loops wait for the compilers. */
  private static final List<String> OPTIONS = List.of("-XX:-BackgroundCompilation");

  /** What a case may take unless more is asked for. */
  private static final long MAX_DEFAULT_BYTES = 4L << 30;

  /** With room for the addresses of that many objects, and a scan's copies. */
  private static final List<String> LARGE_OPTIONS = List.of("-XX:-BackgroundCompilation", "-Xmx4g");

  @Mixin private BenchOptions options = new BenchOptions(1);

  @Mixin private SaveOption save = new SaveOption();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as tenants or objects/1000000.")
  private String prefix = "";

  @Option(names = "--quick", description = "Fewer cases, shorter rounds: a minute.")
  private boolean quick;

  @Option(names = "--large", description = "Also 100 million objects: 11 GB and some minutes.")
  private boolean large;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Step> steps = new ArrayList<>(CaseBench.chosen(steps(), prefix));
    List<Skipped> skipped = skip(steps);
    if (steps.isEmpty()) {
      throw new UsageError("nothing to measure: all cases were left out: prefix=" + prefix);
    }
    RunFacts.warnIfBusy(spec.commandLine().getErr());
    new CaseBench(NAME, options, steps, METRICS)
        .withRunner(this::run)
        .withSave(save, skipped)
        .withRounds("median round")
        .run(
            spec.commandLine().getOut(),
            "per request, pair, object, thread, charge, tenant or cache; cpu: processor time");
    return Main.OK;
  }

  private List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    for (GrowthAxis axis : GrowthAxis.values()) {
      for (String caseName : axis.cases(quick)) {
        axis.subjects().forEach(subject -> steps.add(new Step(caseName, subject)));
      }
    }
    return steps;
  }

  /** Takes out what was not asked for, or there is no memory for, and names it. */
  private List<Skipped> skip(List<Step> steps) {
    long available = AvailableMemory.bytes();
    List<Skipped> skipped = new ArrayList<>();
    for (Step step : List.copyOf(steps)) {
      long needed = isObjects(step) ? GrowthObjects.bytesFor(step.caseName()) : 0;
      String reason =
          needed > available
              ? "memory: available=%d needed=%d".formatted(available, needed)
              : needed > MAX_DEFAULT_BYTES && !large ? "only with --large" : "";
      if (!reason.isEmpty()) {
        spec.commandLine()
            .getErr()
            .println("skipped: case=" + step.caseName() + " reason=" + reason);
        skipped.add(new Skipped(step.caseName(), reason));
        steps.remove(step);
      }
    }
    return skipped;
  }

  private static boolean isObjects(Step step) {
    return GrowthAxis.of(step.caseName()) == GrowthAxis.OBJECTS;
  }

  private Map<String, Double> run(Step step) throws IOException, InterruptedException {
    boolean roomy = isObjects(step) && GrowthObjects.bytesFor(step.caseName()) > MAX_DEFAULT_BYTES;
    return Fork.run(
        roomy ? LARGE_OPTIONS : OPTIONS,
        NAME,
        step.caseName(),
        step.subject(),
        Integer.toString(options.nrRounds()),
        (quick ? GrowthFork.Plan.QUICK : GrowthFork.Plan.FULL).name());
  }
}
