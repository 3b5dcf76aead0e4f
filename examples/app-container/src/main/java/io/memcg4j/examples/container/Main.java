package io.memcg4j.examples.container;

import io.memcg4j.memcg.ContainerMemory;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Runs the app container. With {@code --once} it is driven by a client, ends with a table, and
 * exits with 1 if a promise was broken; without, it stays up until it is stopped.
 */
public final class Main {
  private static final long MIB = 1L << 20;
  private static final int DEFAULT_PORT = 8080;
  private static final int SECONDS_ONCE = 3;
  private static final Logger TOMCAT = Logger.getLogger("org.apache");

  private Main() {}

  /**
   * Runs the app container.
   *
   * @param args {@code --once}, {@code --port NUMBER}, {@code --help}
   * @throws Exception if it does not start
   */
  public static void main(String[] args) throws Exception {
    Deque<String> words = new ArrayDeque<>(List.of(args));
    boolean once = false;
    int port = DEFAULT_PORT;
    while (!words.isEmpty()) {
      String word = words.pop();
      switch (word) {
        case "--once" -> {
          once = true;
          port = 0;
        }
        case "--port" -> port = words.isEmpty() ? -1 : parsePort(words.pop());
        case "--help" -> {
          System.out.println("usage: app-container [--once] [--port NUMBER]");
          return;
        }
        default -> port = -1;
      }
      if (port < 0) {
        System.err.println(
            "app-container: bad argument: argument="
                + word
                + " legal=--once, --port 0..65535, --help");
        System.exit(2);
      }
    }
    TOMCAT.setLevel(Level.WARNING);
    System.exit(run(once, port));
  }

  private static int parsePort(String text) {
    try {
      int port = Integer.parseInt(text);
      return port > 65_535 ? -1 : port;
    } catch (NumberFormatException e) {
      return -1;
    }
  }

  private static int run(boolean once, int port) throws Exception {
    Scenario scenario;
    try (AppContainer container =
        new AppContainer(webapps(), ContainerMemory.detect().withReserve(96 * MIB), port)) {
      System.out.println(container.os());
      container.deploy("notes", 16 * MIB);
      container.deploy("gallery", 24 * MIB);
      container.deploy("reports", 16 * MIB);
      if (!once) {
        AdminServlet.addTo(container);
      }
      container.open();
      for (Application application : container.deployed()) {
        System.out.println(
            "deployed http://127.0.0.1:"
                + container.port()
                + "/"
                + application.name()
                + "/ in group "
                + application.group().path()
                + ", max "
                + application.group().max() / MIB
                + " MiB");
      }
      if (!once) {
        System.out.println(
            "groups and what to do with them: curl http://127.0.0.1:" + container.port() + "/");
        new CountDownLatch(1).await();
      }
      scenario = new Scenario(container, System.out);
      scenario.run(SECONDS_ONCE);
    }
    List<String> broken = scenario.finish();
    broken.forEach(promise -> System.err.println("app-container: promise broken: " + promise));
    return broken.isEmpty() ? 0 : 1;
  }

  /** The build leaves them beside the classes. */
  static Path webapps() throws URISyntaxException {
    Path classes = Path.of(Main.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Path webapps = classes.resolveSibling("webapps");
    if (!Files.isDirectory(webapps)) {
      throw new IllegalStateException("no web applications, build first: folder=" + webapps);
    }
    return webapps;
  }
}
