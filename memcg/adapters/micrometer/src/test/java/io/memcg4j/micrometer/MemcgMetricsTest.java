package io.memcg4j.micrometer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.micrometer.common.docs.KeyName;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/**
 * Meters show what groups count, for as long as the groups are there, and no more than asked for.
 */
final class MemcgMetricsTest {
  private static final int MIB = 1 << 20;

  private final MemCgroup root = MemCgroup.root();
  private final MeterRegistry registry = new SimpleMeterRegistry();

  @Test
  void bindTo_showsEachFigure() {
    MemCgroup group = root.create("a");
    group.setMax(8 * MIB);
    group.setHigh(6 * MIB);
    Charge heap = group.charge("test", MemoryClass.HEAP);
    heap.set(4 * MIB);
    heap.set(2 * MIB);
    assertFalse(heap.trySet(9 * MIB));
    root.flush();
    try (MemcgMetrics metrics = new MemcgMetrics(root)) {
      metrics.bindTo(registry);
      assertEquals(2 * MIB, gauge("memcg.usage", "group", "/a"));
      assertEquals(8 * MIB, gauge("memcg.max", "group", "/a"));
      assertEquals(6 * MIB, gauge("memcg.high", "group", "/a"));
      assertEquals(4 * MIB, gauge("memcg.peak", "group", "/a"));
      assertEquals(0, gauge("memcg.waiting", "group", "/a"));
      assertEquals(2 * MIB, gauge("memcg.stat", "group", "/a", "class", "heap"));
      assertEquals(0, gauge("memcg.stat", "group", "/a", "class", "sock"));
      assertEquals(1, counter("memcg.events", "group", "/a", "event", "max"));
      assertEquals(1, counter("memcg.events", "group", "/a", "event", "oom"));
      assertEquals(0, counter("memcg.events", "group", "/a", "event", "oom_kill"));
      assertEquals(0, counter("memcg.reclaimed", "group", "/a"));
      assertEquals(2 * MIB, gauge("memcg.usage", "group", "/"));
      assertEquals(Double.POSITIVE_INFINITY, gauge("memcg.max", "group", "/"));
      assertEquals(Double.POSITIVE_INFINITY, gauge("memcg.high", "group", "/"));
      heap.set(3 * MIB);
      assertEquals(3 * MIB, gauge("memcg.usage", "group", "/a")); // without a refresh
    }
    assertEquals(List.of(), registry.getMeters());
  }

  @Test
  void prometheus_scrapeText() {
    PrometheusMeterRegistry prometheus = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    MemCgroup group = root.create("acme");
    group.setMax(4 * MIB);
    Charge charge = group.charge("test", MemoryClass.FOREIGN);
    charge.set(MIB);
    assertFalse(charge.trySet(5 * MIB));
    root.flush();
    try (MemcgMetrics metrics = new MemcgMetrics(root, 10, Tags.of("app", "shop"))) {
      metrics.bindTo(prometheus);
      String text = prometheus.scrape();
      for (String line :
          List.of(
              "memcg_usage_bytes{app=\"shop\",group=\"/acme\"} 1048576.0",
              "memcg_max_bytes{app=\"shop\",group=\"/acme\"} 4194304.0",
              "memcg_max_bytes{app=\"shop\",group=\"/\"} +Inf",
              "memcg_high_bytes{app=\"shop\",group=\"/acme\"} +Inf",
              "memcg_peak_bytes{app=\"shop\",group=\"/acme\"} 1048576.0",
              "memcg_waiting_requests{app=\"shop\",group=\"/acme\"} 0.0",
              "memcg_stat_bytes{app=\"shop\",class=\"foreign\",group=\"/acme\"} 1048576.0",
              "memcg_events_total{app=\"shop\",event=\"max\",group=\"/acme\"} 1.0",
              "memcg_reclaimed_bytes_total{app=\"shop\",group=\"/acme\"} 0.0",
              "memcg_usage_bytes{app=\"shop\",group=\"(other)\"} 0.0",
              "# TYPE memcg_events_total counter",
              "# TYPE memcg_usage_bytes gauge")) {
        assertTrue(text.lines().anyMatch(line::equals), () -> line + " in\n" + text);
      }
    }
    assertEquals("", prometheus.scrape().trim());
  }

  @Test
  void refresh_thousandGroupsComeAndGo_registryIsAsBefore() {
    try (MemcgMetrics metrics = new MemcgMetrics(root, 20, Tags.empty())) {
      metrics.bindTo(registry);
      Set<Meter.Id> before = ids();
      for (int round = 0; round < 3; round++) {
        List<MemCgroup> groups = new ArrayList<>();
        List<Charge> charges = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
          MemCgroup group = root.create("tenant" + i);
          groups.add(group);
          Charge charge = group.charge("test", MemoryClass.HEAP);
          charge.set((i + 1L) * MemCgroup.PAGE_SIZE);
          charges.add(charge);
          if (i % 100 == 0) {
            metrics.refresh();
            assertTrue(shownGroups().size() <= 21, () -> "shown=" + shownGroups());
          }
        }
        metrics.refresh();
        assertEquals(21, shownGroups().size());
        assertTrue(shownGroups().contains("/tenant999"));
        assertEquals((double) root.usage(), gauge("memcg.usage", "group", "/"));
        double sum =
            registry.find("memcg.usage").gauges().stream().mapToDouble(g -> g.value()).sum();
        assertEquals(2.0 * root.usage(), sum); // the root, and everything below it once
        charges.forEach(Charge::close);
        groups.forEach(MemCgroup::remove);
        metrics.refresh();
        assertEquals(before, ids());
      }
    }
    assertEquals(List.of(), registry.getMeters());
  }

  @Test
  void refresh_largestAreShown_withTheirParents() {
    for (String tenant : List.of("a", "b", "c")) {
      MemCgroup parent = root.create(tenant);
      parent.create("x");
      parent.create("y");
    }
    Charge small = charge("/a/x", MIB);
    Charge large = charge("/b/y", 8 * MIB);
    charge("/b/x", 2 * MIB);
    try (MemcgMetrics metrics = new MemcgMetrics(root, 3, Tags.empty())) {
      metrics.bindTo(registry);
      assertEquals(Set.of("/", "/b", "/b/y", "(other)"), shownGroups());
      assertEquals(3 * MIB, gauge("memcg.usage", "group", "(other)"));
      assertEquals(3 * MIB, gauge("memcg.stat", "group", "(other)", "class", "heap"));
      small.set(16 * MIB);
      metrics.refresh();
      assertEquals(Set.of("/", "/a", "/a/x", "(other)"), shownGroups());
      assertEquals(10 * MIB, gauge("memcg.usage", "group", "(other)"));
      large.set(15 * MIB); // with /b/x 17 MiB, so larger than /a, but not by much
      metrics.refresh();
      assertEquals(Set.of("/", "/a", "/a/x", "(other)"), shownGroups());
    }
  }

  @Test
  void refresh_hiddenGroupIsRemoved_whatItCountedIsKept() {
    root.create("large");
    charge("/large", 8 * MIB);
    try (MemcgMetrics metrics = new MemcgMetrics(root, 2, Tags.empty())) {
      metrics.bindTo(registry);
      MemCgroup small = root.create("small");
      small.setMax(0);
      Charge refused = small.charge("test", MemoryClass.HEAP);
      assertFalse(refused.trySet(1));
      metrics.refresh();
      assertEquals(Set.of("/", "/large", "(other)"), shownGroups());
      assertFalse(refused.trySet(1));
      long nrRefusals = small.events().max();
      assertTrue(nrRefusals >= 2);
      refused.close();
      small.remove();
      for (int i = 0; i < 3; i++) {
        metrics.refresh();
        assertEquals(
            (double) nrRefusals, counter("memcg.events", "group", "(other)", "event", "max"));
      }
    }
  }

  @Test
  void refresh_groupWithPathOfARemovedOne_isShownAnew() {
    MemCgroup first = root.create("a");
    first.setMax(MIB);
    try (MemcgMetrics metrics = new MemcgMetrics(root)) {
      metrics.bindTo(registry);
      first.remove();
      assertEquals(Double.NaN, gauge("memcg.max", "group", "/a"));
      root.create("a").setMax(2 * MIB);
      metrics.refresh();
      assertEquals(2 * MIB, gauge("memcg.max", "group", "/a"));
      assertEquals(Set.of("/", "/a", "(other)"), shownGroups());
    }
  }

  @Test
  void otherEvents_onlyRise() {
    List<MemCgroup> groups = List.of(root.create("a"), root.create("b"));
    List<Charge> charges = new ArrayList<>();
    groups.forEach(group -> charges.add(group.charge("test", MemoryClass.HEAP)));
    groups.forEach(group -> group.setMax(8 * MIB));
    charges.get(0).set(MIB);
    try (MemcgMetrics metrics = new MemcgMetrics(root, 2, Tags.empty())) {
      metrics.bindTo(registry);
      assertEquals(Set.of("/", "/a", "(other)"), shownGroups());
      assertFalse(charges.get(0).trySet(9 * MIB));
      assertFalse(charges.get(1).trySet(9 * MIB));
      assertFalse(charges.get(1).trySet(9 * MIB));
      metrics.refresh();
      assertEquals(1, counter("memcg.events", "group", "/a", "event", "max"));
      assertEquals(2, counter("memcg.events", "group", "(other)", "event", "max"));
      charges.get(1).set(4 * MIB);
      metrics.refresh(); // b comes, a goes: what a counted is in its own row
      assertEquals(Set.of("/", "/b", "(other)"), shownGroups());
      assertEquals(2, counter("memcg.events", "group", "(other)", "event", "max"));
      assertFalse(charges.get(0).trySet(9 * MIB));
      metrics.refresh();
      assertEquals(3, counter("memcg.events", "group", "(other)", "event", "max"));
      charges.get(0).close();
      groups.get(0).remove();
      metrics.refresh();
      assertEquals(3, counter("memcg.events", "group", "(other)", "event", "max"));
    }
  }

  @Test
  void bindTo_twoRegistries_eachOnce() {
    MeterRegistry second = new SimpleMeterRegistry();
    try (MemcgMetrics metrics = new MemcgMetrics(root)) {
      metrics.bindTo(registry);
      metrics.bindTo(registry);
      metrics.bindTo(second);
      root.create("a");
      metrics.refresh();
      assertEquals(registry.getMeters().size(), second.getMeters().size());
      assertTrue(shownGroups().contains("/a"));
    }
    assertEquals(List.of(), registry.getMeters());
    assertEquals(List.of(), second.getMeters());
    assertThrows(IllegalArgumentException.class, () -> new MemcgMetrics(root, 0, Tags.empty()));
  }

  @Test
  void bindTo_binderIsForgotten_metersStay() {
    charge("/", MIB);
    WeakReference<MemcgMetrics> forgotten = bindAndForget();
    for (int i = 0; i < 10 && forgotten.get() != null; i++) {
      System.gc();
    }
    assertEquals(MIB, gauge("memcg.usage", "group", "/"));
    assertEquals(0, gauge("memcg.usage", "group", "(other)"));
    assertEquals(0, counter("memcg.events", "group", "(other)", "event", "max"));
  }

  private WeakReference<MemcgMetrics> bindAndForget() {
    MemcgMetrics metrics = new MemcgMetrics(root);
    metrics.bindTo(registry);
    return new WeakReference<>(metrics);
  }

  @Test
  void meters_areAsDocumented() {
    root.create("a");
    try (MemcgMetrics metrics = new MemcgMetrics(root)) {
      metrics.bindTo(registry);
      for (Meter meter : registry.getMeters()) {
        MemcgMeters documented =
            Arrays.stream(MemcgMeters.values())
                .filter(candidate -> candidate.getName().equals(meter.getId().getName()))
                .findFirst()
                .orElseThrow();
        assertEquals(documented.getType(), meter.getId().getType());
        assertEquals(documented.getBaseUnit(), meter.getId().getBaseUnit());
        assertEquals(documented.description(), meter.getId().getDescription());
        Set<String> keys = new HashSet<>();
        for (KeyName key : documented.getKeyNames()) {
          keys.add(key.asString());
        }
        Set<String> tags = new HashSet<>();
        meter.getId().getTags().forEach(tag -> tags.add(tag.getKey()));
        assertEquals(keys, tags);
      }
    }
  }

  @Test
  void refresh_whileGroupsComeAndGo_leavesNoMeters() throws InterruptedException {
    AtomicBoolean done = new AtomicBoolean();
    try (MemcgMetrics metrics = new MemcgMetrics(root, 5, Tags.empty())) {
      metrics.bindTo(registry);
      Set<Meter.Id> before = ids();
      Thread other =
          Thread.ofPlatform()
              .start(() -> {
                for (int i = 0; i < 5000; i++) {
                  MemCgroup group = root.create("g" + i % 7);
                  group.create("x").remove();
                  group.remove();
                }
                done.set(true);
              });
      while (!done.get()) {
        metrics.refresh();
        assertTrue(shownGroups().size() <= 6);
      }
      other.join();
      metrics.refresh();
      assertEquals(before, ids());
    }
  }

  private Charge charge(String path, long nrBytes) {
    MemCgroup group = root.find(path);
    Charge charge = (group == null ? root : group).charge("test", MemoryClass.HEAP);
    charge.set(nrBytes);
    root.flush();
    return charge;
  }

  private Set<Meter.Id> ids() {
    Set<Meter.Id> ids = new HashSet<>();
    registry.getMeters().forEach(meter -> ids.add(meter.getId()));
    return ids;
  }

  private Set<String> shownGroups() {
    Set<String> groups = new HashSet<>();
    for (Meter meter : registry.getMeters()) {
      groups.add(String.valueOf(meter.getId().getTag("group")));
    }
    return groups;
  }

  private double gauge(String name, String... tags) {
    return registry.get(name).tags(tags).gauge().value();
  }

  private double counter(String name, String... tags) {
    return registry.get(name).tags(tags).functionCounter().count();
  }
}
