package io.memcg4j.benchmarks;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The table of a replay for a reader: one row per tenant as it is done, and the mean below. */
final class ReplayReport {
  private static final String ROW = "%-16s %9s %8s %8s %11s %11s %6s %11s %8s %9s %6s%n";

  private final PrintWriter out;
  private final List<Double> nsPerEvent = new ArrayList<>();

  ReplayReport(PrintWriter out) {
    this.out = out;
  }

  void header() {
    out.printf(
        ROW,
        "tenant",
        "events",
        "ns/event",
        "best",
        "requested",
        "charged",
        "ratio",
        "mapped",
        "refused",
        "live",
        "drift");
    out.flush();
  }

  void row(ReplayResult result) {
    Trace trace = result.trace();
    out.printf(
        ROW,
        trace.name(),
        trace.nrEvents(),
        nanos(result.nsPerEvent()),
        nanos(result.bestNsPerEvent()),
        ByteSize.human(trace.requestedPeakBytes()),
        ByteSize.human(result.chargedPeakBytes()),
        ratio(result.chargedPeakBytes(), trace.requestedPeakBytes()),
        ByteSize.human(result.mappedPeakBytes()),
        result.nrRefused(),
        result.nrLiveAtEnd(),
        result.driftBytes());
    out.flush();
    if (result.nsPerEvent() != null) {
      nsPerEvent.add(result.nsPerEvent());
    }
  }

  /** The geometric mean over the tenants; nothing if nothing was timed. */
  void footer() {
    if (!nsPerEvent.isEmpty()) {
      double[] values = nsPerEvent.stream().mapToDouble(Double::doubleValue).toArray();
      out.printf(
          Locale.ROOT,
          "geometric mean of %d: %.2f ns/event%n",
          values.length,
          Statistics.geometricMean(values));
      out.flush();
    }
  }

  private static String nanos(@Nullable Double value) {
    return value == null ? "-" : String.format(Locale.ROOT, "%.2f", value);
  }

  private static String ratio(long charged, long requested) {
    return requested == 0 ? "-" : String.format(Locale.ROOT, "%.3f", (double) charged / requested);
  }
}
