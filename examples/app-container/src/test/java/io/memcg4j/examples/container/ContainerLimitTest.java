package io.memcg4j.examples.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import io.memcg4j.memcg.ContainerMemory;
import io.memcg4j.memcg.MemCgroup;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The container in a group of the operating system with a real limit, and an application without a
 * quota in it. Only where the tests may make such a group: as root, with the memory controller in
 * version 1.
 */
final class ContainerLimitTest {
  private static final long MIB = 1L << 20;
  private static final long LIMIT = 320 * MIB;

  /** What runs in the group: images until one is refused, then none, then one more. */
  static final class Greedy {
    private Greedy() {}

    public static void main(String[] args) throws Exception {
      ContainerMemory os = ContainerMemory.detect().withReserve(112 * MIB);
      System.out.println(os);
      try (AppContainer container = new AppContainer(Main.webapps(), os, 0);
          HttpClient client = HttpClient.newHttpClient()) {
        container.deploy("gallery", MemCgroup.UNLIMITED);
        container.open();
        URI uri = URI.create("http://127.0.0.1:" + container.port() + "/gallery/?kib=1024");
        HttpRequest post = HttpRequest.newBuilder(uri).POST(BodyPublishers.noBody()).build();
        int nrImages = 0;
        HttpResponse<String> response = client.send(post, HttpResponse.BodyHandlers.ofString());
        for (; response.statusCode() == 201; nrImages++) {
          response = client.send(post, HttpResponse.BodyHandlers.ofString());
        }
        System.out.println("refused: " + response.statusCode() + " " + response.body().strip());
        System.out.println("images=" + nrImages + " max=" + container.root().max());
        client.send(
            HttpRequest.newBuilder(uri).DELETE().build(), HttpResponse.BodyHandlers.discarding());
        response = client.send(post, HttpResponse.BodyHandlers.ofString());
        System.out.println("after deleting them: " + response.statusCode());
      }
    }
  }

  private static Path makeGroup() {
    @Nullable Path own = null;
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/cgroup"))) {
        String[] field = line.split(":", 3);
        if (field.length == 3 && List.of(field[1].split(",", -1)).contains("memory")) {
          own = Path.of("/sys/fs/cgroup/memory" + field[2]);
        }
      }
      if (own == null) {
        return abort("no memory controller of version 1");
      }
      Path group = own.resolve("memcg4j-apps-" + ProcessHandle.current().pid());
      Files.createDirectory(group);
      return group;
    } catch (IOException e) {
      return abort("no group can be made here: " + e);
    }
  }

  @Test
  @Timeout(value = 3, unit = TimeUnit.MINUTES)
  void limitOfTheContainer_applicationIsRefusedBeforeTheProcessIsKilled() throws Exception {
    Path group = makeGroup();
    Process process = null;
    try {
      Files.writeString(group.resolve("memory.limit_in_bytes"), Long.toString(LIMIT));
      process = start(group);
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.waitFor(), output);
      List<String> lines =
          output.lines().filter(line -> line.matches("(cgroup|refused|images|after).*")).toList();
      assertEquals(4, lines.size(), output);
      assertTrue(lines.get(0).contains("containerLimit=" + LIMIT + " (320.0 MiB)"), output);
      assertTrue(lines.get(1).startsWith("refused: 507 "), output);
      assertTrue(lines.get(1).contains("\"limitedBy\":\"/\""), output);
      long rootMax = Long.parseLong(lines.get(2).replaceFirst(".* max=", ""));
      assertTrue(rootMax > 64 * MIB && rootMax < LIMIT - 112 * MIB, output);
      long nrImages = Long.parseLong(lines.get(2).replaceFirst("images=(\\d+) .*", "$1"));
      assertTrue(nrImages <= rootMax / MIB && nrImages >= rootMax / MIB - 8, output);
      assertEquals("after deleting them: 201", lines.get(3), output);
      List<String> oom = Files.readAllLines(group.resolve("memory.oom_control"));
      assertTrue(
          !oom.toString().contains("oom_kill ") || oom.contains("oom_kill 0"), oom::toString);
    } finally {
      if (process != null) {
        process.destroyForcibly().waitFor();
      }
      remove(group);
    }
  }

  /** The shell goes into the group before it becomes the JVM. */
  private static Process start(Path group) throws Exception {
    String classPath = System.getProperty("surefire.test.class.path");
    if (classPath == null) {
      classPath = System.getProperty("java.class.path");
    }
    return new ProcessBuilder(
            "sh",
            "-c",
            "echo $$ > \"$0\" && exec \"$@\"",
            group.resolve("cgroup.procs").toString(),
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx64m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            absolute(classPath),
            Greedy.class.getName())
        .redirectErrorStream(true)
        .start();
  }

  private static String absolute(String classPath) {
    return List.of(classPath.split(File.pathSeparator, -1)).stream()
        .filter(entry -> !entry.isEmpty())
        .map(entry -> Path.of(entry).toAbsolutePath().toString())
        .reduce((a, b) -> a + File.pathSeparator + b)
        .orElseThrow();
  }

  /** The kernel may need a moment to see that the process has left. */
  private static void remove(Path group) throws Exception {
    for (int attempt = 0; ; attempt++) {
      try {
        Files.delete(group);
        return;
      } catch (IOException e) {
        if (attempt == 100) {
          throw e;
        }
        Thread.sleep(50);
      }
    }
  }
}
