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

/**
 * {@code bench seeds}: the four problems of Linux that memcg4j began with, each by the benchmark
 * that is about it. A case is that one's name, a slash, and the name of its case.
 */
@Command(
    name = SeedsBench.NAME,
    description = {
      "What was measured in Linux, again here: the cost of accounting (kmalloc), marking under"
          + " locks",
      "(leak), readers of areas (vmalloc), readers of a tree that is rebalanced (tree). All cases"
          + " are",
      "those of the benchmarks of these names. bench page makes docs/seeds.md of a saved file."
    })
final class SeedsBench implements Callable<Integer> {
  static final String NAME = "seeds";

  static final String KMALLOC = KmallocBench.NAME + "/";
  static final String LEAK = LeakBench.NAME + "/";
  static final String VMALLOC = VmallocBench.NAME + "/";
  static final String TREE = TreeBench.NAME + "/";

  private static final List<Metric> METRICS =
      List.of(
          new Metric(LoopTimer.ALLOC, "us"),
          new Metric(LoopTimer.FREE, "us"),
          new Metric(LeakFork.MARK, "ms"),
          new Metric(LeakFork.OBJECTS, "Mobjects/s"),
          new Metric(LeakFork.SCAN, "ms"),
          new Metric(VmallocFork.PAIR, "ns"),
          new Metric(VmallocFork.PAIR_CPU, "ns"),
          new Metric(VmallocFork.WORST, "us"),
          new Metric(TreeFork.READ, "ns"),
          new Metric(TreeFork.WRITE, "ns"),
          new Metric(TreeFork.MISSED, "per million"));

  private static final List<String> MARKERS =
      List.of(
          LeakBench.PER_POINTER,
          LeakBench.PER_BLOCK,
          LeakBench.NO_LOCK,
          LeakBench.ONE_WORKER,
          LeakBench.LSAN,
          LeakBench.BOEHM);

  /** But for kmalloc, where the best of a hundred is what Linux published. */
  private static final int MAX_ROUNDS = 25;

  private static final int QUICK_ROUNDS = 15;
  private static final int NR_OBJECTS = 1_000_000;

  @Mixin private BenchOptions options = new BenchOptions(1);

  @Mixin private CountOption count = new CountOption();

  @Mixin private SaveOption save = new SaveOption();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as kmalloc or tree/missed.")
  private String prefix = "";

  @Option(names = "--quick", description = "Fewer cases, fewer rounds: a minute and a half.")
  private boolean quick;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Step> steps = new ArrayList<>(CaseBench.chosen(steps(quick), prefix));
    List<Skipped> skipped = skip(steps);
    RunFacts.warnIfBusy(spec.commandLine().getErr());
    new CaseBench(NAME, options, steps, METRICS)
        .withRunner(this::run)
        .withSave(save, skipped)
        .withRounds("at most " + options.nrRounds() + " rounds")
        .run(
            spec.commandLine().getOut(),
            "alloc, free: us per million objects; mark: a graph of objects; pair, read, write:"
                + " nanoseconds; worst: the 99.9th percentile of pairs; missed: lookups that did"
                + " not find what was there");
    return Main.OK;
  }

  static List<Step> steps(boolean quick) {
    List<Step> steps = new ArrayList<>();
    for (KmallocCase which : KmallocCase.values()) {
      add(steps, KMALLOC + which.text(), KmallocBench.SUBJECTS);
    }
    for (int perThousand : quick ? new int[] {250} : new int[] {1000, 250, 120}) {
      add(steps, LEAK + new LeakGraph.Shape(NR_OBJECTS, 64, perThousand).text(), MARKERS);
    }
    for (String reader : quick ? List.of("none", "walk") : VmallocBench.READERS) {
      add(steps, VMALLOC + reader + "/threads1", VmallocBench.SUBJECTS);
    }
    for (int nrAreas : quick ? new int[] {10_000} : new int[] {1_000, 10_000, 100_000, 1_000_000}) {
      add(steps, TREE + TreeFork.LOOKUP + "/areas" + nrAreas + "/threads1", TreeBench.SUBJECTS);
    }
    add(
        steps,
        TREE + TreeBench.MISSED_CASE,
        List.of(TreeBench.UNLOCKED, TreeBench.READ_WRITE_LOCK, TreeBench.MEMCG4J));
    return steps;
  }

  private static void add(List<Step> steps, String caseName, List<String> subjects) {
    subjects.forEach(subject -> steps.add(new Step(caseName, subject)));
  }

  /** Takes out what is not installed, and names it. */
  private List<Skipped> skip(List<Step> steps) throws InterruptedException {
    List<Skipped> skipped = new ArrayList<>();
    for (String subject : LeakBench.NATIVE) {
      if (steps.stream().anyMatch(step -> step.subject().equals(subject))) {
        String reason = NativeMarking.whyNot(subject);
        if (!reason.isEmpty()) {
          spec.commandLine().getErr().println("skipped: subject=" + subject + " reason=" + reason);
          skipped.add(new Skipped(subject, reason));
          steps.removeIf(step -> step.subject().equals(subject));
        }
      }
    }
    return skipped;
  }

  private int nrRounds(Step step) {
    int most = step.caseName().startsWith(KMALLOC) ? options.nrRounds() : MAX_ROUNDS;
    return Math.min(options.nrRounds(), quick ? QUICK_ROUNDS : most);
  }

  private Map<String, Double> run(Step step) throws IOException, InterruptedException {
    int slash = step.caseName().indexOf('/');
    List<String> arguments = new ArrayList<>();
    arguments.add(step.caseName().substring(0, slash));
    arguments.add(step.caseName().substring(slash + 1));
    arguments.add(step.subject());
    if (step.caseName().startsWith(KMALLOC)) {
      arguments.add(Integer.toString(count.nrObjects()));
    }
    arguments.add(Integer.toString(nrRounds(step)));
    return Fork.run(arguments.toArray(String[]::new));
  }
}
