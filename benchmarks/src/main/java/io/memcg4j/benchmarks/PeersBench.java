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

/** {@code bench peers}: the same work by this allocator and by others that a JVM can have. */
@Command(
    name = PeersBench.NAME,
    description = {
      "Pairs, a million held objects, hand-over to another thread, memory; beside Netty, Arrow (its",
      "accounting over malloc) and malloc called through the foreign function interface."
    })
final class PeersBench implements Callable<Integer> {
  static final String NAME = "peers";
  static final String PAIRS = "pairs";
  static final String HELD = "held";
  static final String HANDOFF = "handoff";
  static final String MEMORY = "memory";

  private static final int[] SIZES = {16, 64, 256, 1024, 4096};
  private static final int[] HANDOFF_SIZES = {64, 1024};

  @Mixin private BenchOptions options = new BenchOptions();

  @Option(
      names = "--case",
      paramLabel = "PREFIX",
      description = "Only cases that begin so, such as pairs or held/64.")
  private String prefix = "";

  @Option(
      names = "--subject",
      paramLabel = "NAME",
      description = "Only this subject; may be given several times.")
  private List<String> subjects = new ArrayList<>();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Metric> metrics =
        List.of(
            new Metric(PeersFork.PAIR, "ns"),
            new Metric(PeersFork.ALLOC, "ns"),
            new Metric(PeersFork.FREE, "ns"),
            new Metric(PeersFork.HANDOFF, "ns"),
            new Metric(PeersFork.MEMORY, "bytes/byte"));
    new CaseBench(NAME, options, CaseBench.chosen(steps(), prefix), metrics)
        .withOptions(MEMORY, PeersFork.MEMORY_OPTIONS)
        .run(spec.commandLine().getOut(), "per object, best round");
    return Main.OK;
  }

  private List<Step> steps() {
    for (String subject : subjects) {
      if (!Peer.NAMES.contains(subject)) {
        throw new UsageError("no such subject: name=" + subject + " known=" + Peer.NAMES);
      }
    }
    List<Step> steps = new ArrayList<>();
    for (int size : SIZES) {
      add(steps, PAIRS + "/" + size);
    }
    for (int size : SIZES) {
      add(steps, HELD + "/" + size);
    }
    for (int size : HANDOFF_SIZES) {
      add(steps, HANDOFF + "/" + size);
    }
    add(steps, MEMORY + "/64");
    return steps;
  }

  private void add(List<Step> steps, String caseName) {
    for (String subject : Peer.NAMES) {
      if (subjects.isEmpty() || subjects.contains(subject)) {
        steps.add(new Step(caseName, subject));
      }
    }
  }
}
