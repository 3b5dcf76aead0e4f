package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.CaseBench.Metric;
import io.memcg4j.benchmarks.CaseBench.Step;
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

  private static final int[] THREADS = {1, 2, 4};
  private static final List<String> OTHERS =
      List.of("sum", "pair", "memory/0", "memory/1", "memory/2", "memory/4", "memory-contended/2");

  @Mixin private BenchOptions options = new BenchOptions();

  @Mixin private CountOption count = new CountOption();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as add/2, sum or memory.")
  private String prefix = "";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Metric> metrics =
        List.of(
            new Metric(PercpuFork.NANOS, "ns"),
            new Metric(PercpuFork.HEAP, "B"),
            new Metric(PercpuFork.NATIVE, "B"),
            new Metric(PercpuFork.CHARGED, "B"));
    new CaseBench(NAME, options, CaseBench.chosen(steps(), prefix), metrics)
        .withBaseline(PERCPU)
        .withRounds("best of " + options.nrRounds() + " rounds")
        .withRunner(this::fork)
        .run(
            spec.commandLine().getOut(),
            "add/N: one counter, N threads; addmany/N: 8192 of them in turn; nanoseconds per"
                + " addition and thread; memory/N: bytes per counter of "
                + count.nrObjects()
                + " after N threads added to each; native is what is resident, charged what the"
                + " group pays");
    return Main.OK;
  }

  private Map<String, Double> fork(Step step) throws IOException, InterruptedException {
    return Fork.run(
        NAME,
        step.caseName(),
        step.subject(),
        Integer.toString(options.nrRounds()),
        Integer.toString(count.nrObjects()));
  }

  private static List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    for (String kind : List.of("add", "addmany")) {
      for (int nrThreads : THREADS) {
        ADDERS.forEach(subject -> steps.add(new Step(kind + "/" + nrThreads, subject)));
      }
    }
    for (String caseName : OTHERS) {
      KINDS.forEach(subject -> steps.add(new Step(caseName, subject)));
    }
    return steps;
  }
}
