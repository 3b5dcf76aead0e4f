package io.memcg4j.cli;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One line of top: a group, and what changed since the frame before.
 *
 * @param group figures of now
 * @param usageRate bytes per second that usage grew by; 0 in the first frame
 * @param refusalRate requests per second that met the limit
 * @param stallPercent part of the time in which a thread waited for memory
 */
record TopRow(GroupFigures group, double usageRate, double refusalRate, double stallPercent) {
  /** What top can be sorted by. */
  enum Sort {
    USAGE('u', Comparator.comparingLong(row -> -row.group.usage())),
    RATE('g', Comparator.comparingDouble(row -> -row.usageRate)),
    LIMIT('m', Comparator.comparingDouble(row -> -row.group.percentOfMax())),
    REFUSALS('r', Comparator.comparingDouble(row -> -row.refusalRate)),
    STALL('s', Comparator.comparingDouble(row -> -row.stallPercent)),
    WAITING('w', Comparator.comparingLong(row -> -row.group.get("waiting"))),
    PATH('p', Comparator.comparing(row -> row.group.path()));

    final char key;

    @SuppressWarnings("ImmutableEnumChecker") // these have no state
    final Comparator<TopRow> order;

    Sort(char key, Comparator<TopRow> order) {
      this.key = key;
      this.order = order.thenComparing(row -> row.group.path());
    }

    static @Nullable Sort ofKey(int key) {
      for (Sort sort : values()) {
        if (sort.key == key) {
          return sort;
        }
      }
      return null;
    }
  }

  private static final String FIGURES = " %7s %8s %7s %7s %6s %8s %6s %5s";
  private static final int FIGURES_WIDTH = 62; // of a line with these
  private static final int MIN_GROUP_WIDTH = 12;

  private static final double PERCENT_PER_MICRO_A_SECOND = 100.0 / 1_000_000;

  static TopRow of(GroupFigures now, @Nullable GroupFigures before, double seconds) {
    if (before == null || seconds <= 0) {
      return new TopRow(now, 0, 0, now.getDouble("some10"));
    }
    long stalledMicros = now.get("stalledMicros") - before.get("stalledMicros");
    return new TopRow(
        now,
        (now.usage() - before.usage()) / seconds,
        (now.refusals() - before.refusals()) / seconds,
        Math.min(100, stalledMicros * PERCENT_PER_MICRO_A_SECOND / seconds));
  }

  static String header(int groupWidth) {
    return padded("GROUP", groupWidth)
        + String.format(
            Locale.ROOT,
            FIGURES,
            "USAGE",
            "GROWTH/s",
            "HIGH",
            "MAX",
            "%MAX",
            "REFUSE/s",
            "STALL%",
            "WAIT");
  }

  /** What is left for the group on a line. */
  static int groupWidth(int nrColumns) {
    return Math.max(MIN_GROUP_WIDTH, nrColumns - FIGURES_WIDTH);
  }

  String line(int groupWidth) {
    double percent = group.percentOfMax();
    return padded(Printable.line(group.path()), groupWidth)
        + String.format(
            Locale.ROOT,
            FIGURES,
            Sizes.human(group.usage()),
            usageRate == 0 ? "0" : (usageRate > 0 ? "+" : "") + Sizes.human((long) usageRate),
            Sizes.limit(group.high()),
            Sizes.limit(group.max()),
            percent < 0 ? "-" : String.format(Locale.ROOT, "%.1f", percent),
            String.format(Locale.ROOT, "%.1f", refusalRate),
            String.format(Locale.ROOT, "%.1f", stallPercent),
            group.get("waiting"));
  }

  /** To a width; of a long path the end says more than the beginning. */
  private static String padded(String path, int width) {
    int length = path.codePointCount(0, path.length());
    return length > width
        ? "<" + path.substring(path.offsetByCodePoints(0, length - width + 1))
        : path + " ".repeat(width - length);
  }

  /** Whether somebody ought to look at it. */
  boolean isInTrouble() {
    return refusalRate > 0 || stallPercent >= 1 || group.get("waiting") > 0;
  }

  Map<String, @Nullable Object> json(long timeMillis) {
    Map<String, @Nullable Object> line = new LinkedHashMap<>();
    line.put("t", timeMillis);
    line.putAll(group.values());
    line.put("usageRate", usageRate);
    line.put("refusalRate", refusalRate);
    line.put("stallPercent", stallPercent);
    return line;
  }
}
