package io.memcg4j.examples.server;

import io.memcg4j.examples.server.RequestCounters.Counter;
import io.memcg4j.memcg.MemCgroup;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;

/** One tenant of the demo: its load, and its figures by second and by phase. */
final class DemoTenant {
  private static final int SIGNIFICANT_DIGITS = 3;

  /** What happened within a phase; the phase may come more than once. */
  private static final class Sums {
    final Histogram latencies = new Histogram(SIGNIFICANT_DIGITS);
    final List<Long> p99Micros = new ArrayList<>();
    long requests;
    long refused;
    long throttledMillis;
  }

  private final Load load;
  private final Tenant tenant;
  private final Map<String, Sums> phases = new HashMap<>();
  private @Nullable Histogram interval;
  private long lastRequests;
  private long lastRefused;
  private long lastThrottledMillis;

  DemoTenant(Load load, Tenant tenant) {
    this.load = load;
    this.tenant = tenant;
  }

  Load load() {
    return load;
  }

  TenantClient client() {
    return load.client();
  }

  MemCgroup group() {
    return tenant.group();
  }

  /** What happened since the last look. */
  DemoOutput.Tick look(int second, String phase) {
    Histogram now = client().latencies().getIntervalHistogram(interval);
    interval = now;
    long requests = client().nrRequests();
    long refused = client().nrRefused();
    long throttled = TimeUnit.NANOSECONDS.toMillis(tenant.counters().sum(Counter.THROTTLED_NANOS));
    DemoOutput.Tick tick =
        new DemoOutput.Tick(
            second,
            phase,
            client().tenant(),
            requests - lastRequests,
            refused - lastRefused,
            throttled - lastThrottledMillis,
            now.getValueAtPercentile(50),
            now.getValueAtPercentile(99),
            group().usage(),
            group().max());
    lastRequests = requests;
    lastRefused = refused;
    lastThrottledMillis = throttled;
    Sums sums = phases.computeIfAbsent(phase, _ -> new Sums());
    sums.latencies.add(now);
    sums.p99Micros.add(tick.p99Micros());
    sums.requests += tick.requests();
    sums.refused += tick.refused();
    sums.throttledMillis += tick.throttledMillis();
    return tick;
  }

  /** What happened within a phase. */
  DemoOutput.Row row(String phase, long nrLeaks, long leakedBytes) {
    Sums sums = phases.getOrDefault(phase, new Sums());
    return new DemoOutput.Row(
        client().tenant(),
        sums.requests,
        sums.refused,
        sums.throttledMillis,
        sums.latencies.getValueAtPercentile(50),
        sums.latencies.getValueAtPercentile(99),
        group().peak(),
        group().max(),
        nrLeaks,
        leakedBytes);
  }

  /** Of all requests of a phase. */
  long p99Micros(String phase) {
    return phases.getOrDefault(phase, new Sums()).latencies.getValueAtPercentile(99);
  }

  /**
   * The median of what the seconds of a phase had each: what a hiccup of the machine changes less.
   */
  long medianP99Micros(String phase) {
    List<Long> sorted = new ArrayList<>(phases.getOrDefault(phase, new Sums()).p99Micros);
    Collections.sort(sorted);
    int size = sorted.size();
    return size == 0 ? 0 : (sorted.get((size - 1) / 2) + sorted.get(size / 2)) / 2;
  }
}
