package io.memcg4j.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What is in a file of a group, as JSON: a value, or keys with values. */
final class FileText {
  private FileText() {}

  static Map<String, @Nullable Object> json(String path, String text) {
    Map<String, @Nullable Object> object = new LinkedHashMap<>();
    object.put("path", path);
    String stripped = text.strip();
    if (!stripped.contains("\n") && !stripped.contains(" ")) {
      object.put("value", value(stripped));
      return object;
    }
    Map<String, @Nullable Object> keys = new LinkedHashMap<>();
    for (String line : stripped.split("\n", -1)) {
      String[] words = line.strip().split(" ", -1);
      if (words.length == 2 && !words[1].contains("=")) {
        keys.put(words[0], value(words[1]));
      } else {
        keys.put(words[0], nested(words));
      }
    }
    object.put("values", keys);
    return object;
  }

  /** {@code some avg10=0.00 avg60=0.00 total=0}. */
  private static Map<String, @Nullable Object> nested(String[] words) {
    Map<String, @Nullable Object> pairs = new LinkedHashMap<>();
    for (int i = 1; i < words.length; i++) {
      int equals = words[i].indexOf('=');
      pairs.put(
          equals < 0 ? words[i] : words[i].substring(0, equals),
          equals < 0 ? null : value(words[i].substring(equals + 1)));
    }
    return pairs;
  }

  private static Object value(String text) {
    if (text.matches("-?\\d{1,18}")) {
      return Long.valueOf(text);
    }
    return text.matches("-?\\d{1,15}\\.\\d{1,15}") ? (Object) Double.valueOf(text) : text;
  }
}
