package io.memcg4j.leak;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Leaked blocks of one call site, one group and one cache.
 *
 * @param suspects the blocks, by address; at least one
 * @param nrBytes their sizes together
 * @param nrHeld other leaked blocks that are only reachable through these
 * @param heldBytes the sizes of those
 */
public record LeakGroup(List<LeakSuspect> suspects, long nrBytes, long nrHeld, long heldBytes) {
  /** Makes the list immutable. */
  public LeakGroup {
    suspects = List.copyOf(suspects);
  }

  /**
   * The block that stands for the others.
   *
   * @return the one with the lowest address
   */
  public LeakSuspect first() {
    return suspects.getFirst();
  }

  private record Key(
      List<StackTraceElement> frames,
      String cgroup,
      String removedCgroup,
      String cache,
      long alone) {
    static Key of(LeakSuspect suspect) {
      // Without a call site nothing says that two blocks have to do with each other.
      long alone = suspect.frames().isEmpty() ? suspect.address() : 0;
      return new Key(
          suspect.frames(), suspect.cgroup(), suspect.removedCgroup(), suspect.cache(), alone);
    }
  }

  /** Groups the root causes; those that hold and are most bytes first. */
  static List<LeakGroup> of(List<LeakSuspect> suspects) {
    Map<Long, LeakSuspect> byAddress = new LinkedHashMap<>();
    suspects.forEach(suspect -> byAddress.put(suspect.address(), suspect));
    Map<Long, long[]> held = new LinkedHashMap<>();
    Map<Long, Long> rootOf = new LinkedHashMap<>();
    for (LeakSuspect suspect : suspects) {
      if (byAddress.containsKey(suspect.heldBy())) {
        long[] sums = held.computeIfAbsent(root(suspect, byAddress, rootOf), r -> new long[2]);
        sums[0]++;
        sums[1] += suspect.nrBytes();
      }
    }
    Map<Key, List<LeakSuspect>> groups = new LinkedHashMap<>();
    for (LeakSuspect suspect : suspects) {
      // Also one whose holder is not in this list.
      if (!byAddress.containsKey(suspect.heldBy())) {
        groups.computeIfAbsent(Key.of(suspect), k -> new ArrayList<>()).add(suspect);
      }
    }
    List<LeakGroup> sorted = new ArrayList<>();
    for (List<LeakSuspect> group : groups.values()) {
      long nrBytes = 0;
      long nrHeld = 0;
      long heldBytes = 0;
      for (LeakSuspect suspect : group) {
        long[] sums = held.getOrDefault(suspect.address(), new long[2]);
        nrBytes += suspect.nrBytes();
        nrHeld += sums[0];
        heldBytes += sums[1];
      }
      sorted.add(new LeakGroup(group, nrBytes, nrHeld, heldBytes));
    }
    sorted.sort(
        Comparator.comparingLong((LeakGroup group) -> group.nrBytes + group.heldBytes).reversed());
    return List.copyOf(sorted);
  }

  /** The root cause that a block hangs on; paths are shortened as they are walked. */
  private static long root(
      LeakSuspect suspect, Map<Long, LeakSuspect> byAddress, Map<Long, Long> rootOf) {
    List<Long> path = new ArrayList<>();
    long root = suspect.address();
    for (LeakSuspect at = suspect; at != null; at = byAddress.get(at.heldBy())) {
      root = at.address();
      Long known = rootOf.get(root);
      if (known != null) {
        root = known;
        break;
      }
      path.add(root);
    }
    for (long address : path) {
      rootOf.put(address, root);
    }
    return root;
  }
}
