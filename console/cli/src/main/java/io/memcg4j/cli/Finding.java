package io.memcg4j.cli;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What doctor found.
 *
 * @param check what was looked at
 * @param status how it is
 * @param found one line
 * @param advice what to do; empty if nothing
 */
record Finding(String check, Status status, String found, String advice) {
  enum Status {
    OK,
    /** Works, but not as well as it could. */
    WARN,
    /** Does not work. */
    FAIL
  }

  static Finding ok(String check, String found) {
    return new Finding(check, Status.OK, found, "");
  }

  static Finding warn(String check, String found, String advice) {
    return new Finding(check, Status.WARN, found, advice);
  }

  static Finding fail(String check, String found, String advice) {
    return new Finding(check, Status.FAIL, found, advice);
  }

  String text() {
    String first =
        String.format(
            Locale.ROOT,
            "%-4s  %-14s %s",
            status.name().toLowerCase(Locale.ROOT),
            check,
            Printable.line(found));
    return advice.isEmpty() ? first : first + "\n                      -> " + advice;
  }

  String json() {
    Map<String, @Nullable Object> line = new LinkedHashMap<>();
    line.put("check", check);
    line.put("status", status.name().toLowerCase(Locale.ROOT));
    line.put("found", found);
    line.put("advice", advice);
    return Json.write(line);
  }
}
