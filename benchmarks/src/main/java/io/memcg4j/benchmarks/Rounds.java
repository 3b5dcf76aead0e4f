package io.memcg4j.benchmarks;

/** Counts rounds until there were enough or the time is over; the first one always runs. */
final class Rounds {
  private final int nrRounds;
  private int nrBegun;
  private long startNanos;

  Rounds(int nrRounds) {
    this.nrRounds = nrRounds;
  }

  /** Whether another one may begin. */
  boolean next() {
    if (nrBegun == 0) {
      startNanos = System.nanoTime();
    } else if (nrBegun >= nrRounds || System.nanoTime() - startNanos >= LeakFork.BUDGET_NANOS) {
      return false;
    }
    nrBegun++;
    return true;
  }
}
