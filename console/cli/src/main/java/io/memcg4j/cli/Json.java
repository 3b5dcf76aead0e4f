package io.memcg4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads JSON into maps, lists, strings, longs, doubles and booleans, and writes them in one line.
 * Names stay in their order.
 */
final class Json {
  private static final int MAX_DEPTH = 64;

  private final String text;
  private int at;
  private int depth;

  private Json(String text) {
    this.text = text;
  }

  /**
   * Reads one value.
   *
   * @throws IllegalArgumentException if the text is anything else
   */
  static @Nullable Object parse(String text) {
    Json json = new Json(text);
    Object value = json.value();
    json.skipSpace();
    if (json.at < text.length()) {
      throw json.illegal();
    }
    return value;
  }

  /** Reads an object. */
  static Map<String, @Nullable Object> parseObject(String text) {
    return object(parse(text));
  }

  @SuppressWarnings("unchecked") // all maps that parse makes are of this type
  static Map<String, @Nullable Object> object(@Nullable Object value) {
    if (value instanceof Map<?, ?> map) {
      return (Map<String, @Nullable Object>) map;
    }
    throw new IllegalArgumentException("no object: " + value);
  }

  static List<?> list(@Nullable Object value) {
    if (value instanceof List<?> list) {
      return list;
    }
    throw new IllegalArgumentException("no list: " + value);
  }

  // ---- reading

  private @Nullable Object value() {
    skipSpace();
    char c = peek();
    return switch (c) {
      case '{' -> map();
      case '[' -> array();
      case '"' -> string();
      case 't' -> word("true", true);
      case 'f' -> word("false", false);
      case 'n' -> word("null", null);
      default -> number();
    };
  }

  private Map<String, @Nullable Object> map() {
    enter();
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    skipSpace();
    if (peek() != '}') {
      do {
        skipSpace();
        String name = string();
        skipSpace();
        expect(':');
        values.put(name, value());
        skipSpace();
      } while (take(','));
    }
    expect('}');
    depth--;
    return values;
  }

  private List<@Nullable Object> array() {
    enter();
    List<@Nullable Object> values = new ArrayList<>();
    skipSpace();
    if (peek() != ']') {
      do {
        values.add(value());
        skipSpace();
      } while (take(','));
    }
    expect(']');
    depth--;
    return values;
  }

  private void enter() {
    at++;
    if (++depth > MAX_DEPTH) {
      throw illegal();
    }
  }

  private String string() {
    expect('"');
    StringBuilder value = new StringBuilder();
    while (peek() != '"') {
      char c = text.charAt(at++);
      value.append(c == '\\' ? escaped() : c);
    }
    at++;
    return value.toString();
  }

  private char escaped() {
    char c = peek();
    at++;
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> {
        if (at + 4 > text.length()) {
          throw illegal();
        }
        at += 4;
        yield (char) Integer.parseInt(text, at - 4, at, 16);
      }
      default -> throw illegal();
    };
  }

  private Object number() {
    int start = at;
    while (at < text.length() && "+-0123456789.eE".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    String digits = text.substring(start, at);
    try {
      return digits.matches("-?\\d+") ? (Object) Long.valueOf(digits) : Double.valueOf(digits);
    } catch (NumberFormatException e) {
      at = start;
      throw illegal();
    }
  }

  private @Nullable Object word(String word, @Nullable Object value) {
    if (!text.startsWith(word, at)) {
      throw illegal();
    }
    at += word.length();
    return value;
  }

  private void skipSpace() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private char peek() {
    if (at >= text.length()) {
      throw illegal();
    }
    return text.charAt(at);
  }

  private boolean take(char c) {
    if (peek() != c) {
      return false;
    }
    at++;
    return true;
  }

  private void expect(char c) {
    if (!take(c)) {
      throw illegal();
    }
  }

  private IllegalArgumentException illegal() {
    return new IllegalArgumentException("illegal JSON: at=" + at);
  }

  // ---- writing

  /** One line without its end. */
  static String write(@Nullable Object value) {
    StringBuilder line = new StringBuilder();
    write(line, value);
    return line.toString();
  }

  private static void write(StringBuilder line, @Nullable Object value) {
    switch (value) {
      case Map<?, ?> map -> {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          line.append(separator);
          quote(line, String.valueOf(entry.getKey()));
          line.append(':');
          write(line, entry.getValue());
          separator = ",";
        }
        line.append(map.isEmpty() ? "{}" : "}");
      }
      case List<?> list -> {
        String separator = "[";
        for (Object element : list) {
          line.append(separator);
          write(line, element);
          separator = ",";
        }
        line.append(list.isEmpty() ? "[]" : "]");
      }
      case String text -> quote(line, text);
      case Double number when !Double.isFinite(number) -> line.append("null");
      case null, default -> line.append(value); // numbers, booleans, null
    }
  }

  private static void quote(StringBuilder line, String text) {
    line.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        line.append('\\').append(c);
      } else if (c < ' ' || c >= 0x7f) {
        line.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        line.append(c);
      }
    }
    line.append('"');
  }
}
