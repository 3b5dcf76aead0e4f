package io.memcg4j.benchmarks;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** What is measured: a kind of work, and its variants. Each kind has a process of its own. */
enum PeerCase {
  /** Allocate and free, one after the other. */
  PAIRS("16", "64", "256", "1024", "4096"),
  /** Allocate a million, then free them. */
  HELD("16", "64", "256", "1024", "4096"),
  /** Sizes at random, each object freed when another one takes its place in a window. */
  RANDOM("live10000"),
  /** Allocated by one thread, freed by another. */
  HANDOFF("64", "1024"),
  /** The allocations of real programs. */
  REPLAY("gcc-compile", "git-log", "hotspot-javac", "jq-group", "lua-tables", "sqlite-oltp"),
  /** Virtual threads, each of one of a thousand tenants. */
  VTHREADS("100000"),
  /** A tenant near its limit, and above it. */
  LIMIT("64"),
  /** Resident memory beside the payload. */
  MEMORY("64");

  private static final List<String> QUICK = List.of("64", "sqlite-oltp", "live10000", "100000");

  private final String variants;

  PeerCase(String... variants) {
    this.variants = String.join(",", variants);
  }

  /** As on the command line. */
  String text() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Its cases, such as {@code pairs/64}. */
  List<String> cases(boolean quick) {
    return Stream.of(variants.split(",", -1))
        .filter(variant -> !quick || QUICK.contains(variant))
        .map(variant -> text() + "/" + variant)
        .toList();
  }

  /** The kind of a case. */
  static PeerCase of(String caseName) {
    for (PeerCase kind : values()) {
      if (caseName.startsWith(kind.text() + "/")) {
        return kind;
      }
    }
    throw new IllegalArgumentException("unknown case: name=" + caseName);
  }

  /** What stands after the kind in a case. */
  static String variant(String caseName) {
    return caseName.substring(caseName.indexOf('/') + 1);
  }
}
