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
      description = "Measured rounds per process (default: ${DEFAULT-VALUE}).")
  private int nrRounds = 100;

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

  private static int positive(String name, int value) {
    return between(1, Integer.MAX_VALUE, name, value);
  }

  static int between(int least, int most, String name, int value) {
    if (value < least || value > most) {
      throw new UsageError("bad " + name + ": value=" + value + " range=" + least + ".." + most);
    }
    return value;
  }
}
