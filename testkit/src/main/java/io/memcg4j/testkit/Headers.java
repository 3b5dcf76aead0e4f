package io.memcg4j.testkit;

import java.util.List;
import java.util.Locale;

/** The headers of objects in the JVMs that are tried: the property {@code memcg4j.headers}. */
enum Headers {
  /** As the JVM has them by itself. */
  DEFAULT(""),
  /** 8 bytes (JEP 519). */
  COMPACT("-XX:+UseCompactObjectHeaders"),
  /** 12 or 16 bytes. */
  CLASSIC("-XX:-UseCompactObjectHeaders");

  private final String flag;

  Headers(String flag) {
    this.flag = flag;
  }

  List<String> flags() {
    return flag.isEmpty() ? List.of() : List.of(flag);
  }

  static Headers chosen() {
    String value = System.getProperty("memcg4j.headers", "default");
    for (Headers headers : values()) {
      if (headers.toString().equals(value)) {
        return headers;
      }
    }
    throw new IllegalArgumentException(
        "unknown value: memcg4j.headers=" + value + " (expected: default, compact or classic)");
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
