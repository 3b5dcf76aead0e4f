package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** A C program of ours, compiled where it runs, in a folder that is deleted at close. */
final class NativeProgram implements AutoCloseable {
  private static final int MAX_REASON_LENGTH = 200;

  private final Path folder;
  private final Path program;

  private NativeProgram(Path folder, String name) {
    this.folder = folder;
    program = folder.resolve(name);
  }

  /**
   * Compiles a source.
   *
   * @param name of the source without {@code .c}, beside our classes in folder {@code c}
   * @param options of the compiler, such as libraries
   * @throws IllegalStateException if it cannot be compiled; says why in a line
   */
  static NativeProgram compile(String name, List<String> options)
      throws IOException, InterruptedException {
    NativeProgram result =
        new NativeProgram(Files.createTempDirectory("memcg4j-" + name + "-"), name);
    boolean done = false;
    try {
      Path source = result.folder.resolve(name + ".c");
      try (InputStream text = NativeProgram.class.getResourceAsStream("/c/" + name + ".c")) {
        if (text == null) {
          throw new IllegalStateException("no source: name=" + name);
        }
        Files.copy(text, source);
      }
      List<String> command =
          new ArrayList<>(
              List.of("cc", "-O2", "-pthread", "-o", result.program.toString(), source.toString()));
      command.addAll(options);
      result.output(command, Map.of());
      done = true;
      return result;
    } finally {
      if (!done) {
        result.close();
      }
    }
  }

  /** Where files for the program may lie. */
  Path folder() {
    return folder;
  }

  /**
   * Runs it.
   *
   * @param environment what is set for it
   * @return what it printed in lines of {@code METRIC=VALUE}
   * @throws IllegalStateException if it failed or printed no such line
   */
  Map<String, Double> run(Map<String, String> environment, List<String> arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(arguments);
    Map<String, Double> metrics = new LinkedHashMap<>();
    for (String line : output(command, environment).lines().toList()) {
      int equals = line.indexOf('=');
      if (equals > 0 && !line.contains(" ")) {
        metrics.put(line.substring(0, equals), Double.valueOf(line.substring(equals + 1)));
      }
    }
    if (metrics.isEmpty()) {
      throw new IllegalStateException("no figures: program=" + program.getFileName());
    }
    return metrics;
  }

  /** What a program prints on standard output. */
  private String output(List<String> command, Map<String, String> environment)
      throws IOException, InterruptedException {
    Path errors = folder.resolve("errors");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
    builder.environment().putAll(environment);
    Process process = builder.start();
    try {
      process.getOutputStream().close();
      String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int exitCode = process.waitFor();
      if (exitCode != 0) {
        throw new IllegalStateException(
            command.getFirst() + ": exitCode=" + exitCode + " " + reason(errors));
      }
      return text;
    } finally {
      process.destroy(); // this process only; without effect when it has ended
    }
  }

  /** The line that tells most: linkers say last that the linker failed. */
  private static String reason(Path errors) throws IOException {
    String line =
        Files.readString(errors)
            .lines()
            .filter(text -> text.contains("error") || text.contains("cannot find"))
            .findFirst()
            .or(() -> lastLine(errors))
            .orElse("");
    return line.substring(0, Math.min(line.length(), MAX_REASON_LENGTH));
  }

  private static Optional<String> lastLine(Path file) {
    try {
      return Files.readString(file).lines().reduce((before, line) -> line);
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  public void close() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }
}
