package io.memcg4j.memcg;

import java.util.Locale;

/** Sizes as the files of a group write them: bytes, or with a suffix K, M, G, T, P, E, or "max". */
final class MemorySize {
  private static final String SUFFIXES = "KMGTPE";
  private static final String LEGAL = "bytes, or with K, M, G, T, P, E, or max";

  private MemorySize() {}

  /**
   * Reads a size. Decimal, hexadecimal after {@code 0x}, octal after {@code 0}.
   *
   * @return bytes; {@link MemCgroup#UNLIMITED} for {@code max} and for what is larger than a long
   * @throws IllegalArgumentException if anything is left over, or there is no number
   */
  static long parse(String file, String text) {
    String trimmed = text.strip();
    if (trimmed.equals("max")) {
      return MemCgroup.UNLIMITED;
    }
    return parseBytes(file, trimmed);
  }

  /** As {@link #parse} without "max". */
  static long parseBytes(String file, String text) {
    String number = text.strip();
    int shift = 0;
    int last = number.length() - 1;
    int suffix = last < 0 ? -1 : SUFFIXES.indexOf(Character.toUpperCase(number.charAt(last)));
    boolean hex = number.startsWith("0x") || number.startsWith("0X");
    if (suffix >= 0 && !(hex && isHexDigit(number.charAt(last)))) {
      shift = 10 * (suffix + 1);
      number = number.substring(0, last);
    }
    int radix = hex ? 16 : number.length() > 1 && number.charAt(0) == '0' ? 8 : 10;
    String digits = hex ? number.substring(2) : number;
    if (digits.isEmpty()
        || !digits.chars().allMatch(c -> c < 128 && Character.digit(c, radix) >= 0)) {
      throw illegal(file, text, LEGAL);
    }
    try {
      long value = Long.parseLong(digits, radix);
      return value > Long.MAX_VALUE >> shift ? MemCgroup.UNLIMITED : value << shift;
    } catch (NumberFormatException e) {
      return MemCgroup.UNLIMITED; // more digits than a long has
    }
  }

  private static boolean isHexDigit(char c) {
    return Character.digit(c, 16) >= 0;
  }

  static IllegalArgumentException illegal(String file, String text, String legal) {
    return new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "invalid text: file=%s text=%s legal=%s",
            file,
            Printable.quoted(text),
            legal));
  }

  /** Bytes in decimal, or "max". */
  static String format(long nrBytes) {
    return nrBytes == MemCgroup.UNLIMITED ? "max" : Long.toString(nrBytes);
  }
}
