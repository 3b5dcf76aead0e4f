package io.memcg4j.micrometer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * Every name in the dashboard's expressions is in a scrape, with every label that it is asked by.
 */
final class GrafanaDashboardTest {
  private static final Pattern EXPRESSION =
      Pattern.compile("\"(?:expr|query)\": \"((?:[^\"\\\\]|\\\\.)*)\"");
  private static final Pattern METRIC = Pattern.compile("\\bmemcg_\\w+");
  private static final Pattern SELECTOR = Pattern.compile("\\b(memcg_\\w+)\\{([^}]*)}");
  private static final Pattern MATCHER = Pattern.compile("(\\w+)=(~?)\"([^\"]*)\"");
  private static final Pattern SAMPLE =
      Pattern.compile("^(\\w+)(?:\\{(.*)})? \\S+$", Pattern.MULTILINE);
  private static final Pattern BY =
      Pattern.compile("by \\((\\w+)\\)|label_values\\([^,]*, (\\w+)\\)");

  /** What Prometheus itself adds to what it scrapes. */
  private static final Set<String> OF_PROMETHEUS = Set.of("instance", "job");

  private static String dashboard() throws IOException {
    Path folder = Path.of("").toAbsolutePath();
    while (folder != null && !Files.exists(folder.resolve("grafana/memcg4j.json"))) {
      folder = folder.getParent();
    }
    assertTrue(folder != null, "run from the repository");
    return Files.readString(folder.resolve("grafana/memcg4j.json"));
  }

  private static List<String> expressions() throws IOException {
    List<String> found = new ArrayList<>();
    Matcher matcher = EXPRESSION.matcher(dashboard());
    while (matcher.find()) {
      found.add(matcher.group(1).replace("\\\"", "\""));
    }
    return found;
  }

  /** Values of each label, by metric. */
  private static Map<String, Map<String, Set<String>>> scrape() {
    MemCgroup root = MemCgroup.root();
    MemCgroup acme = root.create("acme");
    acme.setMax(1 << 20);
    PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    Map<String, Map<String, Set<String>>> metrics = new HashMap<>();
    try (MemcgMetrics meters = new MemcgMetrics(root);
        Charge charge = acme.charge("x", MemoryClass.HEAP)) {
      meters.bindTo(registry);
      assertFalse(charge.trySet(2 << 20));
      SAMPLE
          .matcher(registry.scrape())
          .results()
          .forEach(sample -> {
            Map<String, Set<String>> labels =
                metrics.computeIfAbsent(sample.group(1), _ -> new HashMap<>());
            if (sample.group(2) != null) {
              for (MatchResult label : MATCHER.matcher(sample.group(2)).results().toList()) {
                labels.computeIfAbsent(label.group(1), _ -> new HashSet<>()).add(label.group(3));
              }
            }
          });
    }
    return metrics;
  }

  @Test
  void metrics_ofAllExpressions_areScraped() throws IOException {
    Set<String> named = new TreeSet<>();
    for (String expression : expressions()) {
      METRIC.matcher(expression).results().forEach(metric -> named.add(metric.group()));
    }
    Set<String> scraped = new TreeSet<>(scrape().keySet());
    assertTrue(named.size() >= MemcgMeters.values().length, () -> "too few found: " + named);
    Set<String> missing = new TreeSet<>(named);
    missing.removeAll(scraped);
    assertEquals(Set.of(), missing, () -> "scraped: " + scraped);
    Set<String> unused = new TreeSet<>(scraped);
    unused.removeAll(named);
    assertEquals(Set.of(), unused, "meters that the dashboard does not show");
  }

  @Test
  void labels_ofAllExpressions_areScrapedWithTheirValues() throws IOException {
    Map<String, Map<String, Set<String>>> metrics = scrape();
    int nrChecked = 0;
    for (String expression : expressions()) {
      for (MatchResult selector : SELECTOR.matcher(expression).results().toList()) {
        for (MatchResult label : MATCHER.matcher(selector.group(2)).results().toList()) {
          String name = label.group(1);
          if (OF_PROMETHEUS.contains(name)) {
            continue;
          }
          Set<String> values = metrics.getOrDefault(selector.group(1), Map.of()).get(name);
          assertTrue(values != null, () -> "no label " + name + " in " + expression);
          if (!label.group(3).contains("$")) {
            for (String value : label.group(3).split("\\|", -1)) {
              assertTrue(values.contains(value), () -> name + "=" + value + " in " + expression);
              nrChecked++;
            }
          }
        }
      }
      for (MatchResult by : BY.matcher(expression).results().toList()) {
        String label = by.group(1) != null ? by.group(1) : by.group(2);
        assertTrue(
            OF_PROMETHEUS.contains(label)
                || METRIC
                    .matcher(expression)
                    .results()
                    .allMatch(metric -> metrics.get(metric.group()).containsKey(label)),
            expression);
      }
    }
    assertTrue(nrChecked > 5, "labels with values");
  }

  @Test
  void dashboard_asksForADatasourceAndNamesNone() throws IOException {
    String text = dashboard();
    assertTrue(text.contains("\"DS_PROMETHEUS\""));
    assertEquals(
        Set.of("${DS_PROMETHEUS}"),
        Pattern.compile("\"uid\": \"(\\$[^\"]*)\"")
            .matcher(text)
            .results()
            .map(uid -> uid.group(1))
            .collect(java.util.stream.Collectors.toSet()));
    List<String> ids =
        Pattern.compile("^      \"id\": (\\d+)", Pattern.MULTILINE)
            .matcher(text)
            .results()
            .map(id -> id.group(1))
            .toList();
    assertTrue(ids.size() > 5);
    assertEquals(ids.size(), new HashSet<>(ids).size(), "panels have numbers of their own");
  }
}
