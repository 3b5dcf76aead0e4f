package io.memcg4j.benchmarks;

import picocli.CommandLine.Option;

/** The option of benchmarks that hold objects in an array of addresses. */
final class CountOption {
  /** 800 MB of addresses: what the default heap of a small machine has room for. */
  private static final int MAX_OBJECTS = 100_000_000;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Objects that are live at one time (default: ${DEFAULT-VALUE}).")
  private int nrObjects = 1_000_000;

  CountOption() {}

  int nrObjects() {
    return BenchOptions.between(1, MAX_OBJECTS, "count", nrObjects);
  }
}
