package io.memcg4j.examples.server;

import io.memcg4j.console.Console;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** {@code ./memcg4j demo} and {@code ./memcg4j serve}. */
public final class Main {
  private static final String USAGE =
      """
      usage: ./memcg4j demo [--once] [--json]
             ./memcg4j serve [--port PORT] TENANTS_FILE

      demo    an HTTP server with four tenants and their clients: prints each second, then a table, and stays up
        --once   exits after the table: 0, or 1 if a promise was broken
        --json   one JSON object per line
      serve   the server alone; the file says which tenants there are, and is watched\
      """;

  private static final int DEFAULT_PORT = 8080;
  private static final int MAX_PORT = 65535;

  private Main() {}

  /**
   * Runs the demo or the server.
   *
   * @param args see the usage
   * @throws InterruptedException if interrupted
   */
  public static void main(String[] args) throws InterruptedException {
    List<String> words = new ArrayList<>(List.of(args));
    if (words.contains("--help") || words.isEmpty()) {
      System.out.println(USAGE);
      return;
    }
    try {
      switch (words.removeFirst()) {
        case "demo" -> demo(words);
        case "serve" -> serve(words);
        default -> throw new IllegalArgumentException("unknown command: legal=demo, serve");
      }
    } catch (IllegalArgumentException e) {
      System.err.println("memcg4j: " + e.getMessage());
      System.err.println(USAGE);
      System.exit(2);
    } catch (TenantsFile.SyntaxException e) {
      System.err.println("memcg4j: tenants' file: " + e.getMessage());
      System.exit(2);
    } catch (IOException e) { // no such file, no text, a port that is taken
      System.err.println("memcg4j: cannot serve: " + e);
      System.exit(2);
    }
  }

  private static void demo(List<String> words)
      throws IOException, InterruptedException, TenantsFile.SyntaxException {
    boolean once = words.remove("--once");
    boolean json = words.remove("--json");
    if (!words.isEmpty()) {
      throw new IllegalArgumentException("unknown argument: arguments=" + words);
    }
    PrintStream out = System.out;
    List<String> broken = new Demo(new DemoOutput(out, json), Demo.Plan.DEFAULT).run(once);
    broken.forEach(promise -> System.err.println("demo: promise broken: " + promise));
    System.exit(broken.isEmpty() ? 0 : 1);
  }

  private static int port(String text) {
    try {
      int port = Integer.parseInt(text);
      if (port >= 0 && port <= MAX_PORT) {
        return port;
      }
    } catch (NumberFormatException e) {
      // told as any other
    }
    throw new IllegalArgumentException("bad port: value=" + text + " legal=0.." + MAX_PORT);
  }

  private static void serve(List<String> words)
      throws IOException, InterruptedException, TenantsFile.SyntaxException {
    int port = DEFAULT_PORT;
    int at = words.indexOf("--port");
    if (at >= 0) {
      if (at + 1 == words.size()) {
        throw new IllegalArgumentException("no port after --port");
      }
      port = port(words.remove(at + 1));
      words.remove(at);
    }
    if (words.size() != 1) {
      throw new IllegalArgumentException("bad arguments: legal=[--port 0..65535] TENANTS_FILE");
    }
    Application application =
        Application.start(
            Path.of(words.getFirst()), ServerSettings.DEFAULT.withPort(port), System.out::println);
    System.out.println("serving http://127.0.0.1:" + application.port() + "/v1");
    Kmalloc kmalloc = application.kmalloc();
    Console console =
        ConsoleStart.open("memcg4j serve", kmalloc, Kmemleak.builder(kmalloc).build());
    System.out.println("console: " + console.page());
    Thread.currentThread().join(); // until somebody ends the JVM
  }
}
