package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code bench kmalloc}: one million objects of 64 bytes allocated, held, then freed; accounting
 * off, the kernel's way before scoped protection, and scoped. Every figure is the median over forks
 * of the best round; forks of the subjects take turns, so a machine that slows down slows all of
 * them.
 */
@Command(
    name = KmallocBench.NAME,
    description = "1M x kmalloc(64): accounting off, original (reference-counted), scoped.")
final class KmallocBench implements Callable<Integer> {
  static final String NAME = "kmalloc";
  static final String OFF = "off";
  static final String ORIGINAL = "original";
  static final String SCOPED = "scoped";
  static final List<String> SUBJECTS = List.of(OFF, ORIGINAL, SCOPED);

  @Mixin private BenchOptions options = new BenchOptions();

  @Mixin private CountOption count = new CountOption();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    KmallocReport report = new KmallocReport(options, count.nrObjects(), measure());
    PrintWriter out = spec.commandLine().getOut();
    if (options.json()) {
      report.figures().forEach(figure -> out.println(figure.toJson()));
    } else {
      report.print(out);
    }
    return Main.OK;
  }

  private Samples measure() throws IOException, InterruptedException {
    Samples samples = new Samples();
    Progress progress = Progress.onTerminal();
    String nrRounds = Integer.toString(options.nrRounds());
    String nrObjects = Integer.toString(count.nrObjects());
    int nrSteps = options.nrForks() * KmallocCase.values().length * SUBJECTS.size();
    int nrDone = 0;
    try {
      for (int fork = 0; fork < options.nrForks(); fork++) {
        for (KmallocCase which : KmallocCase.values()) {
          for (int i = 0; i < SUBJECTS.size(); i++) {
            String subject = SUBJECTS.get((i + fork) % SUBJECTS.size());
            progress.show(which.text() + " " + subject, nrDone++, nrSteps);
            Map<String, Double> metrics =
                Fork.run(NAME, which.text(), subject, nrObjects, nrRounds);
            metrics.forEach((metric, value) -> samples.add(which.text(), subject, metric, value));
          }
        }
      }
    } finally {
      progress.erase();
    }
    return samples;
  }
}
