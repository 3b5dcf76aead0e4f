package io.memcg4j.leak;

import java.util.Locale;

/** The commands of the kmemleak file. */
final class Command {
  /*
   * Origin     kmemleak_write of Linux mm/kmemleak.c: order and prefixes, what is legal while it is off,
   *            and how numbers are read. EINVAL is an IllegalArgumentException, EPERM an
   *            IllegalStateException. stack=on is EINVAL, as what a kernel was built without.
   */
  private static final int MAX_CHARS = 63;
  private static final String LEGAL =
      "off stack=off scan=on scan=off scan=SECS scan clear dump=ADDR";
  private static final long MAX_UNSIGNED_INT = 0xFFFF_FFFFL;
  private static final long MILLIS_PER_SECOND = 1000;
  private static final int OCTAL = 8;
  private static final int DECIMAL = 10;
  private static final int HEXADECIMAL = 16;

  private Command() {}

  static String run(Kmemleak kmemleak, String command) {
    String text = command.substring(0, Math.min(MAX_CHARS, command.length()));
    if (text.startsWith("clear")) {
      kmemleak.clear();
      return "";
    }
    if (!kmemleak.isOn()) {
      throw new IllegalStateException(
          "operation not permitted: kmemleak=off command=" + printable(text) + " legal=clear");
    }
    if (text.startsWith("off")) {
      kmemleak.off();
    } else if (text.startsWith("stack=on")) {
      throw new IllegalArgumentException(
          "invalid argument: stack=on legal=stack=off: no heap dump has what threads' locals hold");
    } else if (text.startsWith("stack=off")) {
      return "";
    } else if (text.startsWith("scan=on")) {
      kmemleak.periodic().start();
    } else if (text.startsWith("scan=off")) {
      kmemleak.periodic().stop();
    } else if (text.startsWith("scan=")) {
      period(kmemleak, number(text, "scan=", MAX_UNSIGNED_INT));
    } else if (text.startsWith("scan")) {
      return kmemleak.scan().toString();
    } else if (text.startsWith("dump=")) {
      return kmemleak.dump(number(text, "dump=", -1));
    } else {
      throw new IllegalArgumentException(
          "invalid argument: command=" + printable(text) + " legal=" + LEGAL);
    }
    return "";
  }

  private static void period(Kmemleak kmemleak, long seconds) {
    PeriodicScan periodic = kmemleak.periodic();
    periodic.stop();
    if (seconds > 0) {
      // Saturates, as in the kernel.
      periodic.period(Math.min(seconds * MILLIS_PER_SECOND, MAX_UNSIGNED_INT));
      periodic.start();
    }
  }

  /** An unsigned number in C's notation, up to an unsigned bound. */
  private static long number(String text, String key, long max) {
    String rest = text.substring(key.length());
    String digits = rest.endsWith("\n") ? rest.substring(0, rest.length() - 1) : rest;
    digits = digits.startsWith("+") ? digits.substring(1) : digits;
    int radix = DECIMAL;
    if (digits.startsWith("0x") || digits.startsWith("0X")) {
      radix = HEXADECIMAL;
      digits = digits.substring(2);
    } else if (digits.startsWith("0")) {
      radix = OCTAL;
    }
    try {
      if (digits.startsWith("+")) {
        throw new NumberFormatException("two signs");
      }
      long value = Long.parseUnsignedLong(digits, radix);
      if (Long.compareUnsigned(value, max) > 0) {
        throw new NumberFormatException("too large");
      }
      return value;
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "invalid argument: command=%s legal=%sNUMBER, 0..%s",
              printable(text),
              key,
              Long.toUnsignedString(max)),
          e);
    }
  }

  private static String printable(String text) {
    return LeakJson.string(text);
  }
}
