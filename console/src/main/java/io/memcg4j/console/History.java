package io.memcg4j.console;

import io.memcg4j.memcg.MemCgroup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/**
 * The last {@link #NR_TICKS} ticks of some groups: of the largest ones, and of those that were
 * asked for last. For the thread that has the ticker's lock.
 */
final class History {
  /*
   * Layout     a ring of plain arrays for each group, at tick modulo length; times in one for all.
   * Invariant  at most MAX_GROUPS rings of 48 bytes a tick: 2.8 MB with 900 ticks. A group
   *            that is new here takes over the ring of the one that was wanted least recently.
   */
  /** A quarter of an hour of seconds. */
  static final int NR_TICKS = 900;

  static final int MAX_GROUPS = 64;

  /** Of those, the largest ones; the others are for who asks. */
  private static final int MAX_LARGEST = 32;

  /** How often the largest are looked for. */
  private static final int LARGEST_EVERY_TICKS = 10;

  private static final class Ring {
    final long[] usage = new long[NR_TICKS];
    final long[] high = new long[NR_TICKS];
    final long[] max = new long[NR_TICKS];
    final long[] refused = new long[NR_TICKS];
    final int[] some = new int[NR_TICKS];
    final int[] full = new int[NR_TICKS];
    final long[] throttled = new long[NR_TICKS];
    long firstTick;
    long wantedTick;
  }

  private final long[] times = new long[NR_TICKS];
  private final Map<MemCgroup, Ring> rings = new LinkedHashMap<>();

  /** The tick that comes next. */
  private long tick;

  /** Takes down what the table has now. */
  void record(long timeMillis, GroupTable table) {
    if (tick % LARGEST_EVERY_TICKS == 0) {
      largest(table.rows()).forEach(row -> want(row.group));
    }
    times[(int) (tick % NR_TICKS)] = timeMillis;
    rings.forEach((group, ring) -> {
      GroupRow row = table.row(group);
      if (row != null) {
        record(ring, row);
      }
    });
    rings.keySet().removeIf(group -> table.row(group) == null);
    tick++;
  }

  private void record(Ring ring, GroupRow row) {
    int at = (int) (tick % NR_TICKS);
    ring.usage[at] = row.figures[GroupRow.USAGE];
    ring.high[at] = row.figures[GroupRow.HIGH];
    ring.max[at] = row.figures[GroupRow.MAX];
    ring.refused[at] = row.figures[GroupRow.EVENTS_MAX];
    ring.throttled[at] = row.figures[GroupRow.EVENTS_HIGH];
    ring.some[at] = (int) row.figures[GroupRow.SOME10];
    ring.full[at] = (int) row.figures[GroupRow.FULL10];
  }

  private static List<GroupRow> largest(Collection<GroupRow> rows) {
    PriorityQueue<GroupRow> smallestFirst =
        new PriorityQueue<>(Comparator.comparingLong(row -> row.figures[GroupRow.USAGE]));
    for (GroupRow row : rows) {
      if (smallestFirst.size() < MAX_LARGEST) {
        smallestFirst.add(row);
        continue;
      }
      GroupRow smallest = smallestFirst.element();
      if (row.figures[GroupRow.USAGE] > smallest.figures[GroupRow.USAGE]) {
        smallestFirst.remove();
        smallestFirst.add(row);
      }
    }
    return new ArrayList<>(smallestFirst);
  }

  /** Keeps a group's history from the next tick on, if it does not do so yet. */
  void want(MemCgroup group) {
    Ring ring = rings.get(group);
    if (ring == null) {
      ring = rings.size() < MAX_GROUPS ? new Ring() : takeOver();
      ring.firstTick = tick;
      rings.put(group, ring);
    }
    ring.wantedTick = tick;
  }

  private Ring takeOver() {
    MemCgroup least = null;
    Ring of = null;
    for (Map.Entry<MemCgroup, Ring> entry : rings.entrySet()) {
      if (of == null || entry.getValue().wantedTick < of.wantedTick) {
        least = entry.getKey();
        of = entry.getValue();
      }
    }
    if (least == null || of == null) {
      throw new IllegalStateException("no history to take over");
    }
    rings.remove(least);
    return of;
  }

  /** A column for each figure; limits that are none are -1. */
  void append(Json json, MemCgroup group) {
    Ring ring = rings.get(group);
    long first = ring == null ? tick : Math.max(ring.firstTick, tick - NR_TICKS);
    column(json, "t", first, times);
    column(json, "usage", first, ring == null ? null : ring.usage);
    column(json, "high", first, ring == null ? null : ring.high);
    column(json, "max", first, ring == null ? null : ring.max);
    column(json, "eventsMax", first, ring == null ? null : ring.refused);
    column(json, "eventsHigh", first, ring == null ? null : ring.throttled);
    percent(json, "some10", first, ring == null ? null : ring.some);
    percent(json, "full10", first, ring == null ? null : ring.full);
  }

  private void column(Json json, String name, long first, long @Nullable [] values) {
    json.beginArray(name);
    for (long at = first; values != null && at < tick; at++) {
      json.add(values[(int) (at % NR_TICKS)]);
    }
    json.endArray();
  }

  private void percent(Json json, String name, long first, int @Nullable [] values) {
    json.beginArray(name);
    for (long at = first; values != null && at < tick; at++) {
      json.add(values[(int) (at % NR_TICKS)] / GroupRow.HUNDREDTHS);
    }
    json.endArray();
  }

  /** The groups that there is a history of, for tests. */
  List<MemCgroup> groups() {
    return List.copyOf(rings.keySet());
  }

  @Override
  public String toString() {
    return "History" + Arrays.asList(tick, rings.keySet());
  }
}
