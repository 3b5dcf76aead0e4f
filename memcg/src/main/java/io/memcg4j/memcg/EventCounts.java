package io.memcg4j.memcg;

import java.util.concurrent.atomic.AtomicLongArray;

/** The event counts of one group: what happened at it, and at it or below. */
final class EventCounts {
  enum Event {
    LOW(0),
    HIGH(1),
    MAX(2),
    OOM(3),
    OOM_KILL(4),
    OOM_GROUP_KILL(5);

    private final int index;

    Event(int index) {
      this.index = index;
    }
  }

  private static final int NR_EVENTS = Event.values().length;

  /** First those of the group alone, then those with everything below. */
  private final AtomicLongArray counts = new AtomicLongArray(2 * NR_EVENTS);

  /** Counts at a group and, as events of the subtree, at all of its ancestors. */
  static void count(MemCgroup group, Event event) {
    group.eventCounts().counts.getAndIncrement(event.index);
    for (MemCgroup level = group; level != null; level = level.parent()) {
      level.eventCounts().counts.getAndIncrement(NR_EVENTS + event.index);
      level.notifyListeners();
    }
  }

  MemoryEvents local() {
    return events(0);
  }

  MemoryEvents hierarchical() {
    return events(NR_EVENTS);
  }

  private MemoryEvents events(int base) {
    return new MemoryEvents(
        counts.get(base),
        counts.get(base + 1),
        counts.get(base + 2),
        counts.get(base + 3),
        counts.get(base + 4),
        counts.get(base + 5));
  }
}
