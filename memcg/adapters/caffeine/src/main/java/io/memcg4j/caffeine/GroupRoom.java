package io.memcg4j.caffeine;

import io.memcg4j.memcg.MemCgroup;
import org.jspecify.annotations.Nullable;

/** What limits on a group's path leave. Racy reads of counters; takes no lock. */
final class GroupRoom {
  private GroupRoom() {}

  /** Bytes that could be charged now; negative while a limit is passed. */
  static long roomBytes(MemCgroup group) {
    long room = Long.MAX_VALUE;
    for (@Nullable MemCgroup level = group; level != null; level = level.parent()) {
      long max = level.max();
      if (max != MemCgroup.UNLIMITED) {
        room = Math.min(room, max - level.usage());
      }
    }
    return room;
  }

  /** As {@link #roomBytes}, below the high limits too. */
  static long roomBelowHighBytes(MemCgroup group) {
    long room = roomBytes(group);
    for (@Nullable MemCgroup level = group; level != null; level = level.parent()) {
      long high = level.high();
      if (high != MemCgroup.UNLIMITED) {
        room = Math.min(room, high - level.usage());
      }
    }
    return room;
  }

  /** The lowest limit on the path. */
  static long lowestMaxBytes(MemCgroup group) {
    long lowest = MemCgroup.UNLIMITED;
    for (@Nullable MemCgroup level = group; level != null; level = level.parent()) {
      lowest = Math.min(lowest, level.max());
    }
    return lowest;
  }
}
