package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code bench page}: makes the tables and charts of the pages from saved results. */
@Command(
    name = PageCommand.NAME,
    description = {
      "Writes the generated parts of BENCHMARKS.md and README.md and the charts in docs/charts"
          + " anew",
      "from benchmarks/results, which bench NAME --save has written. With --results the tables of",
      "that file are printed, and its charts are written to the folder of --charts."
    })
final class PageCommand implements Callable<Integer> {
  static final String NAME = "page";

  /** What the pages are made of. */
  static final String PEERS = "benchmarks/results/peers.jsonl";

  @Option(
      names = "--results",
      paramLabel = "FILE",
      description = "Another result file; the pages are left alone.")
  private @Nullable Path resultsFile;

  @Option(
      names = "--charts",
      paramLabel = "FOLDER",
      description = "Where its charts go (default: the folder that it is in).")
  private @Nullable Path chartsFolder;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    Map<Path, String> files =
        resultsFile == null
            ? pages(Path.of(System.getProperty(TraceFiles.HOME_PROPERTY, ".")))
            : charts(resultsFile, out);
    for (Map.Entry<Path, String> file : files.entrySet()) {
      Path folder = file.getKey().toAbsolutePath().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      Files.writeString(file.getKey(), file.getValue());
      spec.commandLine().getErr().println("wrote " + file.getKey());
    }
    return Main.OK;
  }

  private Map<Path, String> charts(Path file, PrintWriter out) {
    PeersPage page = new PeersPage(ResultFile.read(file));
    out.println(page.full());
    Path beside = file.toAbsolutePath().getParent();
    Path folder = chartsFolder != null ? chartsFolder : beside == null ? Path.of(".") : beside;
    Map<Path, String> files = new LinkedHashMap<>();
    page.charts().forEach((name, svg) -> files.put(folder.resolve(name), svg));
    return files;
  }

  /** All files that are made from the results in a project's folder, with their new text. */
  static Map<Path, String> pages(Path home) throws IOException {
    PeersPage page = new PeersPage(ResultFile.read(home.resolve(PEERS)));
    Map<Path, String> files = new LinkedHashMap<>();
    page.charts()
        .forEach((name, svg) -> files.put(home.resolve(PeersPage.CHARTS).resolve(name), svg));
    Path benchmarks = home.resolve("BENCHMARKS.md");
    files.put(
        benchmarks,
        GeneratedPart.replace(Files.readString(benchmarks), PeersBench.NAME, page.full()));
    Path readme = home.resolve("README.md");
    files.put(
        readme, GeneratedPart.replace(Files.readString(readme), PeersBench.NAME, page.brief()));
    return files;
  }
}
