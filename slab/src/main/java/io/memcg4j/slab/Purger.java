package io.memcg4j.slab;

import org.jspecify.annotations.Nullable;

/**
 * Gives the memory of emptied slabs back to the OS when they have not been used again for a second.
 * A daemon thread does it, which exists only while there is something to give back.
 */
final class Purger {
  private static final long DELAY_NANOS = 1_000_000_000L;
  private static final long PERIOD_MILLIS = 500;

  private final SlabRange range;
  private volatile @Nullable Thread thread;
  private volatile boolean closed;

  Purger(SlabRange range) {
    this.range = range;
  }

  /** Something is being retired: now is its time stamp, and somebody will come for it. */
  long retiring() {
    if (thread == null && !closed) {
      start();
    }
    return System.nanoTime();
  }

  private synchronized void start() {
    if (thread == null && !closed) {
      Thread purging = new Thread(this::run, "memcg4j-purge");
      purging.setDaemon(true);
      thread = purging;
      purging.start();
    }
  }

  private void run() {
    try {
      // Twice empty: a slab whose time stamp was taken before it is in the list is not overlooked.
      for (int nrEmpty = 0; nrEmpty < 2 && !closed; ) {
        Thread.sleep(PERIOD_MILLIS);
        range.purge(System.nanoTime() - DELAY_NANOS, false);
        nrEmpty = range.retainedBytes() == 0 ? nrEmpty + 1 : 0;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      thread = null;
    }
  }

  void close() {
    closed = true;
    Thread purging = thread;
    if (purging != null) {
      purging.interrupt();
    }
  }
}
