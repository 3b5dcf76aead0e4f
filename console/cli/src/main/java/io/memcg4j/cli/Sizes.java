package io.memcg4j.cli;

import java.util.Locale;

/** Sizes for people. */
final class Sizes {
  private static final String[] UNITS = {"B", "K", "M", "G", "T", "P", "E"};

  private Sizes() {}

  /** At most four characters and a unit: {@code 0B}, {@code 512K}, {@code 1.5M}, {@code 64.0G}. */
  static String human(long nrBytes) {
    double value = Math.abs((double) nrBytes);
    int unit = 0;
    while (value >= 1024) {
      value /= 1024;
      unit++;
    }
    String digits =
        unit == 0 || value >= 1000
            ? String.format(Locale.ROOT, "%.0f", value)
            : String.format(Locale.ROOT, "%.1f", value);
    return (nrBytes < 0 ? "-" : "") + digits + UNITS[unit];
  }

  /** A limit as the console tells it: no limit is less than 0. */
  static String limit(long nrBytes) {
    return nrBytes < 0 ? "max" : human(nrBytes);
  }
}
