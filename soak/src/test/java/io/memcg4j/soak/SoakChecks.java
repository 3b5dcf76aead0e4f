package io.memcg4j.soak;

import io.memcg4j.leak.LeakReport;
import io.memcg4j.memcg.MemoryEvents;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What has to hold, of figures alone, so that each check can be shown a figure that is wrong. All
 * throw {@link SoakViolation}.
 */
final class SoakChecks {
  static final int MIN_SAMPLES_OF_RSS = 60;
  static final int RSS_SLACK_PERCENT = 15;
  static final long RSS_SLACK_BYTES = 32L << 20;

  private SoakChecks() {}

  // The annotation that it asks for is in a library that this module has no other use for.
  @SuppressWarnings("AnnotateFormatMethod")
  static void require(boolean holds, String format, Object... values) {
    if (!holds) {
      throw new SoakViolation(String.format(Locale.ROOT, format, values));
    }
  }

  /** What a group is charged is what the model says. */
  static void usage(String group, long usage, long least, long most) {
    require(
        usage >= least && usage <= most,
        "usage is not that of the model: usage=%d model=%d..%d group=%s",
        usage,
        least,
        most,
        group);
  }

  /** Never above max, or above what it was when max was lowered. */
  static void limit(String group, long usage, long max, long usageWhenSet) {
    require(
        usage <= Math.max(max, usageWhenSet),
        "limit exceeded: group=%s usage=%d max=%d usageWhenSet=%d",
        group,
        usage,
        max,
        usageWhenSet);
  }

  static void family(String group, long usage, long sumOfChildren) {
    require(
        sumOfChildren <= usage,
        "children use more than their parent: group=%s usage=%d children=%d",
        group,
        usage,
        sumOfChildren);
  }

  static void monotonic(String group, MemoryEvents before, MemoryEvents now) {
    require(
        before.low() <= now.low()
            && before.high() <= now.high()
            && before.max() <= now.max()
            && before.oom() <= now.oom()
            && before.oomKill() <= now.oomKill()
            && before.oomGroupKill() <= now.oomGroupKill(),
        "events went back: group=%s before=%s now=%s",
        group,
        before,
        now);
  }

  static void contents(String block, long tag, long first, long last) {
    require(
        first == tag && last == tag,
        "contents lost: %s tag=%x first=%x last=%x",
        block,
        tag,
        first,
        last);
  }

  /** Nothing is reported but what was planted. */
  static void noFalseReport(LeakReport report, Set<Long> planted) {
    List<String> wrong =
        report.suspects().stream()
            .filter(suspect -> !planted.contains(suspect.address()))
            .map(String::valueOf)
            .collect(Collectors.toList());
    require(wrong.isEmpty(), "reported, and no leak: %s", wrong);
  }

  /** What was planted is found by so many scans. */
  static void found(String block, int nrScansSince, int mostScans) {
    require(nrScansSince <= mostScans, "leak not found: %s scans=%d", block, nrScansSince);
  }

  /** Each step of a thread ends. */
  static void moves(String thread, long nanosSince, long mostNanos, String last) {
    require(
        nanosSince <= mostNanos,
        "thread is stuck: thread=%s nanos=%d last=%s",
        thread,
        nanosSince,
        last);
  }

  /**
   * Resident memory: no higher in the last quarter than in the second one, but for a slack.
   *
   * @return what it was, as text
   */
  static String flat(List<Long> residentBytes) {
    if (residentBytes.size() < MIN_SAMPLES_OF_RSS) {
      return "too short to tell growth from warming up";
    }
    int quarter = residentBytes.size() / 4;
    long early = median(residentBytes.subList(quarter, 2 * quarter));
    long late = median(residentBytes.subList(3 * quarter, residentBytes.size()));
    double bytesPerSecond = slope(residentBytes.subList(quarter, residentBytes.size()));
    require(
        late <= early + early * RSS_SLACK_PERCENT / 100 + RSS_SLACK_BYTES,
        "resident memory grows: early=%d late=%d bytesPerSecond=%.0f",
        early,
        late,
        bytesPerSecond);
    return String.format(
        Locale.ROOT, "early=%d late=%d bytesPerSecond=%.0f", early, late, bytesPerSecond);
  }

  /** Of the line that fits best, by sample. */
  static double slope(List<Long> values) {
    double meanX = (values.size() - 1) / 2.0;
    double meanY = values.stream().mapToLong(Long::longValue).average().orElse(0);
    double products = 0;
    double squares = 0;
    for (int i = 0; i < values.size(); i++) {
      products += (i - meanX) * (values.get(i) - meanY);
      squares += (i - meanX) * (i - meanX);
    }
    return squares == 0 ? 0 : products / squares;
  }

  private static long median(List<Long> values) {
    long[] sorted = values.stream().mapToLong(Long::longValue).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** Whether requests wait although there is room, and none is granted. */
  static final class LostWakeup {
    private final long mostNanos;
    private long sinceNanos;
    private long nrGranted;
    private boolean isSuspected;

    LostWakeup(long mostNanos) {
      this.mostNanos = mostNanos;
    }

    /** To be called often: room that comes and goes between two looks is taken for staying. */
    void look(long nowNanos, int nrWaiting, boolean hasRoom, long nrGrantedSoFar) {
      if (nrWaiting == 0 || !hasRoom || nrGrantedSoFar != nrGranted || !isSuspected) {
        isSuspected = nrWaiting > 0 && hasRoom;
        sinceNanos = nowNanos;
        nrGranted = nrGrantedSoFar;
        return;
      }
      require(
          nowNanos - sinceNanos <= mostNanos,
          "wake-up lost: waiting=%d nanos=%d granted=%d",
          nrWaiting,
          nowNanos - sinceNanos,
          nrGranted);
    }
  }
}
