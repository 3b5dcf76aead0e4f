package io.memcg4j.benchmarks;

/** Counts rounds until there were enough or the time is over; some run in any case. */
final class Rounds {
  private final int nrRounds;
  private final int nrLeast;
  private int nrBegun;
  private long startNanos;

  Rounds(int nrRounds) {
    this(nrRounds, 1);
  }

  /** With some that run however long they take. */
  Rounds(int nrRounds, int nrLeast) {
    this.nrRounds = nrRounds;
    this.nrLeast = Math.min(nrRounds, nrLeast);
  }

  /** Whether another one may begin. */
  boolean next() {
    if (nrBegun == 0) {
      startNanos = System.nanoTime();
    } else if (nrBegun >= nrRounds || (nrBegun >= nrLeast && isOver())) {
      return false;
    }
    nrBegun++;
    return true;
  }

  private boolean isOver() {
    return System.nanoTime() - startNanos >= LeakFork.BUDGET_NANOS;
  }
}
