package io.memcg4j.micrometer;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.MemoryStat;

/** Figures of groups by index, so that they can be bound and summed in loops. */
final class Figures {
  /** Tags of {@link MemcgMeters#EVENTS}; their indexes are those of the counters. */
  static final String[] EVENTS = {"low", "high", "max", "oom", "oom_kill", "oom_group_kill"};

  /** Index of the counter after the events. */
  static final int RECLAIMED = EVENTS.length;

  static final int NR_COUNTERS = RECLAIMED + 1;

  private Figures() {}

  static long counter(MemCgroup group, int index) {
    if (index == RECLAIMED) {
      return group.stat().reclaimed();
    }
    MemoryEvents events = group.events();
    return switch (index) {
      case 0 -> events.low();
      case 1 -> events.high();
      case 2 -> events.max();
      case 3 -> events.oom();
      case 4 -> events.oomKill();
      default -> events.oomGroupKill();
    };
  }

  static long[] counters(MemCgroup group) {
    MemoryEvents events = group.events();
    return new long[] {
      events.low(),
      events.high(),
      events.max(),
      events.oom(),
      events.oomKill(),
      events.oomGroupKill(),
      group.stat().reclaimed()
    };
  }

  static long stat(MemCgroup group, MemoryClass memoryClass) {
    MemoryStat stat = group.stat();
    return switch (memoryClass) {
      case SLAB -> stat.slab();
      case PERCPU -> stat.percpu();
      case VMALLOC -> stat.vmalloc();
      case HEAP -> stat.heap();
      case SOCK -> stat.sock();
      case FOREIGN -> stat.foreign();
    };
  }

  /** A limit as a gauge shows it. */
  static double limit(long nrBytes) {
    return nrBytes == MemCgroup.UNLIMITED ? Double.POSITIVE_INFINITY : nrBytes;
  }
}
