package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Scanners of C programs on the same graph, where there are a compiler and their libraries. */
final class NativeMarking {
  private static final String SOURCE = "leakgraph.c";

  private NativeMarking() {}

  /** Runs one scanner on a graph that takes no time; says why that is not possible, else "". */
  static String whyNot(String subject) throws InterruptedException {
    try {
      measure(subject, new LeakGraph.Shape(100, 64, 250), 1);
      return "";
    } catch (IOException | IllegalStateException e) {
      return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }
  }

  static Map<String, Double> measure(String subject, LeakGraph.Shape shape, int nrRounds)
      throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("memcg4j-leak-");
    Path source = folder.resolve(SOURCE);
    Path program = folder.resolve("leakgraph");
    try {
      try (InputStream text = NativeMarking.class.getResourceAsStream("/c/" + SOURCE)) {
        if (text == null) {
          throw new IllegalStateException("no source: name=" + SOURCE);
        }
        Files.copy(text, source, StandardCopyOption.REPLACE_EXISTING);
      }
      List<String> compile =
          new ArrayList<>(List.of("gcc", "-O2", "-o", program.toString(), source.toString()));
      compile.addAll(
          subject.equals(LeakBench.BOEHM)
              ? List.of("-DBOEHM", "-lgc")
              : List.of("-fsanitize=leak"));
      output(compile);
      Map<String, Double> metrics = new LinkedHashMap<>();
      String text =
          output(
              List.of(
                  program.toString(),
                  Integer.toString(shape.nrObjects()),
                  Integer.toString(shape.nrBytes()),
                  shape.isChain() ? "chain" : Integer.toString(shape.perThousand()),
                  Integer.toString(nrRounds),
                  Long.toString(LeakFork.BUDGET_NANOS)));
      for (String line : text.lines().toList()) {
        int equals = line.indexOf('=');
        if (equals > 0 && !line.contains(" ")) {
          metrics.put(line.substring(0, equals), Double.valueOf(line.substring(equals + 1)));
        }
      }
      if (metrics.isEmpty()) {
        throw new IllegalStateException("no figures: subject=" + subject);
      }
      return metrics;
    } finally {
      Files.deleteIfExists(program);
      Files.deleteIfExists(source);
      Files.deleteIfExists(folder);
    }
  }

  /** What a program prints on standard output. */
  private static String output(List<String> command) throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.redirectError(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("GC_MARKERS", "1");
    builder.environment().put("LSAN_OPTIONS", "max_leaks=1:print_suppressions=0");
    Process process = builder.start();
    try {
      process.getOutputStream().close();
      String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int exitCode = process.waitFor();
      if (exitCode != 0) {
        throw new IllegalStateException(
            "program failed: exitCode=" + exitCode + " command=" + String.join(" ", command));
      }
      return text;
    } finally {
      process.destroy(); // this process only; without effect when it has ended
    }
  }
}
