package io.memcg4j.slab;

import org.jspecify.annotations.Nullable;

/**
 * Gives memory back to the OS that has not been used again for a second: emptied slabs, and those
 * that others emptied while their slot is idle. A daemon thread does it, which exists only while
 * there is something to give back.
 */
final class Purger {
  /*
   * Ordering   whoever leaves something to do calls wake() after that; the thread looks for something
   *            to do after it has said that it ends. So one of the two sees the other.
   */
  private static final long DELAY_NANOS = 1_000_000_000L;
  private static final long PERIOD_MILLIS = 500;

  private final SlabAllocator allocator;
  private volatile @Nullable Thread thread;
  private volatile boolean closed;

  Purger(SlabAllocator allocator) {
    this.allocator = allocator;
  }

  /** There is something to give back. Any thread; one load while the purge thread runs. */
  void wake() {
    if (thread == null && !closed) {
      start();
    }
  }

  private synchronized void start() {
    if (thread != null || closed) {
      return;
    }
    // Started by whoever comes first: nothing of that thread's context belongs here.
    Thread purging =
        Thread.ofPlatform()
            .name("memcg4j-purge")
            .daemon()
            .inheritInheritableThreadLocals(false)
            .unstarted(this::run);
    purging.setContextClassLoader(null);
    thread = purging;
    try {
      purging.start();
    } catch (OutOfMemoryError e) {
      thread = null; // no more threads: a free must not fail for that, and the next one tries again
    }
  }

  private void run() {
    try {
      // Sleep first: what is noted is often done by its owner a moment later, and then noted again.
      do {
        Thread.sleep(PERIOD_MILLIS);
        allocator.purge(System.nanoTime() - DELAY_NANOS);
      } while (!closed && allocator.hasSomethingToPurge());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    thread = null;
    if (!closed && allocator.hasSomethingToPurge()) {
      wake();
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
