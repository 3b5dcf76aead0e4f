package io.memcg4j.resilience4j;

import io.memcg4j.memcg.MemCgroup;
import java.util.Locale;

/**
 * When a group is under pressure. From the opening lines on, until usage is below the closing
 * lines; so a group near a line does not let every other request in.
 *
 * @param openAt part of {@code memory.max} at which pressure begins, {@code > 0}; 1 or less
 * @param closeBelow part of {@code memory.max} below which it ends, {@code > 0}; at most {@code
 *     openAt}
 * @param openAboveHigh whether usage above {@code memory.high} is pressure, too; that ends at the
 *     same part {@code closeBelow / openAt} of it
 */
public record Pressure(double openAt, double closeBelow, boolean openAboveHigh) {
  /** From 95 % of max or above high, to below 90 % of max. */
  public static final Pressure DEFAULT = new Pressure(0.95, 0.9, true);

  /**
   * Checks the lines.
   *
   * @throws IllegalArgumentException if they are out of range
   */
  public Pressure {
    if (!(closeBelow > 0 && closeBelow <= openAt && openAt <= 1)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "pressure out of range: openAt=%s closeBelow=%s legal=0<closeBelow<=openAt<=1",
              openAt,
              closeBelow));
    }
  }

  /**
   * Whether the group is under pressure now. Reads its counter and its limits, nothing else.
   *
   * @param group the group; those above it do not count
   * @param before whether it was so far
   * @return whether it is
   */
  public boolean isUnder(MemCgroup group, boolean before) {
    if (!group.isOnline()) {
      return false; // what the counter of a removed group shows is meaningless
    }
    double usage = group.usage();
    long max = group.max();
    if (max != MemCgroup.UNLIMITED && usage >= max * (before ? closeBelow : openAt)) {
      return true;
    }
    long high = group.high();
    return openAboveHigh
        && high != MemCgroup.UNLIMITED
        && usage > high * (before ? closeBelow / openAt : 1);
  }
}
