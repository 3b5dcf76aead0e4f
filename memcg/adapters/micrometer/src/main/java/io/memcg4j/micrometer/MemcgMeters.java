package io.memcg4j.micrometer;

import io.micrometer.common.docs.KeyName;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.binder.BaseUnits;
import io.micrometer.core.instrument.docs.MeterDocumentation;
import org.jspecify.annotations.Nullable;

/** The meters that {@link MemcgMetrics} binds. */
public enum MemcgMeters implements MeterDocumentation {
  /** What the group and everything below it is charged. */
  USAGE("memcg.usage", Meter.Type.GAUGE, BaseUnits.BYTES, "What the group is charged"),

  /** The group's limit; infinite if it has none. Not for the row of other groups. */
  MAX("memcg.max", Meter.Type.GAUGE, BaseUnits.BYTES, "Limit of the group"),

  /** Where the group is slowed; infinite if nowhere. Not for the row of other groups. */
  HIGH("memcg.high", Meter.Type.GAUGE, BaseUnits.BYTES, "Usage above which the group is slowed"),

  /** The highest usage so far. Not for the row of other groups. */
  PEAK("memcg.peak", Meter.Type.GAUGE, BaseUnits.BYTES, "Highest usage so far"),

  /** Requests that wait below the group's limit. */
  WAITING("memcg.waiting", Meter.Type.GAUGE, "requests", "Requests that wait for memory"),

  /** What the group uses memory for, by class of memory. */
  STAT("memcg.stat", Meter.Type.GAUGE, BaseUnits.BYTES, "What the group uses memory for") {
    @Override
    public KeyName[] getKeyNames() {
      return new KeyName[] {Key.GROUP, Key.CLASS};
    }
  },

  /** How often limits were met and what was done, by event. */
  EVENTS("memcg.events", Meter.Type.COUNTER, BaseUnits.EVENTS, "How often limits were met") {
    @Override
    public KeyName[] getKeyNames() {
      return new KeyName[] {Key.GROUP, Key.EVENT};
    }
  },

  /** What the group's shrinkers gave back. */
  RECLAIMED("memcg.reclaimed", Meter.Type.COUNTER, BaseUnits.BYTES, "What shrinkers gave back");

  /** The tags of the meters. */
  public enum Key implements KeyName {
    /** Path of the group, or {@link MemcgMetrics#OTHER}. */
    GROUP("group"),
    /**
     * {@code low}, {@code high}, {@code max}, {@code oom}, {@code oom_kill}, {@code
     * oom_group_kill}.
     */
    EVENT("event"),
    /** The {@linkplain io.memcg4j.memcg.MemoryClass#key class of memory}. */
    CLASS("class");

    private final String key;

    Key(String key) {
      this.key = key;
    }

    @Override
    public String asString() {
      return key;
    }
  }

  private final String name;
  private final Meter.Type type;
  private final String baseUnit;
  private final String description;

  MemcgMeters(String name, Meter.Type type, String baseUnit, String description) {
    this.name = name;
    this.type = type;
    this.baseUnit = baseUnit;
    this.description = description;
  }

  @Override
  public String getName() {
    return name;
  }

  @Override
  public Meter.Type getType() {
    return type;
  }

  @Override
  public @Nullable String getBaseUnit() {
    return baseUnit;
  }

  @Override
  public KeyName[] getKeyNames() {
    return new KeyName[] {Key.GROUP};
  }

  /**
   * One line for the registry.
   *
   * @return not empty
   */
  public String description() {
    return description;
  }
}
