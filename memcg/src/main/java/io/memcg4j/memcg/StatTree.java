package io.memcg4j.memcg;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** Sums of declared memory up the tree, brought up to date lazily. */
final class StatTree {
  /*
   * Invariant  a group with pending changes is in updated, or its updater is about to put it there.
   *            Cost of a flush: groups that changed, times their depth; the others are not visited.
   *            The flusher, a virtual thread, exists while a group is queued, and not otherwise.
   * Ordering   update: put the group into updated, then look for the flusher. flusher: says that it
   *            is gone, then looks into updated once more. All volatile, so a group that is queued
   *            is flushed a period later, whether anybody reads or not.
   * Locks      flushing, for a few steps per group that changed; updates take none.
   * Not        that a sum and its parts are of one moment.
   * guaranteed
   * Origin     rstat of the kernel (kernel/cgroup/rstat.c): updated groups in a list, flushed up.
   */
  private static final long PERIOD_NANOS = 2_000_000_000L;

  private final ConcurrentLinkedQueue<MemCgroup> updated = new ConcurrentLinkedQueue<>();
  private final ReentrantLock flushing = new ReentrantLock();
  private final LongAdder pendingBytes = new LongAdder();
  private final AtomicBoolean flusherExists = new AtomicBoolean();
  private volatile long flushedNanos = System.nanoTime();

  void update(MemCgroup group, int item, long delta) {
    GroupStat stat = group.groupStat();
    stat.add(item, delta);
    if (item < GroupStat.NR_CLASSES) {
      pendingBytes.add(Math.abs(delta));
    }
    if (!stat.queued.get() && stat.queued.compareAndSet(false, true)) {
      updated.add(group);
      startFlusher();
    }
  }

  private void startFlusher() {
    if (!flusherExists.get() && flusherExists.compareAndSet(false, true)) {
      try {
        Thread.ofVirtual().name("memcg4j-stat").start(this::flushPeriodically);
      } catch (Throwable e) {
        flusherExists.set(false);
        throw e;
      }
    }
  }

  private void flushPeriodically() {
    do {
      long end = System.nanoTime() + PERIOD_NANOS;
      for (long left = PERIOD_NANOS; left > 0; left = end - System.nanoTime()) {
        LockSupport.parkNanos(this, left);
      }
      flush();
    } while (!updated.isEmpty() || !mayEnd());
  }

  private boolean mayEnd() {
    flusherExists.set(false);
    return updated.isEmpty() || !flusherExists.compareAndSet(false, true);
  }

  boolean flusherExists() {
    return flusherExists.get();
  }

  /** Flushes if more is pending, or for longer, than {@link MemCgroup#stat} promises. */
  void flushIfStale() {
    if (pendingBytes.sum() > MemCgroup.STAT_BOUND_BYTES
        || System.nanoTime() - flushedNanos > PERIOD_NANOS) {
      flush();
    }
  }

  void flush() {
    flushing.lock();
    try {
      flushedNanos = System.nanoTime();
      pendingBytes.reset();
      // No more than is there now, or a busy updater would keep the flush going.
      for (int left = updated.size(); left > 0; left--) {
        MemCgroup group = updated.poll();
        if (group == null) {
          break;
        }
        GroupStat stat = group.groupStat();
        stat.queued.set(false);
        for (int item = 0; item < GroupStat.NR_ITEMS; item++) {
          long delta = stat.take(item);
          for (MemCgroup level = group; delta != 0 && level != null; level = level.parent()) {
            level.groupStat().total.getAndAdd(item, delta);
          }
        }
      }
    } finally {
      flushing.unlock();
    }
  }

  int nrUpdated() {
    return updated.size();
  }
}
