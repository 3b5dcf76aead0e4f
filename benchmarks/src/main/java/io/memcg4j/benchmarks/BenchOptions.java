package io.memcg4j.benchmarks;

import picocli.CommandLine.Option;

/** The options that all benchmarks with forks share. */
final class BenchOptions {
  private static final int DEFAULT_FORKS = 3;

  @Option(names = "--json", description = "One JSON object per figure and line, nothing else.")
  private boolean json;

  @Option(
      names = "--forks",
      paramLabel = "N",
      description = "Java processes per case and subject (default: ${DEFAULT-VALUE}).")
  private int nrForks;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Measured rounds per process; the best counts (default: ${DEFAULT-VALUE}).")
  private int nrRounds = 100;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Objects that are live at one time (default: ${DEFAULT-VALUE}).")
  private int nrObjects = 1_000_000;

  BenchOptions() {
    this(DEFAULT_FORKS);
  }

  /** Of a benchmark with another default. */
  BenchOptions(int nrForks) {
    this.nrForks = nrForks;
  }

  boolean json() {
    return json;
  }

  int nrForks() {
    return positive("forks", nrForks);
  }

  int nrRounds() {
    return positive("rounds", nrRounds);
  }

  int nrObjects() {
    return positive("count", nrObjects);
  }

  private static int positive(String name, int value) {
    if (value < 1) {
      throw new UsageError("bad " + name + ": value=" + value + " range=1.." + Integer.MAX_VALUE);
    }
    return value;
  }
}
