package io.memcg4j.soak;

import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Handler;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/** The first thing that went wrong, and whether it is over. */
final class Failure {
  /** The message of every exception that is thrown on purpose. */
  static final String INJECTED = "injected by the soak test";

  /** What listeners throw on purpose is logged by the product: thousands of times here. */
  static void keepInjectedQuiet() {
    for (Handler handler : Logger.getLogger("").getHandlers()) {
      handler.setFilter(
          entry -> entry.getThrown() == null || !INJECTED.equals(entry.getThrown().getMessage()));
    }
  }

  private record First(String during, Throwable thrown, double second) {}

  private final long startNanos = System.nanoTime();
  private final AtomicReference<@Nullable First> first = new AtomicReference<>();
  private volatile boolean isStopped;

  void set(String during, Throwable thrown) {
    first.compareAndSet(null, new First(during, thrown, second()));
  }

  double second() {
    return (System.nanoTime() - startNanos) / 1e9;
  }

  boolean isOver() {
    return isStopped || first.get() != null;
  }

  void stop() {
    isStopped = true;
  }

  /** Throws what went wrong, if anything did, with all that is needed to see it again. */
  void rethrow(long seed, String lastSteps) {
    First found = first.get();
    if (found != null) {
      throw new AssertionError(
          String.format(
              Locale.ROOT,
              "soak failed: seed=%d second=%.1f during=%s: %s%nlast steps:%n%s",
              seed,
              found.second(),
              found.during(),
              found.thrown(),
              lastSteps),
          found.thrown());
    }
  }
}
