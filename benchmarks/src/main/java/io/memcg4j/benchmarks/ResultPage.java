package io.memcg4j.benchmarks;

import java.util.List;
import java.util.Map;

/** What is made of the results of one benchmark. */
interface ResultPage {
  /** The page with every figure, in the project's folder. */
  String BENCHMARKS = "BENCHMARKS.md";

  /** The page for a new user, in the project's folder. */
  String README = "README.md";

  /** Where the charts are, in the project's folder. */
  String CHARTS = "docs/charts";

  /**
   * Text of a page between two comments.
   *
   * @param page its path in the project's folder
   * @param name stands in the comments
   */
  record Part(String page, String name, String text) {}

  /** In the order of the pages. */
  List<Part> parts();

  /** The charts by the names of their files. */
  Map<String, String> charts();

  /**
   * By the benchmark that gave the results.
   *
   * @throws UsageError if no page is made of its results
   */
  static ResultPage of(ResultFile results) {
    String run = results.run().getOrDefault("run", "");
    if (results.figures().isEmpty()) {
      throw new UsageError("results without figures: run=" + run);
    }
    return switch (run) {
      case PeersBench.NAME -> new PeersPage(results);
      case GrowthBench.NAME -> new GrowthPage(results);
      case SeedsBench.NAME -> new SeedsPage(results);
      default -> throw new UsageError("no page of these results: run=" + run);
    };
  }
}
