package io.memcg4j.examples.server;

import io.memcg4j.memcg.MemCgroup;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes as people write them: {@code 4096}, {@code 64k}, {@code 16m}, {@code 1g}, {@code max}. */
final class ByteSize {
  private static final Pattern FORM = Pattern.compile("(\\d{1,15})\\s*([kmg]?)(?:i?b)?");
  private static final String UNITS = "kmg";

  private ByteSize() {}

  /**
   * Reads a size.
   *
   * @throws IllegalArgumentException if it is none
   */
  static long parse(String text) {
    String lower = text.strip().toLowerCase(Locale.ROOT);
    if (lower.equals("max")) {
      return MemCgroup.UNLIMITED;
    }
    Matcher form = FORM.matcher(lower);
    if (!form.matches()) {
      throw new IllegalArgumentException(
          "not a size: text=\"" + TenantsFile.shown(text) + "\" legal=4096, 64k, 16m, 1g, max");
    }
    int shift = form.group(2).isEmpty() ? 0 : 10 * (1 + UNITS.indexOf(form.group(2)));
    long number = Long.parseLong(form.group(1));
    return number > Long.MAX_VALUE >> shift ? MemCgroup.UNLIMITED : number << shift;
  }

  /** A size in MiB with one digit, or {@code max}. */
  static String mib(long nrBytes) {
    return nrBytes == MemCgroup.UNLIMITED
        ? "max"
        : String.format(Locale.ROOT, "%.1f", nrBytes / (double) (1 << 20));
  }
}
