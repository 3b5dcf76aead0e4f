package io.memcg4j.benchmarks;

/**
 * A trace that cannot be read. The message is {@code FILE:LINE: reason: text}; the line is 0 when
 * not even the first one could be read.
 */
final class TraceException extends Exception {
  private static final long serialVersionUID = 1L;
  private static final int MAX_TEXT = 80;

  TraceException(String file, int line, String reason, String text) {
    super(file + ":" + line + ": " + reason + ": " + printable(text, MAX_TEXT));
  }

  /** The text without control characters and cut to a length that a screen can show. */
  static String printable(String text, int maxChars) {
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      if (i == maxChars) {
        return shown.append("...").toString();
      }
      char c = text.charAt(i);
      shown.append(c < ' ' || c >= 0x7f ? '?' : c);
    }
    return shown.toString();
  }
}
