package io.memcg4j.cli;

import io.memcg4j.console.RunningConsole;
import io.memcg4j.memcg.ContainerMemory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Checks of a running JVM that has a console. */
final class ConsoleChecks {
  private static final String NATIVE_ACCESS = "--enable-native-access";

  private ConsoleChecks() {}

  static List<Finding> run(RunningConsole console) {
    String check = "jvm " + console.pid();
    try {
      Connection connection = new Connection(console);
      Map<String, @Nullable Object> about = connection.json("/about");
      List<Finding> findings = new ArrayList<>();
      findings.add(
          Finding.ok(check, console.name() + " at " + console.uri() + ", " + about.get("java")));
      options(Path.of("/proc", Long.toString(console.pid())), check, findings);
      limits(
          check,
          GroupFigures.read(connection),
          about.get("heapMax") instanceof Number heap ? heap.longValue() : 0,
          ContainerMemory.detect().limit(),
          findings);
      return findings;
    } catch (CliException e) {
      return List.of(
          Finding.fail(
              check,
              String.valueOf(e.getMessage()),
              "the JVM hangs, or its console was closed without removing its file"));
    }
  }

  /** What the JVM was started with, as far as it can be seen. */
  static void options(Path process, String check, List<Finding> findings) {
    try {
      String commandLine = text(process.resolve("cmdline"));
      String environment = text(process.resolve("environ"));
      boolean isEnabled =
          commandLine.contains(NATIVE_ACCESS)
              || environment.lines().anyMatch(v -> v.startsWith("J") && v.contains(NATIVE_ACCESS));
      if (!isEnabled) {
        findings.add(
            Finding.warn(
                check,
                "started without " + NATIVE_ACCESS,
                "add " + NATIVE_ACCESS + "=ALL-UNNAMED, or Enable-Native-Access to its manifest"));
      }
    } catch (IOException e) {
      // Not Linux, or gone: nothing to say.
    }
  }

  private static String text(Path file) throws IOException {
    return new String(Files.readAllBytes(file), StandardCharsets.UTF_8).replace('\0', '\n');
  }

  static void limits(
      String check,
      GroupFigures.Snapshot snapshot,
      long heapMax,
      long containerLimit,
      List<Finding> findings) {
    GroupFigures root = snapshot.groups().getFirst();
    boolean isContained = containerLimit != ContainerMemory.UNLIMITED;
    if (root.max() < 0) {
      findings.add(
          Finding.warn(
              check,
              "the root group has no limit",
              isContained
                  ? "root.setMax(ContainerMemory.detect().budget().rootMax())"
                  : "set one: ./memcg4j set --pid " + check.substring(4) + " memory.max SIZE"));
    } else if (isContained && root.max() + heapMax > containerLimit) {
      findings.add(
          Finding.warn(
              check,
              "heap "
                  + Sizes.human(heapMax)
                  + " and root group "
                  + Sizes.human(root.max())
                  + " together are more than the container's "
                  + Sizes.human(containerLimit),
              "lower memory.max or -Xmx, or the system kills the JVM"));
    }
    long nrTenants = snapshot.groups().stream().filter(group -> group.depth() == 1).count();
    long nrFree =
        snapshot.groups().stream()
            .filter(group -> group.depth() == 1 && group.max() < 0 && group.high() < 0)
            .count();
    if (nrFree > 0) {
      findings.add(
          Finding.warn(
              check,
              nrFree + " of " + nrTenants + " groups below the root have no limit",
              "give each tenant memory.high or memory.max"));
    }
    snapshot.groups().stream()
        .filter(group -> group.max() >= 0 && group.usage() > group.max())
        .limit(5)
        .forEach(group ->
            findings.add(
                Finding.warn(
                    check,
                    group.path() + " is over its limit: a forced charge, or a lowered limit",
                    "requests are refused there until enough is freed")));
  }
}
