package io.memcg4j.memcg;

/** Text of others in messages: one line of bounded length, whatever it was. */
final class Printable {
  private static final int MAX_CHARS = 255;

  private Printable() {}

  /** The start of a text in quotes, with a question mark for what is not to be printed. */
  static String quoted(String text) {
    return '"' + of(text) + '"';
  }

  /** As {@link #quoted} without the quotes. */
  static String of(String text) {
    StringBuilder shown = new StringBuilder(Math.min(text.length(), MAX_CHARS));
    text.codePoints()
        .limit(MAX_CHARS)
        .forEach(c -> shown.appendCodePoint(isPrintable(c) ? c : '?'));
    return shown.toString();
  }

  private static boolean isPrintable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SURROGATE ->
          false;
      default -> true;
    };
  }
}
