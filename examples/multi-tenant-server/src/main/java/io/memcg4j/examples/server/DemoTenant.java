package io.memcg4j.examples.server;

import io.memcg4j.examples.server.RequestCounters.Counter;
import io.memcg4j.memcg.MemCgroup;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;

/** One tenant of the demo: its load, and its figures since the last look and since a mark. */
final class DemoTenant {
  private final Load load;
  private final Tenant tenant;
  private final Histogram sinceMark = new Histogram(3);
  private @Nullable Histogram interval;
  private long lastRequests;
  private long lastRefused;
  private long lastThrottledMillis;
  private long markedRequests;
  private long markedRefused;
  private long markedThrottledMillis;

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

  /** Figures count from now on. */
  void mark() {
    take();
    sinceMark.reset();
    markedRequests = client().nrRequests();
    markedRefused = client().nrRefused();
    markedThrottledMillis = throttledMillis();
  }

  /** What happened since the last look. */
  DemoOutput.Tick look(int second, String phase) {
    Histogram now = take();
    long requests = client().nrRequests();
    long refused = client().nrRefused();
    long throttled = throttledMillis();
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
    return tick;
  }

  /** What happened since the mark. */
  DemoOutput.Row row(long nrLeaks, long leakedBytes) {
    take();
    return new DemoOutput.Row(
        client().tenant(),
        client().nrRequests() - markedRequests,
        client().nrRefused() - markedRefused,
        throttledMillis() - markedThrottledMillis,
        sinceMark.getValueAtPercentile(50),
        sinceMark.getValueAtPercentile(99),
        group().peak(),
        group().max(),
        nrLeaks,
        leakedBytes);
  }

  long p99Micros() {
    take();
    return sinceMark.getValueAtPercentile(99);
  }

  private Histogram take() {
    interval = client().latencies().getIntervalHistogram(interval);
    sinceMark.add(interval);
    return interval;
  }

  private long throttledMillis() {
    return TimeUnit.NANOSECONDS.toMillis(tenant.counters().sum(Counter.THROTTLED_NANOS));
  }
}
