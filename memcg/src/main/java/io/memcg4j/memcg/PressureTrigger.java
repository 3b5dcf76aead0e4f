package io.memcg4j.memcg;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * A request to be told when threads of a group wait too much for memory: when the total of {@code
 * some} or {@code full} grows by a threshold within a window. At most one event per window; an
 * event that comes too early is held back until it is due.
 *
 * <p>The callback is run by one thread for the whole tree, so it should be short. If it throws,
 * that is counted, and nothing else happens.
 */
public final class PressureTrigger implements AutoCloseable {
  /*
   * Layout     window is the poller's alone; the rest is for everybody.
   * Invariant  no callback begins after close has returned, but for one on its way already.
   * Locks      takes none of its own; callbacks are run without any.
   */
  private static final int POLLS_PER_WINDOW = 10;

  /** So that a tiny window does not make the timer spin. */
  private static final long MIN_POLL_PERIOD_NANOS = 10_000_000;

  private final PressureAccount account;
  private final StallThreshold threshold;
  private final StallThreshold.Window window;
  private final Consumer<Pressure> onPressure;
  private final Runnable onClosed;
  private final AtomicBoolean open = new AtomicBoolean(true);
  private final AtomicLong fired = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();

  PressureTrigger(
      PressureAccount account,
      StallThreshold threshold,
      Consumer<Pressure> onPressure,
      Runnable onClosed) {
    this.account = account;
    this.threshold = threshold;
    this.window = new StallThreshold.Window(threshold);
    this.onPressure = onPressure;
    this.onClosed = onClosed;
  }

  void begin(long now) {
    window.begin(now, threshold.totalMicros(account.pressure(now)));
  }

  /** Tells if it is due; true if there is reason to look again soon. */
  boolean poll(long now, Pressure pressure) {
    if (window.look(now, threshold.totalMicros(pressure)) && open.get()) {
      fired.getAndIncrement();
      call(() -> onPressure.accept(pressure));
    }
    return window.isActive();
  }

  /** Whether something happened since {@link #poll}. For the poller. */
  boolean hasNews(Pressure pressure) {
    return window.hasNews(threshold.totalMicros(pressure));
  }

  long pollPeriodNanos() {
    return Math.max(MIN_POLL_PERIOD_NANOS, window.windowNanos() / POLLS_PER_WINDOW);
  }

  void groupRemoved() {
    if (open.getAndSet(false)) {
      call(onClosed);
    }
  }

  private void call(Runnable callback) {
    try {
      callback.run();
    } catch (Throwable e) {
      failed.getAndIncrement();
    }
  }

  /**
   * Whether events may still come.
   *
   * @return false once closed, or once the group was removed
   */
  public boolean isOpen() {
    return open.get();
  }

  /**
   * How often it fired.
   *
   * @return callbacks that were begun
   */
  public long nrFired() {
    return fired.get();
  }

  /**
   * How often a callback threw.
   *
   * @return callbacks that did not end normally
   */
  public long nrFailed() {
    return failed.get();
  }

  /** Ends it. A callback that is on its way may still run. */
  @Override
  public void close() {
    if (open.getAndSet(false)) {
      account.removeTrigger(this);
    }
  }

  /**
   * What was asked for.
   *
   * @return {@code some|full THRESHOLD_US WINDOW_US}
   */
  @Override
  public String toString() {
    return threshold.toString();
  }
}
