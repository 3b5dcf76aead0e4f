package io.memcg4j.flamegraph;

import io.memcg4j.leak.LeakReport;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringReader;
import one.convert.Arguments;
import one.convert.FlameGraph;

/**
 * A leak report as a flame graph: one self-contained HTML page. A frame is as wide as the bytes of
 * the leaked blocks that were allocated below it; outermost is the group that pays, innermost the
 * cache. Blocks whose call site is not known lie directly between the two.
 */
public final class LeakFlameGraph {
  private static final String TITLE = "Leaked off-heap memory, bytes";

  private LeakFlameGraph() {}

  /**
   * Writes the flame graph of a report.
   *
   * @param report with or without suspects
   * @param out gets a page in UTF-8; stays open
   * @throws IOException if it cannot be written
   */
  public static void write(LeakReport report, OutputStream out) throws IOException {
    graph(report, new Arguments("--title", TITLE)).dump(out);
  }

  /**
   * Writes the flame graph of a report in the colours of what has changed: red where more is leaked
   * than before, blue where less is.
   *
   * @param report the later one
   * @param earlier what it is compared with
   * @param out gets a page in UTF-8; stays open
   * @throws IOException if it cannot be written
   */
  public static void writeDifference(LeakReport report, LeakReport earlier, OutputStream out)
      throws IOException {
    Arguments arguments = new Arguments("--diff", "--title", TITLE + ", change");
    FlameGraph graph = graph(report, arguments);
    graph.diff(graph(earlier, arguments));
    graph.dump(out);
  }

  private static FlameGraph graph(LeakReport report, Arguments arguments) throws IOException {
    FlameGraph graph = new FlameGraph(arguments);
    graph.parseCollapsed(new StringReader(report.toCollapsed()));
    return graph;
  }
}
