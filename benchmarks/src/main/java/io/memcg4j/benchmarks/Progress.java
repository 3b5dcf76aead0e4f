package io.memcg4j.benchmarks;

import java.io.Console;
import java.io.PrintStream;

/**
 * A progress bar on standard error, drawn over itself. Without a terminal it is silent, so that
 * logs and pipes stay clean, or says in a line now and then what it is at. One thread.
 */
final class Progress {
  private static final int WIDTH = 30;
  private static final long LINE_NANOS = 2_000_000_000L;

  private enum Form {
    BAR,
    LINES,
    NONE
  }

  private final PrintStream target;
  private final Form form;
  private int nrColumns; // drawn and not yet erased
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
      target.println((nrDone + 1) + "/" + nrSteps + " " + label);
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
            + label;
    String blanks = " ".repeat(Math.max(0, nrColumns - line.length()));
    target.print("\r" + line + blanks);
    target.flush();
    nrColumns = line.length();
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
