package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code replay}: real programs' allocation traces, each a tenant under its own group. */
@Command(
    name = "replay",
    description = {
      "Replays real programs' allocation traces, each as a tenant under its own memory cgroup.",
      "After the last event everything is freed; a drift other than 0 then is an error (exit code 1)."
    })
final class ReplayCommand implements Callable<Integer> {
  @Option(
      names = "--max",
      paramLabel = "SIZE",
      converter = ByteSize.class,
      description = "Each tenant's limit: bytes, or with a suffix K, M, G (default: no limit).")
  private long maxBytes = MemCgroup.UNLIMITED;

  @Option(
      names = "--threads",
      description =
          "Each recorded thread on a thread of its own, handed over in recorded order; not timed.")
  private boolean threaded;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Timed rounds, after warm-up (default: ${DEFAULT-VALUE}).")
  private int nrRounds = 20;

  @Option(names = "--json", description = "One JSON object per trace and line, nothing else.")
  private boolean json;

  @Parameters(
      paramLabel = "TRACE",
      arity = "0..*",
      description =
          "Trace files, or short names of the project's own (default: all of the project's own).")
  private List<String> arguments = new ArrayList<>();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws TraceException {
    if (nrRounds < 1) {
      throw new UsageError("too few rounds: rounds=" + nrRounds + " range=1.." + Integer.MAX_VALUE);
    }
    List<Trace> traces = new ArrayList<>();
    for (Path path : paths()) {
      traces.add(TraceParser.parse(path)); // all before any runs: a bad one leaves no half output
    }
    PrintWriter out = spec.commandLine().getOut();
    ReplayReport report = new ReplayReport(out);
    Progress progress = Progress.onTerminal();
    Replay replay =
        new Replay(MemCgroup.root(), new ReplayOptions(maxBytes, threaded, nrRounds), progress);
    if (!json) {
      report.header();
    }
    boolean drifted = false;
    for (Trace trace : traces) {
      ReplayResult result;
      try {
        result = replay.run(trace);
      } finally {
        progress.erase();
      }
      drifted |= result.driftBytes() != 0;
      if (json) {
        out.println(result.toJson());
        out.flush();
      } else {
        report.row(result);
      }
    }
    if (!json) {
      report.footer();
    }
    return drifted ? Main.FAILED : Main.OK;
  }

  private List<Path> paths() {
    return arguments.isEmpty()
        ? TraceFiles.all()
        : arguments.stream().map(TraceFiles::find).toList();
  }
}
