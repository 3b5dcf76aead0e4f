package io.memcg4j.cli;

import io.memcg4j.console.ConsoleDirectory;
import io.memcg4j.console.RunningConsole;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which of the running consoles a command is for. */
final class Target {
  @Option(names = "--pid", paramLabel = "PID", description = "The JVM, if several run.")
  private @Nullable Long pid;

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "The console's name, if several are in one JVM.")
  private @Nullable String name;

  /** The one console that is meant. */
  Connection connect(ConsoleDirectory directory) {
    List<RunningConsole> all = running(directory);
    if (all.isEmpty()) {
      throw CliException.failed(none(directory));
    }
    List<RunningConsole> meant =
        all.stream()
            .filter(console -> pid == null || console.pid() == pid)
            .filter(console -> name == null || console.name().equals(name))
            .toList();
    if (meant.size() == 1) {
      return new Connection(meant.getFirst());
    }
    String list =
        (meant.isEmpty() ? all : meant)
            .stream()
                .map(console -> "  --pid " + console.pid() + "  " + Printable.line(console.name()))
                .collect(Collectors.joining("\n"));
    throw CliException.usage(
        meant.isEmpty()
            ? "no such JVM; these run:\n" + list
            : "several consoles run, choose one with --pid or --name:\n" + list);
  }

  static List<RunningConsole> running(ConsoleDirectory directory) {
    try {
      return directory.list();
    } catch (UncheckedIOException e) {
      throw CliException.failed(
          "folder of consoles cannot be read: path=" + directory.folder() + " " + e.getMessage());
    }
  }

  private static String none(ConsoleDirectory directory) {
    return """
    no JVM of this user with a memcg4j console found (looked in %s).
    The application has to start one, with memcg4j-console on its class path:
      try (Console console = Console.builder(kmalloc).start()) { ... }
    or run ./memcg4j demo. A JVM in another container, or of another user, is not found.\
    """
        .formatted(directory.folder());
  }
}
