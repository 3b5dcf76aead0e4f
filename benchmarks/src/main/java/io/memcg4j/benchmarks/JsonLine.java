package io.memcg4j.benchmarks;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** One JSON object on one line, its keys in the order they were put. Not thread-safe. */
final class JsonLine {
  private final StringBuilder text = new StringBuilder("{");

  JsonLine put(String key, String value) {
    key(key);
    quote(value);
    return this;
  }

  JsonLine put(String key, long value) {
    key(key);
    text.append(value);
    return this;
  }

  /** Puts a number with up to four decimals; {@code null} and what is no number become null. */
  JsonLine put(String key, @Nullable Double value) {
    key(key);
    text.append(value == null || !Double.isFinite(value) ? "null" : number(value));
    return this;
  }

  @Override
  public String toString() {
    return text + "}";
  }

  private void key(String key) {
    if (text.length() > 1) {
      text.append(',');
    }
    quote(key);
    text.append(':');
  }

  private static String number(double value) {
    String digits = String.format(Locale.ROOT, "%.4f", value);
    int end = digits.length();
    while (digits.charAt(end - 1) == '0') {
      end--;
    }
    return digits.substring(0, digits.charAt(end - 1) == '.' ? end - 1 : end);
  }

  private void quote(String value) {
    text.append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '"' || c == '\\') {
        text.append('\\').append(c);
      } else if (c < ' ') {
        text.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        text.append(c);
      }
    }
    text.append('"');
  }
}
