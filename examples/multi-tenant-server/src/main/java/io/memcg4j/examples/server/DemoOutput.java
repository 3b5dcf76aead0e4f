package io.memcg4j.examples.server;

import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** What the demo tells: as text, or as one JSON object per line. */
final class DemoOutput {
  private static final int ROWS_PER_HEADING = 20;

  /**
   * A tenant within a second.
   *
   * @param second since the demo began
   * @param phase of the demo
   * @param tenant its name
   * @param requests answered in this second
   * @param refused of those
   * @param throttledMillis time that its requests were made to wait, all together
   * @param p50Micros median latency
   * @param p99Micros 99 % are faster
   * @param usageBytes of its group
   * @param maxBytes of its group
   */
  record Tick(
      int second,
      String phase,
      String tenant,
      long requests,
      long refused,
      long throttledMillis,
      long p50Micros,
      long p99Micros,
      long usageBytes,
      long maxBytes) {}

  /**
   * A tenant in the end.
   *
   * @param tenant its name
   * @param requests answered while all tenants were at work
   * @param refused of those
   * @param throttledMillis time that its requests were made to wait, all together
   * @param p50Micros median latency
   * @param p99Micros 99 % are faster
   * @param peakBytes the most it used
   * @param maxBytes its limit
   * @param leaks blocks that the leak scan found
   * @param leakedBytes their sizes
   */
  record Row(
      String tenant,
      long requests,
      long refused,
      long throttledMillis,
      long p50Micros,
      long p99Micros,
      long peakBytes,
      long maxBytes,
      long leaks,
      long leakedBytes) {}

  /**
   * The steady tenant's p99 beside others and alone.
   *
   * @param besideMicros of all its requests
   * @param aloneMicros of all its requests
   * @param medianBesideMicros in the median second
   * @param medianAloneMicros in the median second
   * @param aim what the quotient of the latter two should not pass
   */
  record Ratio(
      long besideMicros,
      long aloneMicros,
      long medianBesideMicros,
      long medianAloneMicros,
      double aim) {
    double overall() {
      return besideMicros / (double) Math.max(1, aloneMicros);
    }

    double median() {
      return medianBesideMicros / (double) Math.max(1, medianAloneMicros);
    }
  }

  private final PrintStream out;
  private final boolean json;
  private int nrTicks;

  DemoOutput(PrintStream out, boolean json) {
    this.out = out;
    this.json = json;
  }

  /** Something to know. */
  void say(String event, String text) {
    if (json) {
      line(event, Map.of("text", text));
    } else {
      out.println(text);
      out.flush();
    }
  }

  void tick(Tick tick) {
    if (json) {
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("second", tick.second());
      fields.put("phase", tick.phase());
      fields.put("tenant", tick.tenant());
      fields.put("requests", tick.requests());
      fields.put("refused", tick.refused());
      fields.put("throttledMillis", tick.throttledMillis());
      fields.put("p50Micros", tick.p50Micros());
      fields.put("p99Micros", tick.p99Micros());
      fields.put("usageBytes", tick.usageBytes());
      fields.put("maxBytes", Tenant.limit(tick.maxBytes()));
      line("second", fields);
      return;
    }
    if (nrTicks++ % ROWS_PER_HEADING == 0) {
      out.printf(
          Locale.ROOT,
          "%n%3s  %-8s %-8s %9s %8s %10s %8s %8s %9s %8s%n",
          "s",
          "phase",
          "tenant",
          "requests",
          "refused",
          "slowed ms",
          "p50 us",
          "p99 us",
          "used MiB",
          "max MiB");
    }
    out.printf(
        Locale.ROOT,
        "%3d  %-8s %-8s %9d %8d %10d %8d %8d %9s %8s%n",
        tick.second(),
        tick.phase(),
        tick.tenant(),
        tick.requests(),
        tick.refused(),
        tick.throttledMillis(),
        tick.p50Micros(),
        tick.p99Micros(),
        ByteSize.mib(tick.usageBytes()),
        ByteSize.mib(tick.maxBytes()));
    out.flush();
  }

  /** The table at the end. */
  void table(List<Row> rows) {
    if (!json) {
      out.printf(
          Locale.ROOT,
          "%n%-8s %9s %8s %10s %8s %8s %9s %8s %7s %11s%n",
          "tenant",
          "requests",
          "refused",
          "slowed ms",
          "p50 us",
          "p99 us",
          "peak MiB",
          "max MiB",
          "leaks",
          "leaked KiB");
    }
    for (Row row : rows) {
      if (json) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("tenant", row.tenant());
        fields.put("requests", row.requests());
        fields.put("refused", row.refused());
        fields.put("throttledMillis", row.throttledMillis());
        fields.put("p50Micros", row.p50Micros());
        fields.put("p99Micros", row.p99Micros());
        fields.put("peakBytes", row.peakBytes());
        fields.put("maxBytes", Tenant.limit(row.maxBytes()));
        fields.put("leaks", row.leaks());
        fields.put("leakedBytes", row.leakedBytes());
        line("tenant", fields);
      } else {
        out.printf(
            Locale.ROOT,
            "%-8s %9d %8d %10d %8d %8d %9s %8s %7d %11d%n",
            row.tenant(),
            row.requests(),
            row.refused(),
            row.throttledMillis(),
            row.p50Micros(),
            row.p99Micros(),
            ByteSize.mib(row.peakBytes()),
            ByteSize.mib(row.maxBytes()),
            row.leaks(),
            row.leakedBytes() >> 10);
      }
    }
  }

  /** Where leaked memory was allocated. */
  void leak(String tenant, long nrBlocks, long nrBytes, List<String> site) {
    if (json) {
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("tenant", tenant);
      fields.put("blocks", nrBlocks);
      fields.put("bytes", nrBytes);
      fields.put("site", site);
      line("leak", fields);
    } else {
      out.printf(
          Locale.ROOT,
          "leak of %s: %d blocks, %d KiB, allocated at%n%s%n",
          tenant,
          nrBlocks,
          nrBytes >> 10,
          site.stream().map(frame -> "    " + frame).collect(Collectors.joining("\n")));
    }
  }

  /** The steady tenant's latency beside others and alone: judged, but no reason to fail. */
  void ratio(Ratio ratio) {
    if (json) {
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("besideMicros", ratio.besideMicros());
      fields.put("aloneMicros", ratio.aloneMicros());
      fields.put("ratio", rounded(ratio.overall()));
      fields.put("medianBesideMicros", ratio.medianBesideMicros());
      fields.put("medianAloneMicros", ratio.medianAloneMicros());
      fields.put("medianRatio", rounded(ratio.median()));
      fields.put("aim", ratio.aim());
      fields.put("met", ratio.median() <= ratio.aim());
      line("p99", fields);
      return;
    }
    out.printf(
        Locale.ROOT,
        "%np99 of steady beside the others / alone: %d / %d us = %.2f over all requests,"
            + " %d / %d us = %.2f in the median second%n",
        ratio.besideMicros(),
        ratio.aloneMicros(),
        ratio.overall(),
        ratio.medianBesideMicros(),
        ratio.medianAloneMicros(),
        ratio.median());
    out.printf(
        Locale.ROOT,
        "    (aim %.1f in the median second: %s)%n",
        ratio.aim(),
        ratio.median() <= ratio.aim()
            ? "met"
            : "missed; not counted as broken, as a busy machine does that");
  }

  private static double rounded(double ratio) {
    return Math.round(ratio * 100) / 100.0;
  }

  /** Whether a promise was kept. */
  void promise(String promise, boolean kept, String figures) {
    if (json) {
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("promise", promise);
      fields.put("kept", kept);
      fields.put("figures", figures);
      line("promise", fields);
    } else {
      out.printf(Locale.ROOT, "%-6s %s (%s)%n", kept ? "kept" : "BROKEN", promise, figures);
    }
  }

  private void line(String event, Map<String, ?> fields) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("event", event);
    all.putAll(fields);
    byte[] text = Json.encode(all);
    out.write(text, 0, text.length);
    out.write('\n');
    out.flush();
  }
}
