package io.memcg4j.console;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A browser and what drives it: Node, playwright-core and Chromium, each of this machine or fetched
 * to a cache outside of the repository if {@code MEMCG4J_BROWSER=fetch}. Tests that need them are
 * skipped, with the reason, where they are not.
 */
final class BrowserTools {
  private static final Path SCRIPTS = Path.of("src", "test", "browser");
  private static final List<String> BROWSERS =
      List.of("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome");
  private static final long FETCH_MINUTES = 5;
  private static final long RUN_MINUTES = 4;

  private final Path cache;
  private final Path chromium;

  private BrowserTools(Path cache, Path chromium) {
    this.cache = cache;
    this.chromium = chromium;
  }

  /** What there is, else the test that asks is skipped. */
  static BrowserTools orSkip() throws IOException, InterruptedException {
    skipUnless(onPath("node") != null, "no node on the PATH");
    Path cache = cache();
    if ("fetch".equals(System.getenv("MEMCG4J_BROWSER"))) {
      List<String> said = new ArrayList<>();
      int status =
          run(
              new ProcessBuilder("bash", SCRIPTS.resolve("fetch.sh").toString(), cache.toString()),
              said::add,
              FETCH_MINUTES);
      skipUnless(status == 0, "fetching failed: " + said);
    }
    skipUnless(
        Files.exists(playwright(cache)),
        "no playwright-core in " + cache + "; MEMCG4J_BROWSER=fetch fetches it");
    Path chromium = chromium(cache);
    skipUnless(
        chromium != null, "no Chromium; set CHROMIUM=/path, or MEMCG4J_BROWSER=fetch to fetch it");
    return new BrowserTools(cache, chromium == null ? cache : chromium);
  }

  private static void skipUnless(boolean present, String reason) {
    if (!present) {
      System.out.println("browser tests are skipped: " + reason);
    }
    assumeTrue(present, reason);
  }

  private static Path cache() {
    String home = System.getenv("XDG_CACHE_HOME");
    Path base =
        home != null && home.startsWith("/")
            ? Path.of(home)
            : Path.of(System.getProperty("user.home", "/tmp"), ".cache");
    return base.resolve("memcg4j-browser");
  }

  private static Path playwright(Path cache) {
    return cache.resolve("node_modules").resolve("playwright-core");
  }

  private static @Nullable Path chromium(Path cache) {
    String given = System.getenv("CHROMIUM");
    if (given != null && Files.isExecutable(Path.of(given))) {
      return Path.of(given);
    }
    for (String name : BROWSERS) {
      Path found = onPath(name);
      if (found != null) {
        return found;
      }
    }
    Path fetched = cache.resolve("chromium/usr/lib/chromium/chromium-headless-shell");
    return Files.isExecutable(fetched) ? fetched : null;
  }

  private static @Nullable Path onPath(String name) {
    for (String folder : System.getenv().getOrDefault("PATH", "").split(":", -1)) {
      Path file = Path.of(folder.isEmpty() ? "." : folder, name);
      if (Files.isExecutable(file)) {
        return file;
      }
    }
    return null;
  }

  /**
   * Runs a script.
   *
   * @param onLine gets each line that it prints, at once
   * @return its exit status
   */
  int run(String script, List<String> arguments, Consumer<String> onLine)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add("node");
    command.add(SCRIPTS.resolve(script).toString());
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("PLAYWRIGHT", playwright(cache).toString());
    builder.environment().put("CHROMIUM", chromium.toString());
    if (chromium.startsWith(cache)) {
      builder.environment().put("LD_LIBRARY_PATH", libraries());
    }
    return run(builder, onLine, RUN_MINUTES);
  }

  /** Folders with libraries that were fetched along. */
  private String libraries() throws IOException {
    try (Stream<Path> files = Files.walk(cache.resolve("chromium"))) {
      List<String> folders =
          files
              .filter(file -> file.getFileName().toString().contains(".so"))
              .map(file -> String.valueOf(file.getParent()))
              .distinct()
              .toList();
      return String.join(":", folders);
    }
  }

  private static int run(ProcessBuilder builder, Consumer<String> onLine, long minutes)
      throws IOException, InterruptedException {
    Process process = builder.redirectErrorStream(true).start();
    process.getOutputStream().close();
    Thread killer =
        Thread.ofVirtual()
            .start(() -> {
              try {
                if (!process.waitFor(minutes, TimeUnit.MINUTES)) {
                  process.descendants().forEach(ProcessHandle::destroyForcibly);
                  process.destroyForcibly();
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      lines.lines().forEach(onLine);
    }
    int status = process.waitFor();
    killer.interrupt();
    return status;
  }
}
