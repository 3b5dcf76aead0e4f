package io.memcg4j.testkit;

import java.util.Locale;

/** How hard the real code is tried: the system property {@code memcg4j.jcstress}. */
enum Effort {
  SHORT(250, 4),
  LONG(500, 20),
  /** By jcstress's own driver; forks, of broken twins, as short ones. */
  FULL(250, 4);

  final int iterationMillis;

  /** In one JVM. */
  final int nrIterations;

  Effort(int iterationMillis, int nrIterations) {
    this.iterationMillis = iterationMillis;
    this.nrIterations = nrIterations;
  }

  static Effort chosen() {
    String value = System.getProperty("memcg4j.jcstress", "short");
    for (Effort effort : values()) {
      if (effort.toString().equals(value)) {
        return effort;
      }
    }
    throw new IllegalArgumentException(
        "unknown value: memcg4j.jcstress=" + value + " (expected: short, long or full)");
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
