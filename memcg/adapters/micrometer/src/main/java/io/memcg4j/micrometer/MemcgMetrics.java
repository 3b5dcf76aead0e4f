package io.memcg4j.micrometer;

import io.memcg4j.memcg.GroupRanking;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleSupplier;

/**
 * Meters of the groups of a subtree, see {@link MemcgMeters}. At most so many groups are shown at
 * once, the largest ones with their parents; the others are summed up under {@link #OTHER}.
 *
 * <p>Charges pay nothing: meters read what the groups count anyway. Which groups are shown, and the
 * sum of the others, change only in {@link #refresh}: call it from a scheduled task, or before each
 * scrape. Meters of a removed group stay until then; its gauges show NaN.
 *
 * <p>Two trees in one registry need {@code extraTags} to tell them apart. Any thread. The registry
 * keeps what it shows alive until {@link #close}.
 */
public final class MemcgMetrics implements MeterBinder, AutoCloseable {
  /*
   * Invariant  per registry: one row of meters for each group of shown, and one for the others. Rows
   *            of groups that go are removed before new ones are registered: a new group may have
   *            the path of a removed one, and a registry hands out the old meter for an old id.
   *            Registries hold the objects behind their meters weakly; a meter's function holds
   *            its row here, so a row lives as long as its meter.
   * Locks      lock, over all changes. Reads of meters take none.
   */

  /** Value of the tag {@code group} for the groups that are not shown; no path starts like this. */
  public static final String OTHER = "(other)";

  /** Groups shown if nothing else is asked for. */
  public static final int DEFAULT_MAX_GROUPS = 50;

  private final MemCgroup top;
  private final int maxGroups;
  private final Tags extraTags;
  private final ReentrantLock lock = new ReentrantLock();
  private final OtherGroups others = new OtherGroups();
  private final Map<MeterRegistry, Rows> registries = new HashMap<>();
  private Set<MemCgroup> shown = Set.of();

  /** The meters in one registry. */
  private record Rows(Map<MemCgroup, List<Meter>> ofGroups, List<Meter> ofOthers) {}

  /**
   * Meters of a group and everything below it.
   *
   * @param top usually the root of a tree
   */
  public MemcgMetrics(MemCgroup top) {
    this(top, DEFAULT_MAX_GROUPS, Tags.empty());
  }

  /**
   * Meters of a group and everything below it.
   *
   * @param top usually the root of a tree
   * @param maxGroups most groups that are shown at once, at least 1, without {@link #OTHER}
   * @param extraTags for all meters
   * @throws IllegalArgumentException if {@code maxGroups} is out of range
   */
  public MemcgMetrics(MemCgroup top, int maxGroups, Iterable<Tag> extraTags) {
    if (maxGroups < 1) {
      throw new IllegalArgumentException(
          "number of groups out of range: maxGroups="
              + maxGroups
              + " legal=1.."
              + Integer.MAX_VALUE);
    }
    this.top = top;
    this.maxGroups = maxGroups;
    this.extraTags = Tags.of(extraTags);
  }

  /** Registers the meters of the groups that there are. A second time for a registry: nothing. */
  @Override
  public void bindTo(MeterRegistry registry) {
    lock.lock();
    try {
      if (registries.containsKey(registry)) {
        return;
      }
      registries.put(registry, new Rows(new HashMap<>(), bindOthers(registry)));
      refresh();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Chooses anew which groups are shown; adds and removes meters accordingly, in all registries.
   * Cost: the children of groups that are shown.
   */
  public void refresh() {
    lock.lock();
    try {
      if (registries.isEmpty()) {
        return;
      }
      GroupRanking ranking = GroupRanking.of(top, maxGroups, shown);
      registries.forEach((registry, rows) -> unbind(registry, rows, ranking.shown()));
      others.refresh(ranking.hiddenTops(), shown);
      shown = ranking.shown();
      registries.forEach((registry, rows) ->
          shown.forEach(
              group -> rows.ofGroups().computeIfAbsent(group, g -> bindGroup(registry, g))));
    } finally {
      lock.unlock();
    }
  }

  /** Removes all meters from all registries. It can be bound again. */
  @Override
  public void close() {
    lock.lock();
    try {
      registries.forEach((registry, rows) -> {
        unbind(registry, rows, Set.of());
        rows.ofOthers().forEach(registry::remove);
      });
      registries.clear();
    } finally {
      lock.unlock();
    }
  }

  private static void unbind(MeterRegistry registry, Rows rows, Set<MemCgroup> staying) {
    rows.ofGroups()
        .entrySet()
        .removeIf(row -> {
          if (staying.contains(row.getKey())) {
            return false;
          }
          row.getValue().forEach(registry::remove);
          return true;
        });
  }

  private List<Meter> bindGroup(MeterRegistry registry, MemCgroup group) {
    Binding row = new Binding(registry, extraTags, group.path(), group::isOnline);
    row.gauge(MemcgMeters.USAGE, group::usage);
    row.gauge(MemcgMeters.MAX, () -> Figures.limit(group.max()));
    row.gauge(MemcgMeters.HIGH, () -> Figures.limit(group.high()));
    row.gauge(MemcgMeters.PEAK, group::peak);
    row.gauge(MemcgMeters.WAITING, group::nrWaiting);
    for (MemoryClass memoryClass : MemoryClass.values()) {
      row.stat(memoryClass, () -> Figures.stat(group, memoryClass));
    }
    for (int i = 0; i < Figures.NR_COUNTERS; i++) {
      int index = i;
      row.counter(index, () -> Figures.counter(group, index));
    }
    return row.meters;
  }

  private List<Meter> bindOthers(MeterRegistry registry) {
    Binding row = new Binding(registry, extraTags, OTHER, () -> true);
    row.gauge(MemcgMeters.USAGE, () -> others.sums().usage());
    row.gauge(MemcgMeters.WAITING, () -> others.sums().waiting());
    for (MemoryClass memoryClass : MemoryClass.values()) {
      row.stat(memoryClass, () -> others.sums().stat(memoryClass));
    }
    for (int i = 0; i < Figures.NR_COUNTERS; i++) {
      int index = i;
      row.counter(index, () -> others.sums().counters()[index]);
    }
    return row.meters;
  }

  /** Registers the meters of one row. */
  private static final class Binding {
    final List<Meter> meters = new ArrayList<>();
    private final MeterRegistry registry;
    private final Tags tags;
    private final BooleanSupplier online;

    Binding(MeterRegistry registry, Tags extraTags, String group, BooleanSupplier online) {
      this.registry = registry;
      this.online = online;
      this.tags = extraTags.and(MemcgMeters.Key.GROUP.asString(), group);
    }

    void gauge(MemcgMeters meter, DoubleSupplier figure) {
      gauge(meter, tags, figure);
    }

    void stat(MemoryClass memoryClass, DoubleSupplier figure) {
      Tags ofClass = tags.and(MemcgMeters.Key.CLASS.asString(), memoryClass.key());
      gauge(MemcgMeters.STAT, ofClass, figure);
    }

    private void gauge(MemcgMeters meter, Tags ofMeter, DoubleSupplier figure) {
      DoubleSupplier current = () -> online.getAsBoolean() ? figure.getAsDouble() : Double.NaN;
      meters.add(
          Gauge.builder(meter.getName(), current, DoubleSupplier::getAsDouble)
              .strongReference(true)
              .tags(ofMeter)
              .baseUnit(meter.getBaseUnit())
              .description(meter.description())
              .register(registry));
    }

    void counter(int index, DoubleSupplier figure) {
      boolean isEvent = index < Figures.RECLAIMED;
      MemcgMeters meter = isEvent ? MemcgMeters.EVENTS : MemcgMeters.RECLAIMED;
      // The function holds the figure: the registry holds the object beside it only weakly.
      meters.add(
          FunctionCounter.builder(meter.getName(), figure, _ -> figure.getAsDouble())
              .tags(
                  isEvent
                      ? tags.and(MemcgMeters.Key.EVENT.asString(), Figures.EVENTS[index])
                      : tags)
              .baseUnit(meter.getBaseUnit())
              .description(meter.description())
              .register(registry));
    }
  }
}
