package io.memcg4j.leak;

import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * How hard a scan works: the part of the time that each of its threads is busy; and when to stop.
 */
final class Pace {
  static final int MAX_PERCENT = 100;

  /** All of the time, to the end. */
  static final Pace FULL = new Pace(MAX_PERCENT, () -> false);

  private static final long SLICE_NANOS = 1_000_000;

  private final int percent;
  private final BooleanSupplier cancelled;

  /**
   * A pace.
   *
   * @param percent at most this part of the time, in {@code 1..100}
   */
  Pace(int percent, BooleanSupplier cancelled) {
    this.percent = percent;
    this.cancelled = cancelled;
  }

  boolean isCancelled() {
    return cancelled.getAsBoolean();
  }

  void check() {
    if (isCancelled()) {
      throw new CancellationException("scan cancelled");
    }
  }

  /**
   * Called now and then by a thread that works; sleeps when it has worked long enough.
   *
   * @param sinceNanos when it began to work
   * @return when it began to work, as of now
   */
  long rest(long sinceNanos) {
    check();
    if (percent >= MAX_PERCENT) {
      return sinceNanos;
    }
    long worked = System.nanoTime() - sinceNanos;
    if (worked < SLICE_NANOS) {
      return sinceNanos;
    }
    long until = System.nanoTime() + worked * (MAX_PERCENT - percent) / percent;
    boolean wasInterrupted = false;
    try {
      for (long left = until - System.nanoTime(); left > 0; left = until - System.nanoTime()) {
        LockSupport.parkNanos(this, left);
        wasInterrupted |= Thread.interrupted(); // or nobody would park any more
        check();
      }
    } finally {
      if (wasInterrupted) {
        Thread.currentThread().interrupt();
      }
    }
    return System.nanoTime();
  }
}
