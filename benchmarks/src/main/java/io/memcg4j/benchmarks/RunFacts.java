package io.memcg4j.benchmarks;

import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What is to be known of a run to judge its figures; what cannot be found out is empty. */
final class RunFacts {
  private static final Pattern VERSION = Pattern.compile("<version>([^<]+)</version>");

  private RunFacts() {}

  /**
   * The facts, by name.
   *
   * @param bench the benchmark's name
   * @param command what was typed
   */
  static Map<String, String> of(String bench, String command, int nrForks) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("run", bench);
    facts.put("date", Instant.now().truncatedTo(ChronoUnit.MINUTES).toString());
    facts.put("cpu", valueOf(Path.of("/proc/cpuinfo"), "model name"));
    facts.put("processors", Integer.toString(Runtime.getRuntime().availableProcessors()));
    facts.put("memory", valueOf(Path.of("/proc/meminfo"), "MemTotal"));
    facts.put("os", System.getProperty("os.name", "") + " " + System.getProperty("os.arch", ""));
    facts.put("kernel", System.getProperty("os.version", ""));
    facts.put(
        "jdk",
        System.getProperty("java.vm.version", "") + " " + System.getProperty("java.vm.name", ""));
    facts.put("version", version());
    facts.put("commit", commit());
    facts.put("load", String.format(Locale.ROOT, "%.1f", load()));
    facts.put("command", command);
    facts.put("forks", Integer.toString(nrForks));
    return facts;
  }

  /** Threads that wanted to run in the last minute, ours among them; negative if unknown. */
  static double load() {
    return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
  }

  /** Says so if others keep half of the processors busy. */
  static void warnIfBusy(PrintWriter err) {
    double load = load();
    int nrProcessors = Runtime.getRuntime().availableProcessors();
    if (load > nrProcessors / 2.0) {
      err.printf(
          Locale.ROOT,
          "busy machine: load=%.1f processors=%d: times will be too long%n",
          load,
          nrProcessors);
      err.flush();
    }
  }

  /** The value of the first line {@code KEY : VALUE}. */
  private static String valueOf(Path file, String key) {
    try {
      for (String line : Files.readAllLines(file)) {
        int colon = line.indexOf(':');
        if (colon > 0 && line.substring(0, colon).strip().equals(key)) {
          return line.substring(colon + 1).strip();
        }
      }
    } catch (IOException e) {
      // Unknown.
    }
    return "";
  }

  private static Path home() {
    return Path.of(System.getProperty(TraceFiles.HOME_PROPERTY, "."));
  }

  private static String version() {
    try {
      Matcher version = VERSION.matcher(Files.readString(home().resolve("pom.xml")));
      return version.find() ? version.group(1) : "";
    } catch (IOException e) {
      return "";
    }
  }

  /** With a plus sign if there are changes that no commit has. */
  private static String commit() {
    String commit = git("rev-parse", "--short", "HEAD");
    boolean changed = !git("status", "--porcelain", "--untracked-files=no").isEmpty();
    return commit + (changed ? "+" : "");
  }

  private static String git(String... arguments) {
    List<String> command = new ArrayList<>(List.of("git", "-C", home().toString()));
    command.addAll(List.of(arguments));
    try {
      Process git =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
      git.getOutputStream().close();
      String text = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      return git.waitFor() == 0 ? text.strip() : "";
    } catch (IOException e) {
      return "";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }
}
