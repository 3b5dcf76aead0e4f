package io.memcg4j.benchmarks;

/** How much of each case is done: by default, in a hurry, and just to see that it works. */
enum PeersPlan {
  FULL(1_000, 250, 350, 1_000_000, 2_000, 100_000),
  QUICK(300, 100, 120, 1_000_000, 500, 100_000),
  TINY(0, 0, 0, 500, 4, 200);

  private static final long NANOS_PER_MILLI = 1_000_000;

  private final long firstWarmupMillis;
  private final long nextWarmupMillis;
  private final long measureMillis;
  private final int nrObjects;
  private final int nrBatches;
  private final int nrThreads;

  PeersPlan(
      long firstWarmupMillis,
      long nextWarmupMillis,
      long measureMillis,
      int nrObjects,
      int nrBatches,
      int nrThreads) {
    this.firstWarmupMillis = firstWarmupMillis;
    this.nextWarmupMillis = nextWarmupMillis;
    this.measureMillis = measureMillis;
    this.nrObjects = nrObjects;
    this.nrBatches = nrBatches;
    this.nrThreads = nrThreads;
  }

  /** Of the first case of a process, and of each further one, whose code is compiled by then. */
  long warmupNanos(boolean first) {
    return (first ? firstWarmupMillis : nextWarmupMillis) * NANOS_PER_MILLI;
  }

  /** In which rounds of a case may begin. */
  long measureNanos() {
    return measureMillis * NANOS_PER_MILLI;
  }

  /** Held at one time, at most. */
  int nrObjects() {
    return nrObjects;
  }

  /** Handed over in a round, at most. */
  int nrBatches() {
    return nrBatches;
  }

  /** Virtual threads. */
  int nrThreads() {
    return nrThreads;
  }
}
