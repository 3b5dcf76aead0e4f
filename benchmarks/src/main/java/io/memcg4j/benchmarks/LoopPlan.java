package io.memcg4j.benchmarks;

/**
 * How much of a loop is run.
 *
 * @param nrObjects objects that are live at one time
 * @param nrRounds measured rounds, each from nothing live to nothing live
 * @param minWarmupNanos how long the loop runs before, at least
 */
record LoopPlan(int nrObjects, int nrRounds, long minWarmupNanos) {
  /** Enough for the loop to be compiled by the last compiler, on a machine that is busy too. */
  private static final long WARMUP_NANOS = 500_000_000L;

  LoopPlan(int nrObjects, int nrRounds) {
    this(nrObjects, nrRounds, WARMUP_NANOS);
  }

  /** From the arguments of a fork. */
  static LoopPlan parse(String nrObjects, String nrRounds) {
    return new LoopPlan(Integer.parseInt(nrObjects), Integer.parseInt(nrRounds));
  }
}
