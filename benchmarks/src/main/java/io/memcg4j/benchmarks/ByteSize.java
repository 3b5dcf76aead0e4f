package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Sizes as the kernel's files and command lines take them: digits with an optional suffix {@code
 * K}, {@code M}, {@code G} or {@code T} (powers of 1024, either case), or {@code max}.
 */
final class ByteSize implements ITypeConverter<Long> {
  @Override
  public Long convert(String text) {
    try {
      return parse(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(e.getMessage());
    }
  }

  /**
   * The number of bytes that the text says.
   *
   * @param text digits with an optional suffix, or {@code max}
   * @return bytes, {@link MemCgroup#UNLIMITED} for {@code max}
   * @throws IllegalArgumentException if the text is malformed or the size does not fit a {@code
   *     long}
   */
  static long parse(String text) {
    if (text.equalsIgnoreCase("max")) {
      return MemCgroup.UNLIMITED;
    }
    int nrDigits = 0;
    while (nrDigits < text.length() && isDigit(text.charAt(nrDigits))) {
      nrDigits++;
    }
    int shift = shiftOf(text.substring(nrDigits));
    if (nrDigits == 0 || shift < 0) {
      throw new IllegalArgumentException(
          "bad size: text=" + text + " expected=digits with an optional suffix K, M, G or T");
    }
    try {
      return Math.multiplyExact(Long.parseLong(text.substring(0, nrDigits)), 1L << shift);
    } catch (ArithmeticException | NumberFormatException e) {
      throw new IllegalArgumentException(
          "size out of range: text=" + text + " range=0.." + Long.MAX_VALUE, e);
    }
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  /** The power of two that the suffix stands for, or -1 if there is no such suffix. */
  private static int shiftOf(String suffix) {
    return switch (suffix.toUpperCase(Locale.ROOT)) {
      case "" -> 0;
      case "K" -> 10;
      case "M" -> 20;
      case "G" -> 30;
      case "T" -> 40;
      default -> -1;
    };
  }

  /** Bytes for a reader: {@code 1.80 MiB}; below one KiB in plain bytes. */
  static String human(long nrBytes) {
    if (nrBytes < 1024) {
      return nrBytes + " B";
    }
    String[] units = {"KiB", "MiB", "GiB", "TiB"};
    double value = nrBytes / 1024.0;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, "%.2f %s", value, units[unit]);
  }
}
