package io.memcg4j.console;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.micrometer.MemcgMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.time.Duration;

/** What Prometheus scrapes: the largest groups, the others summed up. */
final class MetricsResource implements Resource, AutoCloseable {
  private static final String TYPE = "text/plain; version=0.0.4; charset=utf-8";
  private static final Duration MAX_AGE = Duration.ofMillis(500);

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final MemcgMetrics metrics;
  private final Shared<String> scrape;

  MetricsResource(MemCgroup root) {
    metrics = new MemcgMetrics(root);
    scrape =
        new Shared<>(
            MAX_AGE,
            () -> {
              metrics.refresh();
              return registry.scrape();
            });
    metrics.bindTo(registry);
  }

  @Override
  public void get(Request request) throws IOException {
    request.reply(TYPE, scrape.get());
  }

  @Override
  public void close() {
    metrics.close();
    registry.close();
  }
}
