package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.ResultFile.Skipped;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  SaveOption() {}

  /** Writes the file if one was asked for. */
  void write(String bench, int nrForks, List<Figure> figures, List<Skipped> skipped)
      throws IOException {
    if (file != null) {
      new ResultFile(RunFacts.of(bench, typed(), nrForks), figures, skipped).write(file);
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
