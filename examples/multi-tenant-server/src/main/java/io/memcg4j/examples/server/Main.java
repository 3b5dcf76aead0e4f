package io.memcg4j.examples.server;

import java.util.List;

/** {@code ./memcg4j demo [--once]}. */
public final class Main {
  private static final int SECONDS_ONCE = 3;

  private Main() {}

  /**
   * Runs the demo.
   *
   * @param args {@code --once}: a few seconds, then exit; without it the demo runs until it is
   *     stopped
   * @throws InterruptedException if interrupted
   */
  public static void main(String[] args) throws InterruptedException {
    List<String> words = List.of(args);
    if (words.contains("--help")) {
      System.out.println("usage: ./memcg4j demo [--once]");
      return;
    }
    if (!words.isEmpty() && !words.equals(List.of("--once"))) {
      System.err.println("demo: unknown argument: arguments=" + words + " legal=--once");
      System.exit(2);
    }
    int nrSeconds = words.isEmpty() ? Integer.MAX_VALUE : SECONDS_ONCE;
    List<String> broken = new Demo(System.out).run(nrSeconds);
    broken.forEach(promise -> System.err.println("demo: promise broken: " + promise));
    System.exit(broken.isEmpty() ? 0 : 1);
  }
}
