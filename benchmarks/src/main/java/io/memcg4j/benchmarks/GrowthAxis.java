package io.memcg4j.benchmarks;

import java.util.Arrays;
import java.util.List;

/** What there is more and more of in {@code bench growth}. A case is {@code AXIS/NUMBER}. */
enum GrowthAxis {
  TENANTS("tenants", "1 4 16 64 256 1000 10000 100000", "1 64 1000 10000"),
  OBJECTS(
      "objects", "10000 30000 100000 300000 1000000 10000000 100000000", "10000 100000 1000000"),
  THREADS("threads", "1 2 4 8 16 32 64", "1 4 16 64"),
  DEPTH("depth", "1 2 3 4 6 8 10 12", "1 4 12"),
  CACHES("caches", "1 4 16 64 256 1000", "1 64 1000");

  private final String text;
  private final String numbers; // with blanks between
  private final String fewNumbers;

  GrowthAxis(String text, String numbers, String fewNumbers) {
    this.text = text;
    this.numbers = numbers;
    this.fewNumbers = fewNumbers;
  }

  /** The axis of a case. */
  static GrowthAxis of(String caseName) {
    return Arrays.stream(values())
        .filter(axis -> caseName.startsWith(axis.text + "/"))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("unknown case: name=" + caseName));
  }

  /** How many there are in a case of any axis. */
  static int number(String caseName) {
    return Integer.parseInt(caseName.substring(caseName.indexOf('/') + 1));
  }

  /** As in the names of cases. */
  String text() {
    return text;
  }

  /** The names of its cases. */
  List<String> cases(boolean quick) {
    return Arrays.stream((quick ? fewNumbers : numbers).split(" ", -1))
        .map(number -> text + "/" + number)
        .toList();
  }

  /** Who is measured: kinds of threads and whom they work for, or the allocator as it is. */
  List<String> subjects() {
    return this == THREADS ? GrowthThreads.SUBJECTS : List.of(PeerSubject.OURS);
  }
}
