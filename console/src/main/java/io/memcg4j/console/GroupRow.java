package io.memcg4j.console;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.Pressure;
import java.util.List;

/** What was last read of a group. For the thread that has the ticker's lock. */
final class GroupRow {
  /** In the order of the figures. */
  static final List<String> COLUMNS =
      List.of(
          "usage",
          "peak",
          "min",
          "low",
          "high",
          "max",
          "eventsLow",
          "eventsHigh",
          "eventsMax",
          "eventsOom",
          "eventsOomKill",
          "some10",
          "full10",
          "stalledMicros",
          "waiting");

  static final int USAGE = 0;
  static final int HIGH = 4;
  static final int MAX = 5;
  static final int FIRST_EVENT = 6;
  static final int EVENTS_HIGH = 7;
  static final int EVENTS_MAX = 8;
  static final int LAST_EVENT = 10;
  static final int SOME10 = 11;
  static final int FULL10 = 12;
  static final int STALLED_MICROS = 13;

  /** Averages are kept in hundredths of a percent. */
  static final double HUNDREDTHS = 100;

  final int id;
  final int parentId;
  final MemCgroup group;
  final long[] figures = new long[COLUMNS.size()];
  MemoryEvents local;

  /** What clients were told of the time stalled. */
  long toldStalledMicros;

  /** The pass in which it was seen. */
  long pass;

  GroupRow(int id, int parentId, MemCgroup group) {
    this.id = id;
    this.parentId = parentId;
    this.group = group;
    this.local = group.eventsLocal();
    read();
    toldStalledMicros = figures[STALLED_MICROS];
  }

  /** What a reading found. */
  enum Change {
    NONE,
    FIGURES,
    /** Events among them. */
    EVENTS
  }

  Change read() {
    int changed = 0;
    changed |= set(USAGE, group.usage());
    changed |= set(1, group.peak());
    changed |= set(2, GroupFiles.limit(group.min()));
    changed |= set(3, GroupFiles.limit(group.low()));
    changed |= set(HIGH, GroupFiles.limit(group.high()));
    changed |= set(MAX, GroupFiles.limit(group.max()));
    MemoryEvents events = group.events();
    int changedEvents = set(FIRST_EVENT, events.low());
    changedEvents |= set(EVENTS_HIGH, events.high());
    changedEvents |= set(EVENTS_MAX, events.max());
    changedEvents |= set(9, events.oom());
    changedEvents |= set(LAST_EVENT, events.oomKill());
    Pressure pressure = group.pressure();
    changed |= set(SOME10, Math.round(pressure.some().avg10() * HUNDREDTHS));
    changed |= set(FULL10, Math.round(pressure.full().avg10() * HUNDREDTHS));
    changed |= set(STALLED_MICROS, pressure.some().totalMicros());
    changed |= set(14, group.nrWaiting());
    return changedEvents != 0 ? Change.EVENTS : changed != 0 ? Change.FIGURES : Change.NONE;
  }

  private int set(int column, long value) {
    if (figures[column] == value) {
      return 0;
    }
    figures[column] = value;
    return 1;
  }

  /** Its number and figures, averages in percent. */
  void append(Json json) {
    json.beginArray().add(id);
    appendFigures(json);
    json.endArray();
  }

  /** With its parent and name. */
  void appendNew(Json json) {
    json.beginArray().add(id).add(parentId).add(group.name());
    appendFigures(json);
    json.endArray();
  }

  private void appendFigures(Json json) {
    for (int column = 0; column < figures.length; column++) {
      if (column == SOME10 || column == FULL10) {
        json.add(figures[column] / HUNDREDTHS);
      } else {
        json.add(figures[column]);
      }
    }
  }

  void appendNamed(Json json) {
    json.beginObject().put("path", group.path());
    for (int column = 0; column < figures.length; column++) {
      if (column == SOME10 || column == FULL10) {
        json.put(COLUMNS.get(column), figures[column] / HUNDREDTHS);
      } else {
        json.put(COLUMNS.get(column), figures[column]);
      }
    }
    json.endObject();
  }
}
