package io.memcg4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/**
 * The terminal while top draws on it: its other screen, single keys, its size. What it was like
 * before is put back at the end, also when the JVM is stopped by a signal.
 */
final class Terminal implements AutoCloseable {
  private static final String BEGIN =
      "\u001b[?1049h\u001b[?25l\u001b[?7l"; // other screen, no cursor, no wrapping
  private static final String END = "\u001b[?7h\u001b[?25h\u001b[?1049l";
  private static final String HOME = "\u001b[H";
  private static final String CLEAR_LINE = "\u001b[K";
  private static final String CLEAR_BELOW = "\u001b[J";
  static final String BOLD = "\u001b[1m";
  static final String REVERSE = "\u001b[7m";
  static final String RED = "\u001b[31m";
  static final String PLAIN = "\u001b[0m";

  private static final int DEFAULT_ROWS = 24;
  private static final int DEFAULT_COLUMNS = 80;
  private static final int STTY_SECONDS = 5;

  private final PrintWriter out;
  private final String savedMode;
  private final Thread restorer = new Thread(this::restore, "memcg4j-terminal");
  private int nrRows = DEFAULT_ROWS;
  private int nrColumns = DEFAULT_COLUMNS;

  private Terminal(PrintWriter out) {
    this.out = out;
    this.savedMode = stty("-g");
  }

  /** Whether both ends are one: else frames are printed one below the other. */
  @SuppressWarnings("SystemConsoleNull") // the console of JDK 25 is null again without a terminal
  static boolean isPresent() {
    java.io.Console console = System.console();
    return console != null && console.isTerminal();
  }

  static Terminal open(PrintWriter out) {
    Terminal terminal = new Terminal(out);
    stty("-icanon -echo min 0 time 0");
    Runtime.getRuntime().addShutdownHook(terminal.restorer);
    out.print(BEGIN);
    out.flush();
    return terminal;
  }

  int nrRows() {
    return nrRows;
  }

  int nrColumns() {
    return nrColumns;
  }

  /** Asks for the size, as windows change theirs. */
  void measure() {
    String[] size = stty("size").split(" ", -1);
    try {
      nrRows = Integer.parseInt(size[0]);
      nrColumns = size.length > 1 ? Integer.parseInt(size[1]) : DEFAULT_COLUMNS;
    } catch (NumberFormatException e) {
      nrRows = DEFAULT_ROWS;
      nrColumns = DEFAULT_COLUMNS;
    }
  }

  /** Draws over what was there, without a moment in which the screen is empty. */
  void draw(Iterable<String> lines) {
    StringBuilder frame = new StringBuilder(HOME);
    String separator = "";
    for (String line : lines) {
      frame.append(separator).append(line).append(CLEAR_LINE);
      separator = "\n";
    }
    out.print(frame.append(CLEAR_BELOW));
    out.flush();
  }

  /** The next key, or -1 if none is pressed within the time. */
  static int key(long waitMillis) throws IOException, InterruptedException {
    InputStream in = System.in;
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(waitMillis);
    while (in.available() == 0) {
      if (System.nanoTime() - end >= 0) {
        return -1;
      }
      Thread.sleep(20);
    }
    return in.read();
  }

  @Override
  public void close() {
    restore();
    Runtime.getRuntime().removeShutdownHook(restorer);
  }

  private void restore() {
    if (!savedMode.isEmpty()) {
      stty(savedMode);
    }
    out.print(PLAIN + END);
    out.flush();
  }

  private static String stty(String arguments) {
    try {
      Process process =
          new ProcessBuilder("sh", "-c", "stty " + arguments + " </dev/tty")
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String answer =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip();
      return process.waitFor(STTY_SECONDS, TimeUnit.SECONDS) ? answer : "";
    } catch (IOException e) {
      return ""; // no such tool: lines instead of keys
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }
}
