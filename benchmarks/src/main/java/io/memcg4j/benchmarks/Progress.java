package io.memcg4j.benchmarks;

import java.io.Console;
import java.io.PrintStream;

/**
 * A progress bar on standard error, drawn over itself. Silent unless the program runs on a
 * terminal, so that logs and pipes stay clean. One thread.
 */
final class Progress {
  private static final int WIDTH = 30;

  private final PrintStream target;
  private final boolean shown;
  private int nrColumns; // drawn and not yet erased

  private Progress(PrintStream target, boolean shown) {
    this.target = target;
    this.shown = shown;
  }

  /** A bar on the standard error stream if there is a terminal. */
  @SuppressWarnings("SystemConsoleNull") // from JDK 25 on it is null again without a terminal
  static Progress onTerminal() {
    Console console = System.console();
    return new Progress(System.err, console != null && console.isTerminal());
  }

  /** A bar that is always drawn, or never. */
  static Progress on(PrintStream target, boolean shown) {
    return new Progress(target, shown);
  }

  /** Draws the bar at {@code nrDone} of {@code nrSteps}. */
  void show(String label, int nrDone, int nrSteps) {
    if (!shown) {
      return;
    }
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
