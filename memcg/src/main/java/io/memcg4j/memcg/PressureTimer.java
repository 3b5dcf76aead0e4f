package io.memcg4j.memcg;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Clock of the accounts of one tree, and the thread that looks after their triggers. */
final class PressureTimer {
  /*
   * Invariant  the thread exists while there is an account with a trigger, and not otherwise.
   * Ordering   it sleeps without a limit once nothing happened for IDLE_POLLS looks. Before that it
   *            writes dormant, then looks for news once more; a thread that begins or ends to wait
   *            publishes that, then reads dormant. All volatile, so one sees the other.
   * Locks      lock guards the accounts, their lists of triggers and the thread. Never held while a
   *            callback runs.
   * Not        punctual: a callback that takes long delays the others.
   * guaranteed
   */

  /** Looks without anything new before the thread sleeps until it is woken. */
  static final int IDLE_POLLS = 10;

  private final LongSupplier nanoTime;
  private final ThreadFactory threads;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Set<PressureAccount> watched = new LinkedHashSet<>(); // under lock
  private @Nullable Thread thread; // under lock
  private boolean listChanged; // under lock
  private volatile boolean dormant;

  PressureTimer() {
    this(System::nanoTime, PressureTimer::daemon);
  }

  /**
   * @param nanoTime the clock of the tree
   * @param threads makes the thread; called with the lock held
   */
  PressureTimer(LongSupplier nanoTime, ThreadFactory threads) {
    this.nanoTime = nanoTime;
    this.threads = threads;
  }

  static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "memcg4j-pressure");
    thread.setDaemon(true);
    return thread;
  }

  long now() {
    return nanoTime.getAsLong();
  }

  void lock() {
    lock.lock();
  }

  void unlock() {
    lock.unlock();
  }

  /** The lock is held. */
  void watch(PressureAccount account) {
    watched.add(account);
    if (thread == null) {
      thread = threads.newThread(this::run);
      thread.start();
    }
    dormant = false;
    listChanged = true;
    changed.signalAll();
  }

  /** The lock is held. */
  void unwatch(PressureAccount account) {
    watched.remove(account);
    listChanged = true;
    changed.signalAll();
  }

  /** Somebody begins or ends to wait in an account with triggers. */
  void wake() {
    if (dormant) {
      lock.lock();
      try {
        dormant = false;
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  private void run() {
    int nrIdle = 0;
    while (true) {
      List<PressureAccount> accounts;
      lock.lock();
      try {
        if (watched.isEmpty()) {
          thread = null;
          return;
        }
        accounts = List.copyOf(watched);
      } finally {
        lock.unlock();
      }
      boolean active = false;
      long now = now();
      for (PressureAccount account : accounts) {
        active |= account.poll(now);
      }
      nrIdle = active ? 0 : nrIdle + 1;
      if (sleep(nrIdle >= IDLE_POLLS)) {
        nrIdle = 0;
      }
    }
  }

  /** Until the next look is due, or something changed; true if it lay dormant. */
  private boolean sleep(boolean idle) {
    lock.lock();
    try {
      if (idle) {
        dormant = true;
        while (dormant
            && !watched.isEmpty()
            && watched.stream().noneMatch(PressureAccount::hasNews)) {
          changed.awaitUninterruptibly();
        }
        dormant = false;
        return true;
      }
      long period = Long.MAX_VALUE;
      for (PressureAccount account : watched) {
        period = Math.min(period, account.pollPeriodNanos());
      }
      while (period > 0 && !listChanged) {
        period = changed.awaitNanos(period);
      }
      listChanged = false;
    } catch (InterruptedException e) {
      // Nobody has reason to interrupt this thread; it ends when the last trigger is gone.
      return false;
    } finally {
      lock.unlock();
    }
    return false;
  }

  /** Whether there is a thread; racy but for its holder of the lock. */
  boolean isRunning() {
    lock.lock();
    try {
      return thread != null;
    } finally {
      lock.unlock();
    }
  }
}
