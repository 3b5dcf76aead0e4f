package io.memcg4j.console;

import java.time.Duration;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Interrupts a thread that is too long at a read or a write of its connection, which closes it. For
 * the thread that it is of; not running while that does anything else.
 */
final class Deadline {
  /*
   * Locks      lock, over the interrupt too: once stop() has returned no interrupt comes, so that
   *            none reaches a shrinker or another callback of the application.
   */
  private final ScheduledExecutorService timer;
  private final Thread thread;
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable ScheduledFuture<?> running;

  Deadline(ScheduledExecutorService timer, Thread thread) {
    this.timer = timer;
    this.thread = thread;
  }

  void start(Duration limit) {
    lock.lock();
    try {
      stop();
      running = timer.schedule(this::expire, limit.toNanos(), TimeUnit.NANOSECONDS);
    } finally {
      lock.unlock();
    }
  }

  void stop() {
    lock.lock();
    try {
      if (running != null) {
        running.cancel(false);
        running = null;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Ends whatever the thread waits for. */
  void interrupt() {
    thread.interrupt();
  }

  private void expire() {
    lock.lock();
    try {
      // A later start() has another task, and this one was cancelled while it waited for the lock.
      if (running != null && running.getDelay(TimeUnit.NANOSECONDS) <= 0) {
        thread.interrupt();
      }
    } finally {
      lock.unlock();
    }
  }
}
