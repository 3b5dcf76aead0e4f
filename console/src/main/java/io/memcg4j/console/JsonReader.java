package io.memcg4j.console;

import java.util.HashMap;
import java.util.Map;

/**
 * Reads the one form of JSON that {@link ConsoleDirectory} writes: an object of strings and
 * numbers.
 */
final class JsonReader {
  private final String text;
  private int at;

  private JsonReader(String text) {
    this.text = text;
  }

  /**
   * Reads a flat object.
   *
   * @return values by name, numbers as their digits
   * @throws IllegalArgumentException if it is anything else
   */
  static Map<String, String> object(String text) {
    return new JsonReader(text.strip()).object();
  }

  private Map<String, String> object() {
    Map<String, String> values = new HashMap<>();
    expect('{');
    while (peek() != '}') {
      String name = string();
      expect(':');
      values.put(name, peek() == '"' ? string() : number());
      if (peek() == ',') {
        at++;
      }
    }
    return values;
  }

  private String number() {
    int start = at;
    while (peek() == '-' || Character.isDigit(peek())) {
      at++;
    }
    if (start == at) {
      throw illegal();
    }
    return text.substring(start, at);
  }

  private String string() {
    expect('"');
    StringBuilder value = new StringBuilder();
    while (peek() != '"') {
      char c = text.charAt(at++);
      if (c == '\\') {
        c = peek();
        at++;
        if (c == 'u') {
          if (at + 4 > text.length()) {
            throw illegal();
          }
          c = (char) Integer.parseInt(text.substring(at, at + 4), 16);
          at += 4;
        }
      }
      value.append(c);
    }
    at++;
    return value.toString();
  }

  private char peek() {
    if (at >= text.length()) {
      throw illegal();
    }
    return text.charAt(at);
  }

  private void expect(char c) {
    if (peek() != c) {
      throw illegal();
    }
    at++;
  }

  private IllegalArgumentException illegal() {
    return new IllegalArgumentException("illegal text: at=" + at + " legal=an object of JSON");
  }
}
