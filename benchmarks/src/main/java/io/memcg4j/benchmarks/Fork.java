package io.memcg4j.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One measurement in a Java process of its own, so that no subject runs with code that was compiled
 * for another. The child has this process's class path and JVM options.
 */
final class Fork {
  private Fork() {}

  /**
   * Runs a measurement and waits for it.
   *
   * @param arguments of {@link ForkMain}: the benchmark's name and its own arguments
   * @return the metrics that the child printed
   * @throws IllegalStateException if the child failed; what it said is on the standard error stream
   */
  static Map<String, Double> run(String... arguments) throws IOException, InterruptedException {
    return run(List.of(), arguments);
  }

  /**
   * As {@link #run(String...)}, with more options for the child's JVM.
   *
   * @param options such as {@code -Xmx1g}
   */
  static Map<String, Double> run(List<String> options, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    for (String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (option.startsWith("-X") || option.equals("-ea")) { // no agents, debuggers or properties
        command.add(option);
      }
    }
    String home = System.getProperty(TraceFiles.HOME_PROPERTY, "");
    if (!home.isEmpty()) {
      command.add("-D" + TraceFiles.HOME_PROPERTY + "=" + home);
    }
    command.addAll(options);
    command.add("-classpath");
    command.add(System.getProperty("java.class.path"));
    command.add(ForkMain.class.getName());
    command.addAll(List.of(arguments));
    Process child =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      child.getOutputStream().close();
      Map<String, Double> metrics = readMetrics(child);
      int exitCode = child.waitFor();
      if (exitCode != 0 || metrics.isEmpty()) {
        throw new IllegalStateException(
            "fork failed: exitCode=" + exitCode + " arguments=" + String.join(" ", arguments));
      }
      return metrics;
    } finally {
      child.destroy(); // this process only; without effect when it has ended
    }
  }

  private static Map<String, Double> readMetrics(Process child) throws IOException {
    Map<String, Double> metrics = new LinkedHashMap<>();
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8))) {
      for (@Nullable String line = lines.readLine(); line != null; line = lines.readLine()) {
        int equals = line.indexOf('=');
        if (equals < 0) {
          throw new IllegalStateException("unexpected output of a fork: line=" + line);
        }
        metrics.put(line.substring(0, equals), Double.valueOf(line.substring(equals + 1)));
      }
    }
    return metrics;
  }
}
