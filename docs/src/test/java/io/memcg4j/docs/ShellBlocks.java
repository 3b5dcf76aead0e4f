package io.memcg4j.docs;

import static java.util.stream.Collectors.toSet;

import io.memcg4j.cli.Main;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * Runs the commands of blocks, a line each, against a server.
 *
 * <p>Commands of {@code ./memcg4j} for running JVMs run in this JVM; those that build, serve or
 * measure are parsed only, by the parser of the benchmarks or by the usage that the script prints.
 * Other commands run in a shell if they are known here. {@code PID}, {@code $CONSOLE}, {@code
 * $TOKEN} and the store's port stand for those of the server.
 */
final class ShellBlocks {
  private static final Set<String> IN_SHELL = Set.of("curl", "jcmd", "jfr");
  private static final String STORE = "127.0.0.1:8080";
  private static final Pattern OPTION = Pattern.compile("--[a-z][a-z-]*");

  private final Path root;
  private final Path folder;
  private final DemoServer server;
  private final String usage;

  /**
   * Runs them.
   *
   * @param root folder of the script
   * @param folder where commands of the shell run
   * @param server what they are about
   */
  ShellBlocks(Path root, Path folder, DemoServer server) throws IOException, InterruptedException {
    this.root = root;
    this.folder = folder;
    this.server = server;
    this.usage = shell(root, "sh ./memcg4j --help");
  }

  /** Fails if a command is not known, or fails, or prints something else. */
  void check(Block block) throws IOException, InterruptedException {
    StringBuilder printed = new StringBuilder();
    for (String line : block.text().lines().toList()) {
      String command = line.replaceFirst("(^|\\s)#.*", "").strip();
      if (!command.isEmpty()) {
        try {
          printed.append(run(command));
        } catch (CommandFailed e) {
          throw new AssertionError(
              e.getMessage() + " at=" + block.where() + " command=" + command, e);
        }
      }
    }
    block.checkOutput(printed.toString());
  }

  /** Why a command is wrong. */
  private static final class CommandFailed extends RuntimeException {
    private static final long serialVersionUID = 1L;

    CommandFailed(String reason) {
      super(reason);
    }
  }

  private String run(String command) throws IOException, InterruptedException {
    List<String> words = new ArrayList<>(List.of(command.split("\\s+", -1)));
    String program = words.removeFirst();
    if (program.equals("./memcg4j")) {
      return script(words);
    }
    if (!IN_SHELL.contains(program)) {
      throw new CommandFailed("program that the guide's test does not know: " + program);
    }
    if (!isInstalled(program)) {
      return "";
    }
    return shell(
        folder,
        command
            .replace(STORE, server.storeAddress())
            .replaceAll("\\bPID\\b", Long.toString(server.pid())));
  }

  private static boolean isInstalled(String program) {
    return path().stream().anyMatch(entry -> Files.isExecutable(Path.of(entry, program)));
  }

  /** Folders of commands, this JDK's first. */
  private static List<String> path() {
    List<String> path = new ArrayList<>();
    path.add(System.getProperty("java.home") + "/bin");
    path.addAll(List.of(System.getenv("PATH").split(File.pathSeparator, -1)));
    return path;
  }

  private String script(List<String> words) {
    String name = words.isEmpty() ? "" : words.getFirst();
    switch (name) {
      case "bench", "replay" -> parse(words);
      case "demo", "serve", "app-container", "test" -> checkUsage(name, words);
      default -> {
        return commandLine(words);
      }
    }
    return "";
  }

  private static void parse(List<String> words) {
    List<String> unmatched = new ArrayList<>();
    try {
      CommandLine line = new CommandLine(io.memcg4j.benchmarks.Main.class);
      ParseResult parsed = line.parseArgs(words.toArray(String[]::new));
      unmatched.addAll(parsed.unmatched());
      while (parsed.hasSubcommand()) {
        parsed = parsed.subcommand();
        unmatched.addAll(parsed.unmatched());
      }
      if (parsed.commandSpec().name().equals("bench")) {
        throw new CommandFailed("no such benchmark: " + words);
      }
    } catch (ParameterException e) {
      throw new CommandFailed("bad arguments: " + e.getMessage());
    }
    if (!unmatched.isEmpty()) {
      throw new CommandFailed("unknown arguments: " + unmatched);
    }
  }

  private void checkUsage(String name, List<String> words) {
    String line =
        usage
            .lines()
            .filter(candidate -> candidate.startsWith("  " + name + " "))
            .findFirst()
            .orElseThrow(() -> new CommandFailed("not in the usage: " + name));
    Set<String> known =
        OPTION.matcher(line).results().map(java.util.regex.MatchResult::group).collect(toSet());
    for (String word : words) {
      if (word.startsWith("-") && !known.contains(word)) {
        throw new CommandFailed("unknown option: " + word + " known=" + known);
      }
    }
  }

  private String commandLine(List<String> words) {
    List<String> args = new ArrayList<>(words);
    args.replaceAll(word -> word.equals("PID") ? Long.toString(server.pid()) : word);
    if (args.contains("--follow") && !args.contains("--count")) {
      args.addAll(List.of("--count", "1"));
    }
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int exitCode =
        Main.run(new PrintWriter(out), new PrintWriter(err), args.toArray(String[]::new));
    if (exitCode != 0) {
      throw new CommandFailed("exit code " + exitCode + ": " + err);
    }
    return out.toString();
  }

  private String shell(Path where, String command) throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder("/bin/sh", "-c", command)
            .directory(where.toFile())
            .redirectErrorStream(true);
    Map<String, String> environment = builder.environment();
    environment.put("PATH", String.join(File.pathSeparator, path()));
    if (!where.equals(root)) {
      environment.put("CONSOLE", server.consoleAddress());
      environment.put("TOKEN", server.token());
    }
    Process process = builder.start();
    process.getOutputStream().close();
    String printed;
    try (InputStream in = process.getInputStream()) {
      printed = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
    if (!process.waitFor(30, TimeUnit.SECONDS) || process.exitValue() != 0) {
      process.destroyForcibly();
      throw new CommandFailed("failed: " + printed);
    }
    return printed;
  }
}
