package io.memcg4j.memcg;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Consumer;

/** Tells listeners of events, from a thread that exists only while there is something to tell. */
final class EventBell {
  /*
   * Ordering   ring: after the count. The bell's thread takes the set of groups, then reads counts:
   *            what was counted before it took the set is told; later counts ring again.
   * Locks      this, for a few steps; not held while listeners run.
   */
  private static final long INTERVAL_MILLIS = 10;

  private Set<MemCgroup> rung = new LinkedHashSet<>();
  private boolean running;

  synchronized void ring(MemCgroup group) {
    rung.add(group);
    if (!running) {
      running = true;
      Thread.ofPlatform().daemon().name("memcg4j-events").start(this::run);
    }
  }

  private void run() {
    while (true) {
      Set<MemCgroup> groups;
      synchronized (this) {
        groups = rung;
        if (groups.isEmpty()) {
          running = false;
          return;
        }
        rung = new LinkedHashSet<>();
      }
      groups.forEach(EventBell::tell);
      try {
        Thread.sleep(INTERVAL_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        synchronized (this) {
          running = false;
        }
        return;
      }
    }
  }

  private static void tell(MemCgroup group) {
    for (Consumer<MemoryEvents> listener : group.controls().listeners) {
      try {
        listener.accept(group.events());
      } catch (RuntimeException e) {
        System.getLogger(EventBell.class.getName())
            .log(System.Logger.Level.WARNING, "event listener failed: " + group.path(), e);
      }
    }
  }
}
