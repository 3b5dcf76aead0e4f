package io.memcg4j.leakmeters;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakSuspect;
import io.memcg4j.leak.ScanTotals;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.ToDoubleFunction;

/**
 * Meters of one scanner, see {@link LeakMeters}. Nothing here scans: they show what the last scan
 * found, whoever ran it.
 *
 * <p>Groups are shown as of the last {@link #refresh}, the leakiest ones, others summed up under
 * {@link #OTHER}: call it after a scan, from a scheduled task or before each scrape. The other
 * meters are always up to date. Two scanners in one registry need {@code extraTags} to tell them
 * apart. Thread-safe. The registry keeps the scanner alive until {@link #close}.
 */
public final class LeakMetrics implements MeterBinder, AutoCloseable {
  /** Value of the tag {@code group} for the groups that are not shown; no path starts like this. */
  public static final String OTHER = "(other)";

  /** Groups shown if nothing else is asked for. */
  public static final int DEFAULT_MAX_GROUPS = 50;

  private static final String NOBODY = "-";
  private static final double NANOS_PER_SECOND = 1e9;

  private final Kmemleak kmemleak;
  private final int maxGroups;
  private final Tags extraTags;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<MeterRegistry, Bound> registries = new HashMap<>();

  private record Bound(List<Meter> meters, MultiGauge bytes, MultiGauge blocks) {}

  private record Leaked(String group, long nrBytes, long nrBlocks) {
    Leaked plus(Leaked other) {
      return new Leaked(group, nrBytes + other.nrBytes, nrBlocks + other.nrBlocks);
    }
  }

  /**
   * Meters of a scanner.
   *
   * @param kmemleak the scanner
   */
  public LeakMetrics(Kmemleak kmemleak) {
    this(kmemleak, DEFAULT_MAX_GROUPS, Tags.empty());
  }

  /**
   * Meters of a scanner.
   *
   * @param kmemleak the scanner
   * @param maxGroups most groups that are shown, at least 1, without {@link #OTHER}
   * @param extraTags for all meters
   * @throws IllegalArgumentException if {@code maxGroups} is out of range
   */
  public LeakMetrics(Kmemleak kmemleak, int maxGroups, Iterable<Tag> extraTags) {
    if (maxGroups < 1) {
      throw new IllegalArgumentException(
          "number of groups out of range: maxGroups="
              + maxGroups
              + " legal=1.."
              + Integer.MAX_VALUE);
    }
    this.kmemleak = kmemleak;
    this.maxGroups = maxGroups;
    this.extraTags = Tags.of(extraTags);
  }

  /** Registers the meters. A second time for a registry: nothing. */
  @Override
  public void bindTo(MeterRegistry registry) {
    lock.lock();
    try {
      if (registries.containsKey(registry)) {
        return;
      }
      List<Meter> meters = new ArrayList<>();
      meters.add(counter(registry, LeakMeters.REPORTED, ScanTotals::nrReported));
      meters.add(counter(registry, LeakMeters.SCANS, ScanTotals::nrScans));
      meters.add(
          gauge(registry, LeakMeters.SCAN_TIME, of -> seconds(of.totals().last().scanNanos())));
      meters.add(
          gauge(
              registry,
              LeakMeters.PAUSE,
              of -> seconds(of.totals().last().heapRoots().dumpNanos())));
      meters.add(gauge(registry, LeakMeters.ALLOCATED, of -> of.totals().last().nrBlocks()));
      meters.add(gauge(registry, LeakMeters.ON, of -> of.isOn() ? 1 : 0));
      registries.put(
          registry,
          new Bound(meters, multi(registry, LeakMeters.BYTES), multi(registry, LeakMeters.BLOCKS)));
      refresh();
    } finally {
      lock.unlock();
    }
  }

  /** Shows the groups of the last scan, in all registries. Cost: a look at each suspect. */
  public void refresh() {
    lock.lock();
    try {
      List<Leaked> groups = groups();
      registries
          .values()
          .forEach(bound -> {
            bound.bytes.register(rows(groups, Leaked::nrBytes), true);
            bound.blocks.register(rows(groups, Leaked::nrBlocks), true);
          });
    } finally {
      lock.unlock();
    }
  }

  /** Removes all meters from all registries. It can be bound again. */
  @Override
  public void close() {
    lock.lock();
    try {
      registries.forEach((registry, bound) -> {
        bound.meters.forEach(registry::remove);
        bound.bytes.register(List.of(), true);
        bound.blocks.register(List.of(), true);
      });
      registries.clear();
    } finally {
      lock.unlock();
    }
  }

  /** The leakiest groups first; the others as one at the end. */
  private List<Leaked> groups() {
    Map<String, Leaked> byGroup = new TreeMap<>();
    for (LeakSuspect suspect : kmemleak.totals().last().suspects()) {
      String group = suspect.cgroup().isEmpty() ? NOBODY : suspect.cgroup();
      byGroup.merge(group, new Leaked(group, suspect.nrBytes(), 1), Leaked::plus);
    }
    List<Leaked> sorted = new ArrayList<>(byGroup.values());
    sorted.sort(Comparator.comparingLong(Leaked::nrBytes).reversed());
    if (sorted.size() <= maxGroups) {
      return sorted;
    }
    Leaked others = new Leaked(OTHER, 0, 0);
    for (Leaked hidden : sorted.subList(maxGroups, sorted.size())) {
      others = others.plus(hidden);
    }
    List<Leaked> shown = new ArrayList<>(sorted.subList(0, maxGroups));
    shown.add(others);
    return shown;
  }

  private static List<MultiGauge.Row<?>> rows(List<Leaked> groups, ToDoubleFunction<Leaked> of) {
    List<MultiGauge.Row<?>> rows = new ArrayList<>();
    for (Leaked group : groups) {
      double value = of.applyAsDouble(group);
      rows.add(
          MultiGauge.Row.of(Tags.of(LeakMeters.Key.GROUP.asString(), group.group), () -> value));
    }
    return rows;
  }

  private MultiGauge multi(MeterRegistry registry, LeakMeters meter) {
    return MultiGauge.builder(meter.getName())
        .tags(extraTags)
        .baseUnit(meter.getBaseUnit())
        .description(meter.description())
        .register(registry);
  }

  private Meter gauge(MeterRegistry registry, LeakMeters meter, ToDoubleFunction<Kmemleak> of) {
    return Gauge.builder(meter.getName(), kmemleak, of)
        .strongReference(true)
        .tags(extraTags)
        .baseUnit(meter.getBaseUnit())
        .description(meter.description())
        .register(registry);
  }

  private Meter counter(MeterRegistry registry, LeakMeters meter, ToDoubleFunction<ScanTotals> of) {
    // The function holds the scanner: the registry holds the object beside it only weakly.
    Kmemleak scanner = kmemleak;
    return FunctionCounter.builder(
            meter.getName(), scanner, _ -> of.applyAsDouble(scanner.totals()))
        .tags(extraTags)
        .baseUnit(meter.getBaseUnit())
        .description(meter.description())
        .register(registry);
  }

  private static double seconds(long nanos) {
    return nanos / NANOS_PER_SECOND;
  }
}
