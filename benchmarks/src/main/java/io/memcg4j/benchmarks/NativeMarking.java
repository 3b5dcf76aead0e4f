package io.memcg4j.benchmarks;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Scanners of C programs on the same graph, where there are a compiler and their libraries. */
final class NativeMarking {
  private static final Map<String, String> ONE_MARKER =
      Map.of("GC_MARKERS", "1", "LSAN_OPTIONS", "max_leaks=1:print_suppressions=0");

  private NativeMarking() {}

  /** Runs one scanner on a graph that takes no time; says why that is not possible, else "". */
  static String whyNot(String subject) throws InterruptedException {
    try {
      measure(subject, new LeakGraph.Shape(100, 64, 250), 1);
      return "";
    } catch (IOException | IllegalStateException e) {
      return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }
  }

  static Map<String, Double> measure(String subject, LeakGraph.Shape shape, int nrRounds)
      throws IOException, InterruptedException {
    List<String> options =
        subject.equals(LeakBench.BOEHM) ? List.of("-DBOEHM", "-lgc") : List.of("-fsanitize=leak");
    try (NativeProgram program = NativeProgram.compile("leakgraph", options)) {
      return program.run(
          ONE_MARKER,
          List.of(
              Integer.toString(shape.nrObjects()),
              Integer.toString(shape.nrBytes()),
              shape.isChain() ? "chain" : Integer.toString(shape.perThousand()),
              Integer.toString(nrRounds),
              Long.toString(LeakFork.BUDGET_NANOS)));
    }
  }
}
