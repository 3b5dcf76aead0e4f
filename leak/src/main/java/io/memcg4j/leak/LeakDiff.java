package io.memcg4j.leak;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * What has changed between two reports of one scanner.
 *
 * @param appeared blocks that are in the later one only
 * @param gone blocks that are in the earlier one only: freed, or referred to again
 * @param sites call sites whose leaked bytes are not the same in both, those that grew most first
 */
public record LeakDiff(List<LeakSuspect> appeared, List<LeakSuspect> gone, List<Site> sites) {
  /** Makes the lists immutable. */
  public LeakDiff {
    appeared = List.copyOf(appeared);
    gone = List.copyOf(gone);
    sites = List.copyOf(sites);
  }

  /**
   * One call site.
   *
   * @param frame the innermost frame, or the cache in brackets where no call site is known
   * @param cgroup path of the group
   * @param cache the cache
   * @param nrNew blocks that are in the later report only
   * @param nrGone blocks that are in the earlier report only
   * @param grownBytes leaked bytes in the later report less those in the earlier one
   */
  public record Site(
      String frame, String cgroup, String cache, int nrNew, int nrGone, long grownBytes) {}

  private record Key(List<StackTraceElement> frames, String cgroup, String cache) {}

  private static final class Sums {
    int nrNew;
    int nrGone;
    long grownBytes;
  }

  private record Block(long address, long nrBytes, List<StackTraceElement> frames) {
    static Block of(LeakSuspect suspect) {
      return new Block(suspect.address(), suspect.nrBytes(), suspect.frames());
    }
  }

  static LeakDiff of(LeakReport earlier, LeakReport later) {
    Map<Key, Sums> sums = new HashMap<>();
    List<LeakSuspect> appeared = notIn(earlier, later);
    for (LeakSuspect suspect : appeared) {
      Sums sum = sums.computeIfAbsent(keyOf(suspect), k -> new Sums());
      sum.nrNew++;
      sum.grownBytes += suspect.nrBytes();
    }
    List<LeakSuspect> gone = notIn(later, earlier);
    for (LeakSuspect suspect : gone) {
      Sums sum = sums.computeIfAbsent(keyOf(suspect), k -> new Sums());
      sum.nrGone++;
      sum.grownBytes -= suspect.nrBytes();
    }
    List<Site> sites = new ArrayList<>();
    sums.forEach((key, sum) -> {
      String frame =
          key.frames.isEmpty() ? "[" + key.cache + "]" : key.frames.getFirst().toString();
      sites.add(new Site(frame, key.cgroup, key.cache, sum.nrNew, sum.nrGone, sum.grownBytes));
    });
    sites.removeIf(site -> site.grownBytes() == 0);
    sites.sort(
        Comparator.comparingLong(Site::grownBytes)
            .reversed()
            .thenComparing(Site::frame)
            .thenComparing(Site::cgroup));
    return new LeakDiff(appeared, gone, sites);
  }

  private static Key keyOf(LeakSuspect suspect) {
    return new Key(suspect.frames(), suspect.cgroup(), suspect.cache());
  }

  private static List<LeakSuspect> notIn(LeakReport there, LeakReport here) {
    Set<Block> known = new HashSet<>();
    there.suspects().forEach(suspect -> known.add(Block.of(suspect)));
    return here.suspects().stream().filter(suspect -> !known.contains(Block.of(suspect))).toList();
  }

  /**
   * The call sites, one a line.
   *
   * @return bytes with sign, new and gone blocks, frame, group and cache
   */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (Site site : sites) {
      text.append(
          String.format(
              Locale.ROOT,
              "%+d bytes, %d new, %d gone: %s cgroup \"%s\" cache %s%n",
              site.grownBytes(),
              site.nrNew(),
              site.nrGone(),
              site.frame(),
              site.cgroup(),
              site.cache()));
    }
    return text.toString();
  }
}
