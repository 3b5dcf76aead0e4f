package io.memcg4j.slab;

import java.util.Locale;

/**
 * Who allocated or freed an object, and when.
 *
 * @param site call site in the depot
 * @param timeNanos {@link System#nanoTime}
 * @param thread its name and id
 */
record SlabEvent(int site, long timeNanos, String thread) {
  static final SlabEvent NONE = new SlabEvent(StackDepot.NONE, 0, "");

  static SlabEvent now(AllocationProfile profile) {
    Thread thread = Thread.currentThread();
    return new SlabEvent(
        profile.captureSite(), System.nanoTime(), thread.getName() + "," + thread.threadId());
  }

  /** Nothing for an event that did not happen. */
  void describe(String what, StackDepot depot, StringBuilder text) {
    if (this == NONE) {
      return;
    }
    text.append(
        String.format(
            Locale.ROOT,
            "%s by %s, %.3f s ago at:%n",
            what,
            thread,
            (System.nanoTime() - timeNanos) / 1e9));
    for (StackTraceElement frame : depot.frames(site)) {
      text.append(' ').append(frame).append(System.lineSeparator());
    }
  }
}
