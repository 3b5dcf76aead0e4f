package io.memcg4j.benchmarks;

import java.io.Console;
import java.io.PrintStream;
import java.util.Locale;

/**
 * A progress bar on standard error, drawn over itself. Without a terminal it is silent, so that
 * logs and pipes stay clean, or says in a line now and then what it is at. One thread.
 */
final class Progress {
  private static final int WIDTH = 30;
  private static final long LINE_NANOS = 2_000_000_000L;

  private static final long MIN_NANOS_TO_TELL = 5_000_000_000L;

  private enum Form {
    BAR,
    LINES,
    NONE
  }

  private final PrintStream target;
  private final Form form;
  private int nrColumns; // drawn and not yet erased
  private final long startNanos = System.nanoTime();
  private long lastLineNanos = System.nanoTime() - LINE_NANOS;

  private Progress(PrintStream target, Form form) {
    this.target = target;
    this.form = form;
  }

  /** A bar on the standard error stream if there is a terminal. */
  static Progress onTerminal() {
    return new Progress(System.err, isOnTerminal() ? Form.BAR : Form.NONE);
  }

  /** As {@link #onTerminal}; without a terminal a line every two seconds at most. */
  static Progress always() {
    return new Progress(System.err, isOnTerminal() ? Form.BAR : Form.LINES);
  }

  @SuppressWarnings("SystemConsoleNull") // from JDK 25 on it is null again without a terminal
  private static boolean isOnTerminal() {
    Console console = System.console();
    return console != null && console.isTerminal();
  }

  /** A bar that is always drawn, or never. */
  static Progress on(PrintStream target, boolean shown) {
    return new Progress(target, shown ? Form.BAR : Form.NONE);
  }

  /** Lines, the first one at once. */
  static Progress inLines(PrintStream target) {
    return new Progress(target, Form.LINES);
  }

  /** Draws the bar at {@code nrDone} of {@code nrSteps}. */
  void show(String label, int nrDone, int nrSteps) {
    switch (form) {
      case BAR -> draw(label, nrDone, nrSteps);
      case LINES -> print(label, nrDone, nrSteps);
      case NONE -> {}
    }
  }

  private void print(String label, int nrDone, int nrSteps) {
    long now = System.nanoTime();
    if (now - lastLineNanos >= LINE_NANOS) {
      lastLineNanos = now;
      target.println((nrDone + 1) + "/" + nrSteps + " " + label + timeLeft(nrDone, nrSteps));
      target.flush();
    }
  }

  private void draw(String label, int nrDone, int nrSteps) {
    int filled = nrSteps == 0 ? WIDTH : (int) ((long) WIDTH * nrDone / nrSteps);
    String line =
        "["
            + "#".repeat(filled)
            + ".".repeat(WIDTH - filled)
            + "] "
            + nrDone
            + "/"
            + nrSteps
            + " "
            + label
            + timeLeft(nrDone, nrSteps);
    String blanks = " ".repeat(Math.max(0, nrColumns - line.length()));
    target.print("\r" + line + blanks);
    target.flush();
    nrColumns = line.length();
  }

  /** About how long it will take, once that can be told; nothing of what is over in a moment. */
  private String timeLeft(int nrDone, int nrSteps) {
    long passed = System.nanoTime() - startNanos;
    if (nrDone == 0 || passed < MIN_NANOS_TO_TELL) {
      return "";
    }
    long seconds = passed / nrDone * (nrSteps - nrDone) / 1_000_000_000;
    return String.format(Locale.ROOT, " (about %d:%02d left)", seconds / 60, seconds % 60);
  }

  /** Takes the bar off the screen, before anything else is printed. */
  void erase() {
    if (nrColumns > 0) {
      target.print("\r" + " ".repeat(nrColumns) + "\r");
      target.flush();
      nrColumns = 0;
    }
  }
}
