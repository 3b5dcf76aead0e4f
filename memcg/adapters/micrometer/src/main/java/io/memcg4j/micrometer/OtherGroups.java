package io.memcg4j.micrometer;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The sum over the groups that are not shown, as of the last refresh. */
final class OtherGroups {
  /*
   * Invariant  counters only rise, although groups come and go: each refresh adds what happened since
   *            the one before in groups that were hidden then, or are new. What a group counted
   *            while it was shown is in its own row only; what it counted while it was hidden is in
   *            its own row, too, once it is shown. A hidden group that was removed is asked a last
   *            time, as what it counted outlives it. Missing is only what a group counted that
   *            came and went between two refreshes: nobody knows of it, but for the groups above
   *            it, which count it too.
   * Locks      written under that of MemcgMetrics; sums are replaced as a whole for readers.
   */

  /**
   * Sums over hidden groups.
   *
   * @param stat by class; 0 for those that are not in it
   * @param counters by index of {@link Figures}
   */
  @SuppressWarnings("ArrayRecordComponent") // neither compared nor changed
  record Sums(long usage, long waiting, Map<MemoryClass, Long> stat, long[] counters) {
    long stat(MemoryClass memoryClass) {
      return stat.getOrDefault(memoryClass, 0L);
    }
  }

  private volatile Sums sums = new Sums(0, 0, Map.of(), new long[Figures.NR_COUNTERS]);
  private Map<MemCgroup, long[]> countersBefore = new HashMap<>();

  Sums sums() {
    return sums;
  }

  void refresh(List<MemCgroup> hiddenTops, Set<MemCgroup> shownBefore) {
    long usage = 0;
    long waiting = 0;
    Map<MemoryClass, Long> stat = new EnumMap<>(MemoryClass.class);
    long[] counters = Arrays.copyOf(sums.counters(), Figures.NR_COUNTERS);
    Map<MemCgroup, long[]> countersNow = new HashMap<>();
    for (MemCgroup group : hiddenTops) {
      usage += group.usage();
      waiting += group.nrWaiting();
      for (MemoryClass memoryClass : MemoryClass.values()) {
        stat.merge(memoryClass, Figures.stat(group, memoryClass), Long::sum);
      }
      long[] now = Figures.counters(group);
      long[] before = countersBefore.get(group);
      if (before == null && shownBefore.contains(group)) {
        before = now;
      }
      addSince(counters, before == null ? new long[Figures.NR_COUNTERS] : before, now);
      countersNow.put(group, now);
    }
    countersBefore.forEach((group, before) -> {
      if (!group.isOnline() && !countersNow.containsKey(group)) {
        addSince(counters, before, Figures.counters(group));
      }
    });
    countersBefore = countersNow;
    sums = new Sums(usage, waiting, stat, counters);
  }

  private static void addSince(long[] counters, long[] before, long[] now) {
    for (int i = 0; i < Figures.NR_COUNTERS; i++) {
      counters[i] += now[i] - before[i];
    }
  }
}
