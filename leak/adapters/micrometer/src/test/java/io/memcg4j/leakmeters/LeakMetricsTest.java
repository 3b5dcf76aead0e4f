package io.memcg4j.leakmeters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Meters show what scans found, by group, and nothing that is not documented. */
final class LeakMetricsTest {
  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final Kmemleak kmemleak =
      Kmemleak.builder(kmalloc).withoutJavaHeap().minAge(Duration.ZERO).build();
  private final MeterRegistry registry = new SimpleMeterRegistry();
  private final List<Long> leaked = new ArrayList<>();

  @AfterEach
  void close() {
    leaked.forEach(kmalloc::free);
    kmalloc.close();
  }

  private void leak(String group, int nrBlocks) {
    try (Scope scope = ObjCgroup.of(root.create(group)).enter()) {
      for (int i = 0; i < nrBlocks; i++) {
        leaked.add(kmalloc.allocate(64));
      }
    }
  }

  private double gauge(String name, String... tags) {
    return registry.get(name).tags(tags).gauge().value();
  }

  private double counter(String name) {
    return registry.get(name).functionCounter().count();
  }

  @Test
  void bindTo_showsEachFigure() {
    leak("acme", 3);
    leak("globex", 1);
    kmemleak.register(1 << 20, 4096, "foreign");
    try (LeakMetrics metrics = new LeakMetrics(kmemleak)) {
      metrics.bindTo(registry);
      assertEquals(0, counter("memcg.leak.scans"));
      kmemleak.scan();
      kmemleak.scan();
      assertEquals(2, counter("memcg.leak.scans"));
      assertEquals(4, counter("memcg.leak.reported"));
      assertEquals(5, gauge("memcg.leak.allocated"));
      assertTrue(gauge("memcg.leak.scan.time") > 0);
      assertEquals(0, gauge("memcg.leak.scan.pause"), "the Java heap is not read");
      assertEquals(1, gauge("memcg.leak.on"));
      metrics.refresh();
      assertEquals(192, gauge("memcg.leak.bytes", "group", "/acme"));
      assertEquals(3, gauge("memcg.leak.blocks", "group", "/acme"));
      assertEquals(64, gauge("memcg.leak.bytes", "group", "/globex"));
      kmalloc.free(leaked.removeLast());
      kmemleak.scan();
      metrics.refresh();
      assertEquals(4, counter("memcg.leak.reported"), "each block once");
      assertEquals(
          Set.of("/acme"),
          registry.find("memcg.leak.bytes").gauges().stream()
              .map(found -> found.getId().getTag("group"))
              .collect(Collectors.toSet()));
      kmemleak.off();
      assertEquals(0, gauge("memcg.leak.on"));
    }
    assertEquals(List.of(), registry.getMeters());
  }

  @Test
  void refresh_moreGroupsThanAskedFor_sumsUpTheOthers() {
    leak("a", 4);
    leak("b", 2);
    leak("c", 1);
    kmemleak.scan();
    kmemleak.scan();
    try (LeakMetrics metrics = new LeakMetrics(kmemleak, 1, Tags.of("app", "shop"))) {
      metrics.bindTo(registry);
      assertEquals(256, gauge("memcg.leak.bytes", "group", "/a", "app", "shop"));
      assertEquals(192, gauge("memcg.leak.bytes", "group", LeakMetrics.OTHER));
      assertEquals(3, gauge("memcg.leak.blocks", "group", LeakMetrics.OTHER));
    }
    assertThrows(IllegalArgumentException.class, () -> new LeakMetrics(kmemleak, 0, Tags.empty()));
  }

  @Test
  void prometheus_scrapeText() {
    PrometheusMeterRegistry prometheus = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    leak("acme", 2);
    kmemleak.scan();
    kmemleak.scan();
    try (LeakMetrics metrics = new LeakMetrics(kmemleak)) {
      metrics.bindTo(prometheus);
      metrics.bindTo(prometheus);
      String text = prometheus.scrape();
      for (String line :
          List.of(
              "memcg_leak_bytes{group=\"/acme\"} 128.0",
              "memcg_leak_blocks{group=\"/acme\"} 2.0",
              "memcg_leak_scans_total 2.0",
              "memcg_leak_reported_blocks_total 2.0")) {
        assertTrue(text.contains(line), () -> line + " in " + text);
      }
    }
    assertFalse(prometheus.scrape().contains("memcg_leak"));
  }

  @Test
  void documentation_isOfWhatIsBound() {
    leak("acme", 1);
    kmemleak.scan();
    kmemleak.scan();
    try (LeakMetrics metrics = new LeakMetrics(kmemleak)) {
      metrics.bindTo(registry);
      assertEquals(
          Arrays.stream(LeakMeters.values()).map(LeakMeters::getName).collect(Collectors.toSet()),
          registry.getMeters().stream()
              .map(meter -> meter.getId().getName())
              .collect(Collectors.toSet()));
      for (LeakMeters documented : LeakMeters.values()) {
        Meter bound = registry.get(documented.getName()).meter();
        assertEquals(documented.getType(), bound.getId().getType(), documented::getName);
        assertEquals(documented.getBaseUnit(), bound.getId().getBaseUnit(), documented::getName);
        assertEquals(documented.description(), bound.getId().getDescription());
        assertEquals(documented.getKeyNames().length, bound.getId().getTags().size());
      }
    }
  }
}
