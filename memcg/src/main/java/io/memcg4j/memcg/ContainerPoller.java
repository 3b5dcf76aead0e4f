package io.memcg4j.memcg;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Runs the looks of {@link ContainerWatch}, each at its period. */
final class ContainerPoller {
  /*
   * Invariant  one daemon thread, which exists while there are watches.
   * Locks      lock guards watches and thread; never held while a watch looks.
   * Not        punctual: a callback that takes long delays the others. Looks that were missed are
   * guaranteed not made up for.
   */
  private final LongSupplier nanoTime;
  private final ThreadFactory threads;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Map<ContainerWatch, Long> due = new LinkedHashMap<>(); // under lock
  private boolean listChanged; // under lock
  private @Nullable Thread thread; // under lock

  ContainerPoller(LongSupplier nanoTime, ThreadFactory threads) {
    this.nanoTime = nanoTime;
    this.threads = threads;
  }

  static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "memcg4j-container");
    thread.setDaemon(true);
    return thread;
  }

  /**
   * The period in nanoseconds; a too long one is cut to what a long can hold.
   *
   * @throws IllegalArgumentException if it is not positive
   */
  static long nanos(Duration period) {
    if (period.isZero() || period.isNegative()) {
      throw new IllegalArgumentException("period must be positive: period=" + period);
    }
    Duration longest = Duration.ofDays(365);
    return (period.compareTo(longest) > 0 ? longest : period).toNanos();
  }

  void add(ContainerWatch watch) {
    lock.lock();
    try {
      due.put(watch, nanoTime.getAsLong() + watch.periodNanos());
      if (thread == null) {
        thread = threads.newThread(this::run);
        thread.start();
      }
      listChanged = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  void remove(ContainerWatch watch) {
    lock.lock();
    try {
      due.remove(watch);
      listChanged = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    while (true) {
      List<ContainerWatch> toLook = new ArrayList<>();
      lock.lock();
      try {
        if (due.isEmpty()) {
          thread = null;
          return;
        }
        long now = nanoTime.getAsLong();
        long wait = Long.MAX_VALUE;
        for (Map.Entry<ContainerWatch, Long> entry : due.entrySet()) {
          if (entry.getValue() - now <= 0) {
            toLook.add(entry.getKey());
            entry.setValue(now + entry.getKey().periodNanos());
          }
          wait = Math.min(wait, entry.getValue() - now);
        }
        listChanged = false;
        while (toLook.isEmpty() && wait > 0 && !listChanged) {
          wait = changed.awaitNanos(wait);
        }
      } catch (InterruptedException e) {
        continue; // nobody has reason to; the thread ends with the last watch
      } finally {
        lock.unlock();
      }
      toLook.forEach(ContainerWatch::poll);
    }
  }
}
