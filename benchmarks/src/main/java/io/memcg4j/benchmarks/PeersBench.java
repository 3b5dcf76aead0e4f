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

/** {@code bench peers}: the same work by this allocator and by others. */
@Command(
    name = PeersBench.NAME,
    description = {
      "The same work by memcg4j, Netty's allocators, Arrow's (accounting over malloc), what the"
          + " JDK",
      "has, malloc and jemalloc called from Java; and by glibc, jemalloc, mimalloc and tcmalloc in"
          + " a C",
      "program, where a C compiler and Debian's libjemalloc-dev, libmimalloc-dev and",
      "libgoogle-perftools-dev (or their like) are installed. Each in processes of its own; who",
      "cannot be had is named. bench page makes tables and charts of a saved file."
    })
final class PeersBench implements Callable<Integer> {
  static final String NAME = "peers";

  static final List<Metric> METRICS =
      List.of(
          new Metric(PeersFork.PAIR, "ns"),
          new Metric(PeersFork.ALLOC, "ns"),
          new Metric(PeersFork.WRITE, "ns"),
          new Metric(PeersFork.FREE, "ns"),
          new Metric(PeersFork.REPLACE, "ns"),
          new Metric(PeersFork.HANDOFF, "ns"),
          new Metric(PeersFork.EVENT, "ns"),
          new Metric(PeersFork.THREAD, "ns"),
          new Metric(PeersFork.EMPTY_THREAD, "ns"),
          new Metric(PeersFork.REFUSAL, "ns"),
          new Metric(PeersFork.NULL_REFUSAL, "ns"),
          new Metric(PeersFork.MEMORY, "bytes/byte"),
          new Metric(PeersFork.HEAP, "bytes"));

  @Mixin private BenchOptions options = new BenchOptions(1);

  @Mixin private SaveOption save = new SaveOption();

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

  @Option(names = "--quick", description = "Fewer cases, shorter rounds: about four minutes.")
  private boolean quick;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<PeerSubject> asked = new ArrayList<>(PeerSubject.KNOWN);
    if (!subjects.isEmpty()) {
      asked.retainAll(subjects.stream().map(PeerSubject::of).toList());
    }
    checkPrefix();
    RunFacts.warnIfBusy(spec.commandLine().getErr());
    try (NativePeers natives = new NativePeers()) {
      List<Skipped> skipped = skip(asked, natives);
      List<Step> steps = steps(asked);
      if (steps.isEmpty()) {
        throw new UsageError(
            "nothing to measure: no subject that is left does this work: case="
                + (prefix.isEmpty() ? "any" : prefix)
                + " subjects="
                + asked.stream().map(PeerSubject::name).toList());
      }
      new CaseBench(NAME, options, steps, METRICS)
          .withRunner(step -> run(step, natives))
          .withBaseline(PeerSubject.OURS)
          .withSave(save, skipped)
          .withRounds("median round")
          .run(spec.commandLine().getOut(), "per object");
    }
    return Main.OK;
  }

  private void checkPrefix() {
    boolean any = false;
    for (PeerCase kind : PeerCase.values()) {
      any |= !cases(kind).isEmpty();
    }
    if (!any) {
      throw new UsageError("no such case: prefix=" + prefix + " example=pairs/64");
    }
  }

  private List<String> cases(PeerCase kind) {
    return kind.cases(quick).stream().filter(name -> name.startsWith(prefix)).toList();
  }

  /** Takes those out that are not to be had here, and names them. */
  private List<Skipped> skip(List<PeerSubject> asked, NativePeers natives)
      throws IOException, InterruptedException {
    List<Skipped> skipped = new ArrayList<>();
    for (PeerSubject subject : List.copyOf(asked)) {
      String reason = subject.isNative() ? natives.whyNot(subject) : subject.whyNot();
      if (!reason.isEmpty()) {
        spec.commandLine()
            .getErr()
            .println("skipped: subject=" + subject.name() + " reason=" + reason);
        skipped.add(new Skipped(subject.name(), reason));
        asked.remove(subject);
      }
    }
    return skipped;
  }

  private List<Step> steps(List<PeerSubject> asked) {
    List<Step> steps = new ArrayList<>();
    for (PeerCase kind : PeerCase.values()) {
      List<String> cases = cases(kind);
      for (PeerSubject subject : asked) {
        if (!cases.isEmpty() && subject.cases().contains(kind)) {
          steps.add(new Step(String.join(",", cases), subject.name()));
        }
      }
    }
    return steps;
  }

  private Map<String, Double> run(Step step, NativePeers natives)
      throws IOException, InterruptedException {
    PeersPlan plan = quick ? PeersPlan.QUICK : PeersPlan.FULL;
    PeerSubject subject = PeerSubject.of(step.subject());
    List<String> cases = List.of(step.caseName().split(",", -1));
    if (subject.isNative()) {
      return natives.run(subject.name(), cases, options.nrRounds(), plan);
    }
    return Fork.run(
        subject.options(PeerCase.of(step.caseName())),
        NAME,
        step.caseName(),
        subject.name(),
        Integer.toString(options.nrRounds()),
        plan.name());
  }
}
