package io.memcg4j.memcg;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Which groups a monitor shows when it cannot show all: the largest ones, each only together with
 * its parent. What is hidden is told by the topmost hidden groups, whose figures have those below
 * them in it; so no byte is in two of them, and none is missing.
 *
 * @param shown at most as many as asked for; the first is the top
 * @param hiddenTops children of groups that are shown
 */
public record GroupRanking(Set<MemCgroup> shown, List<MemCgroup> hiddenTops) {
  /** A group that is shown gives way only to one that is larger by more than a quarter. */
  private static final double STAY = 1.25;

  private record Candidate(MemCgroup group, double score) {}

  /**
   * Ranks by usage. Reads counters only; the cost grows with the number of children of groups that
   * are shown. Any thread.
   *
   * @param top usually the root of a tree
   * @param maxGroups most groups that are shown, at least 1
   * @param shownBefore groups that give way only to ones that are larger by more than a quarter, so
   *     that two of nearly the same size do not take turns
   * @return nothing if the top was removed
   */
  public static GroupRanking of(MemCgroup top, int maxGroups, Set<MemCgroup> shownBefore) {
    Set<MemCgroup> shown = new LinkedHashSet<>();
    PriorityQueue<Candidate> queue =
        new PriorityQueue<>(Comparator.comparingDouble(Candidate::score).reversed());
    if (top.isOnline()) {
      queue.add(new Candidate(top, 0));
    }
    while (shown.size() < maxGroups && !queue.isEmpty()) {
      MemCgroup largest = queue.remove().group();
      shown.add(largest);
      for (MemCgroup child : largest.children()) {
        double score = child.usage() * (shownBefore.contains(child) ? STAY : 1);
        queue.add(new Candidate(child, score));
      }
    }
    List<MemCgroup> hiddenTops = new ArrayList<>(queue.size());
    queue.forEach(candidate -> hiddenTops.add(candidate.group()));
    return new GroupRanking(Collections.unmodifiableSet(shown), List.copyOf(hiddenTops));
  }
}
