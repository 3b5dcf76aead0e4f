package io.memcg4j.cli;

import java.util.Locale;

/**
 * Text that was named by others, fit for a terminal: what is invisible there, moves the cursor or
 * turns the direction of writing is shown as an escape.
 */
final class Printable {
  private Printable() {}

  /** One line: line ends are escaped too. */
  static String line(String text) {
    return escape(text, false);
  }

  /** Lines: their ends and tabs stay. */
  static String text(String text) {
    return escape(text, true);
  }

  private static String escape(String text, boolean keepsLines) {
    if (text.codePoints().noneMatch(c -> isEscaped(c, keepsLines))) {
      return text;
    }
    StringBuilder shown = new StringBuilder(text.length() + 16);
    text.codePoints()
        .forEach(c -> {
          if (isEscaped(c, keepsLines)) {
            shown.append(String.format(Locale.ROOT, c > 0xffff ? "\\U%06x" : "\\u%04x", c));
          } else {
            shown.appendCodePoint(c);
          }
        });
    return shown.toString();
  }

  private static boolean isEscaped(int c, boolean keepsLines) {
    if (keepsLines && (c == '\n' || c == '\t')) {
      return false;
    }
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.PRIVATE_USE,
          Character.UNASSIGNED ->
          true;
      default -> false;
    };
  }
}
