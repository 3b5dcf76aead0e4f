package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.ResultFile.Skipped;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The option of benchmarks whose figures pages are made of. */
final class SaveOption {
  private static final String NAME = "--save";

  @Option(
      names = NAME,
      paramLabel = "FILE",
      description = "Also writes what it found to a file, with date, machine and command.")
  private @Nullable Path file;

  private Map<String, String> facts = Map.of();

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  SaveOption() {}

  /**
   * To be called before anything is measured: the load is still that of others, the commit that of
   * what is run, and a file that cannot be written costs nobody half an hour.
   *
   * @throws UsageError if the file cannot be written
   */
  void begin(String bench, int nrForks) {
    if (file == null) {
      return;
    }
    facts = RunFacts.of(bench, typed(), nrForks);
    try {
      Path folder = file.toAbsolutePath().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE).close();
    } catch (IOException e) {
      throw new UsageError("cannot write results: file=" + file + " cause=" + e);
    }
  }

  /** Writes the file if one was asked for. */
  void write(List<Figure> figures, List<Skipped> skipped) throws IOException {
    if (file != null) {
      new ResultFile(facts, figures, skipped).write(file);
    }
  }

  /** What was typed, but for where the result goes. */
  private String typed() {
    List<String> words = new ArrayList<>(List.of("./memcg4j"));
    List<String> arguments = command.root().commandLine().getParseResult().originalArgs();
    for (int i = 0; i < arguments.size(); i++) {
      if (arguments.get(i).equals(NAME)) {
        i++;
      } else if (!arguments.get(i).startsWith(NAME + "=")) {
        words.add(arguments.get(i));
      }
    }
    return String.join(" ", words);
  }
}
