package io.memcg4j.leak;

import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** The thread that scans now and then; it exists only while that is on. */
final class PeriodicScan {
  /*
   * Ordering   thread is volatile: a thread that is no longer the one here ends, and cancels its scan.
   *            It is unparked after that was written.
   * Locks      this, for starting and stopping; nothing is called with it held.
   * Origin     kmemleak_scan_thread of Linux mm/kmemleak.c: the delay before the first scan of all is
   *            waited for once, not at each start.
   */
  private static final System.Logger LOGGER = System.getLogger(PeriodicScan.class.getName());
  private static final long NANOS_PER_MILLI = 1_000_000;

  private final Kmemleak kmemleak;
  private final long firstDelayNanos;
  private volatile long periodNanos;
  private volatile boolean hasWaited;
  private volatile @Nullable Thread thread;

  PeriodicScan(Kmemleak kmemleak, Duration firstDelay, Duration period) {
    this.kmemleak = kmemleak;
    firstDelayNanos = nanos(firstDelay);
    periodNanos = nanos(period);
  }

  /** Centuries are enough. */
  private static long nanos(Duration time) {
    return time.compareTo(Duration.ofNanos(Long.MAX_VALUE / 4)) > 0
        ? Long.MAX_VALUE / 4
        : time.toNanos();
  }

  /** Time from the end of a scan to the next one; counts from the next start. */
  void period(long millis) {
    periodNanos = millis * NANOS_PER_MILLI;
  }

  synchronized void start() {
    if (thread == null) {
      Thread made =
          Thread.ofPlatform()
              .daemon()
              .name("memcg4j-kmemleak")
              .priority(Thread.MIN_PRIORITY)
              .unstarted(this::run);
      made.setContextClassLoader(null);
      thread = made;
      made.start();
    }
  }

  /** Returns at once; a scan of the thread is cancelled. */
  synchronized void stop() {
    Thread old = thread;
    thread = null;
    LockSupport.unpark(old);
  }

  @Nullable Thread thread() {
    return thread;
  }

  boolean isOn() {
    return thread != null;
  }

  private void run() {
    Thread me = Thread.currentThread();
    long delayNanos = hasWaited ? 0 : firstDelayNanos;
    while (sleep(me, delayNanos)) {
      hasWaited = true;
      try {
        kmemleak.scan(() -> thread != me);
      } catch (HeapDumpException e) {
        LOGGER.log(Level.WARNING, "periodic scan failed; the next one is tried", e);
      } catch (CancellationException e) {
        // By stop, which the loop sees; or by someone who wants the next one.
      } catch (RuntimeException | Error e) {
        // Off, or closed, or failed: whoever refused has logged why.
        end(me);
        return;
      }
      delayNanos = periodNanos;
    }
  }

  private synchronized void end(Thread me) {
    if (thread == me) {
      thread = null;
    }
  }

  /** False if it was stopped. */
  private boolean sleep(Thread me, long nanos) {
    long until = System.nanoTime() + nanos;
    for (long left = nanos; left > 0 && thread == me; left = until - System.nanoTime()) {
      LockSupport.parkNanos(this, left);
      boolean _ = Thread.interrupted(); // nobody's business: else nobody would park any more
    }
    return thread == me;
  }
}
