package io.memcg4j.leakmeters;

import io.micrometer.common.docs.KeyName;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.binder.BaseUnits;
import io.micrometer.core.instrument.docs.MeterDocumentation;
import org.jspecify.annotations.Nullable;

/** The meters that {@link LeakMetrics} binds. All are of the last scan, or count scans. */
public enum LeakMeters implements MeterDocumentation {
  /** Bytes that the group pays for and that nobody refers to. */
  BYTES("memcg.leak.bytes", Meter.Type.GAUGE, BaseUnits.BYTES, "Leaked bytes of the group") {
    @Override
    public KeyName[] getKeyNames() {
      return new KeyName[] {Key.GROUP};
    }
  },

  /** Blocks of the group that nobody refers to. */
  BLOCKS("memcg.leak.blocks", Meter.Type.GAUGE, "blocks", "Leaked blocks of the group") {
    @Override
    public KeyName[] getKeyNames() {
      return new KeyName[] {Key.GROUP};
    }
  },

  /** Blocks that were reported, each once. */
  REPORTED("memcg.leak.reported", Meter.Type.COUNTER, "blocks", "Blocks reported so far"),

  /** Scans that came to their end. */
  SCANS("memcg.leak.scans", Meter.Type.COUNTER, "scans", "Scans so far"),

  /** How long the last scan took. */
  SCAN_TIME("memcg.leak.scan.time", Meter.Type.GAUGE, "seconds", "Duration of the last scan"),

  /**
   * How long the JVM wrote heap dumps for the last scan: the application stands still meanwhile.
   */
  PAUSE("memcg.leak.scan.pause", Meter.Type.GAUGE, "seconds", "Heap dumps of the last scan"),

  /** Blocks that were allocated at the last scan. */
  ALLOCATED("memcg.leak.allocated", Meter.Type.GAUGE, "blocks", "Blocks at the last scan"),

  /** 1 while scans are possible; 0 after {@code off} and after an internal error. */
  ON("memcg.leak.on", Meter.Type.GAUGE, "scanners", "Whether scans are possible");

  /** The tags of the meters. */
  public enum Key implements KeyName {
    /** Path of the group that pays, or {@link LeakMetrics#OTHER}; {@code -} for nobody. */
    GROUP("group");

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

  LeakMeters(String name, Meter.Type type, String baseUnit, String description) {
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

  /**
   * One line for the registry.
   *
   * @return not empty
   */
  public String description() {
    return description;
  }
}
