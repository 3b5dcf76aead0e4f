package io.memcg4j.console;

import java.util.Locale;

/** Writes JSON. Names and values in the order they are put. For one thread. */
final class Json {
  private final StringBuilder text;
  private boolean isFirst = true;

  Json() {
    this(256);
  }

  Json(int capacity) {
    text = new StringBuilder(capacity);
  }

  Json beginObject() {
    return begin('{');
  }

  Json endObject() {
    return end('}');
  }

  Json beginArray() {
    return begin('[');
  }

  Json endArray() {
    return end(']');
  }

  Json beginObject(String name) {
    return name(name).begin('{');
  }

  Json beginArray(String name) {
    return name(name).begin('[');
  }

  Json put(String name, String value) {
    return name(name).add(value);
  }

  Json put(String name, long value) {
    return name(name).add(value);
  }

  Json put(String name, double value) {
    return name(name).add(value);
  }

  Json put(String name, boolean value) {
    name(name).separate();
    text.append(value);
    return this;
  }

  Json add(String value) {
    separate();
    quote(value);
    return this;
  }

  Json add(long value) {
    separate();
    text.append(value);
    return this;
  }

  /** Two decimals, none where they are 0; what is no number becomes null. */
  Json add(double value) {
    separate();
    if (!Double.isFinite(value)) {
      text.append("null");
      return this;
    }
    long hundredths = Math.round(value * 100);
    if (hundredths < 0) {
      text.append('-');
      hundredths = -hundredths;
    }
    text.append(hundredths / 100);
    if (hundredths % 100 != 0) {
      text.append('.').append((char) ('0' + hundredths % 100 / 10));
      if (hundredths % 10 != 0) {
        text.append((char) ('0' + hundredths % 10));
      }
    }
    return this;
  }

  /** Puts text between values that is not JSON, for what the JSON is part of. */
  Json raw(String other) {
    text.append(other);
    isFirst = true;
    return this;
  }

  Json name(String name) {
    separate();
    quote(name);
    text.append(':');
    isFirst = true;
    return this;
  }

  @Override
  public String toString() {
    return text.toString();
  }

  private Json begin(char bracket) {
    separate();
    text.append(bracket);
    isFirst = true;
    return this;
  }

  private Json end(char bracket) {
    text.append(bracket);
    isFirst = false;
    return this;
  }

  private void separate() {
    if (!isFirst) {
      text.append(',');
    }
    isFirst = false;
  }

  private void quote(String value) {
    text.append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '"' || c == '\\') {
        text.append('\\').append(c);
      } else if (c < ' ' || (c >= 0x7f && isEscaped(c))) {
        text.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        text.append(c);
      }
    }
    text.append('"');
  }

  /** Lone surrogates are not lost in UTF-8, and nothing invisible is in the text. */
  private static boolean isEscaped(char c) {
    return Character.isSurrogate(c)
        || Character.isISOControl(c)
        || Character.getType(c) == Character.FORMAT
        || c == '\u2028'
        || c == '\u2029';
  }
}
