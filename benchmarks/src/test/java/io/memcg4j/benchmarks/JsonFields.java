package io.memcg4j.benchmarks;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads the flat objects that {@link JsonLine} writes; refuses anything else. */
final class JsonFields {
  private static final Pattern OBJECT = Pattern.compile("\\{(.*)}");
  private static final Pattern FIELD =
      Pattern.compile("\\G(?:^|,)\"([A-Za-z]+)\":(\"[^\"\\\\]*\"|null|-?\\d+(?:\\.\\d+)?)");

  private JsonFields() {}

  /** The fields in their order; texts keep their quotation marks. */
  static Map<String, String> parse(String line) {
    Matcher object = OBJECT.matcher(line);
    if (!object.matches()) {
      throw new AssertionError("no JSON object: " + line);
    }
    Map<String, String> fields = new LinkedHashMap<>();
    Matcher field = FIELD.matcher(object.group(1));
    int end = 0;
    while (field.find()) {
      fields.put(field.group(1), field.group(2));
      end = field.end();
    }
    if (end != object.group(1).length()) {
      throw new AssertionError("bad JSON after column " + end + ": " + line);
    }
    return fields;
  }
}
