package io.memcg4j.benchmarks;

/**
 * A case of open, allocate, close.
 *
 * @param shared whether any thread may use the arena
 * @param nrSegments segments of 64 bytes that are allocated in it
 * @param nrThreads threads that do it at the same time, each with arenas of its own
 */
record ArenaCase(boolean shared, int nrSegments, int nrThreads) {
  String text() {
    return (shared ? "shared" : "confined") + "/segments" + nrSegments + "/threads" + nrThreads;
  }

  static ArenaCase parse(String text) {
    String[] parts = text.split("/", -1);
    if (parts.length != 3 || !(parts[0].equals("shared") || parts[0].equals("confined"))) {
      throw new IllegalArgumentException("unknown case: name=" + text);
    }
    return new ArenaCase(
        parts[0].equals("shared"),
        Integer.parseInt(parts[1].substring("segments".length())),
        Integer.parseInt(parts[2].substring("threads".length())));
  }
}
