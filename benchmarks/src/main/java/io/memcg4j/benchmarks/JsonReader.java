package io.memcg4j.benchmarks;

import java.util.LinkedHashMap;
import java.util.Map;

/** Reads the flat objects that {@link JsonLine} writes; refuses anything else. */
final class JsonReader {
  private final String line;
  private int position;

  private JsonReader(String line) {
    this.line = line;
  }

  /**
   * The fields of an object in their order: texts without quotation marks, numbers as they are
   * written; what is null is left out.
   *
   * @throws IllegalArgumentException if the line is no such object
   */
  static Map<String, String> parse(String line) {
    JsonReader reader = new JsonReader(line.strip());
    Map<String, String> fields = new LinkedHashMap<>();
    reader.expect('{');
    while (reader.peek() != '}') {
      if (!fields.isEmpty()) {
        reader.expect(',');
      }
      String key = reader.text();
      reader.expect(':');
      String value = reader.peek() == '"' ? reader.text() : reader.word();
      if (!value.equals("null")) {
        fields.put(key, value);
      }
    }
    reader.expect('}');
    if (reader.position != reader.line.length()) {
      throw reader.bad();
    }
    return fields;
  }

  private char peek() {
    return position < line.length() ? line.charAt(position) : '\0';
  }

  private void expect(char c) {
    if (peek() != c) {
      throw bad();
    }
    position++;
  }

  private String text() {
    expect('"');
    StringBuilder text = new StringBuilder();
    while (peek() != '"') {
      char c = peek();
      expect(c == '\0' ? '"' : c);
      if (c == '\\') {
        char escaped = peek();
        position++;
        if (escaped == 'u' && position + 4 <= line.length()) {
          c = (char) Integer.parseInt(line.substring(position, position + 4), 16);
          position += 4;
        } else if (escaped == '"' || escaped == '\\') {
          c = escaped;
        } else {
          throw bad();
        }
      }
      text.append(c);
    }
    position++;
    return text.toString();
  }

  private String word() {
    int start = position;
    while (peek() != ',' && peek() != '}' && peek() != '\0') {
      position++;
    }
    String word = line.substring(start, position);
    if (!word.matches("null|-?\\d+(\\.\\d+)?")) {
      throw bad();
    }
    return word;
  }

  private IllegalArgumentException bad() {
    return new IllegalArgumentException("bad JSON: column=" + (position + 1) + " line=" + line);
  }
}
