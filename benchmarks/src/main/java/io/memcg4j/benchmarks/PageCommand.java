package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
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
      "Writes the generated parts of BENCHMARKS.md, README.md, docs/growth.md and docs/seeds.md",
      "and the charts in docs/charts anew, from benchmarks/results, which bench NAME --save has"
          + " written.",
      "With --results the tables of that file are printed, and its charts are written to the",
      "folder of --charts."
    })
final class PageCommand implements Callable<Integer> {
  static final String NAME = "page";

  /** What the pages are made of. */
  static final List<String> RESULTS =
      List.of(
          "benchmarks/results/peers.jsonl",
          "benchmarks/results/growth.jsonl",
          "benchmarks/results/seeds.jsonl");

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
    if (chartsFolder != null && resultsFile == null) {
      throw new UsageError("--charts is for --results: the pages have their own folder");
    }
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
    ResultPage page = ResultPage.of(ResultFile.read(file));
    page.parts().forEach(part -> out.println(part.text()));
    Path beside = file.toAbsolutePath().getParent();
    Path folder = chartsFolder != null ? chartsFolder : beside == null ? Path.of(".") : beside;
    Map<Path, String> files = new LinkedHashMap<>();
    page.charts().forEach((name, svg) -> files.put(folder.resolve(name), svg));
    return files;
  }

  /** All files that are made from the results in a project's folder, with their new text. */
  static Map<Path, String> pages(Path home) throws IOException {
    Map<Path, String> files = new LinkedHashMap<>();
    for (String results : RESULTS) {
      ResultPage page = ResultPage.of(ResultFile.read(home.resolve(results)));
      page.charts()
          .forEach((name, svg) -> files.put(home.resolve(ResultPage.CHARTS).resolve(name), svg));
      for (ResultPage.Part part : page.parts()) {
        Path file = home.resolve(part.page());
        @Nullable String text = files.get(file);
        files.put(
            file,
            GeneratedPart.replace(
                text == null ? Files.readString(file) : text, part.name(), part.text()));
      }
    }
    return files;
  }
}
