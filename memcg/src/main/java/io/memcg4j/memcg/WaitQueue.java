package io.memcg4j.memcg;

import java.time.Duration;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Threads that wait for room below one group's limit, first come first served. Any thread, platform
 * or virtual.
 */
final class WaitQueue {
  /*
   * Invariant  only the first in the queue tries; when it leaves, for whatever reason, it wakes the
   *            next one. So a large request at the head is not overtaken by small ones behind it.
   * Ordering   waiter: enter the queue, then try the charge, then park. uncharge: change the counter
   *            (an atomic add), then look at the queue (wake). All volatile: either the try sees
   *            the freed pages, or the uncharge sees the waiter and unparks it, which a park that
   *            follows notices (WaitQueueStress; twin: try, then enter).
   * Locks      none.
   * Not        an order between those who wait and those who do not; and memory that is freed into a
   * guaranteed slot's stock wakes nobody by itself: the head looks again, and drains, every 10 ms.
   */
  private static final long LOOK_NANOS = 10_000_000L;

  /** How each one in the queue is woken, the first one first. */
  private final ConcurrentLinkedQueue<Runnable> queue = new ConcurrentLinkedQueue<>();

  /** Something was given back: lets the first waiter try. Cheap when there is none. */
  void wake() {
    Runnable first = queue.peek();
    if (first != null) {
      first.run();
    }
  }

  void enter(Runnable waker) {
    queue.add(waker);
  }

  private Runnable enter() {
    Thread thread = Thread.currentThread();
    Runnable waker = new Waker(thread);
    enter(waker);
    return waker;
  }

  /** By identity: a thread may wait in a queue more than once, inside a shrinker. */
  private static final class Waker implements Runnable {
    private final Thread thread;

    Waker(Thread thread) {
      this.thread = thread;
    }

    @Override
    public void run() {
      LockSupport.unpark(thread);
    }
  }

  int length() {
    return queue.size();
  }

  /** Sleeps until something is given back here, or for a time. */
  void awaitChange(long nanos) {
    Runnable waiter = enter();
    LockSupport.parkNanos(this, nanos);
    leave(waiter);
  }

  /**
   * Waits until an attempt succeeds.
   *
   * @param attempt called by this thread when it is the first in the queue
   * @return false if the time is over
   * @throws InterruptedException if interrupted; nothing was charged then
   */
  boolean await(BooleanSupplier attempt, Duration timeout) throws InterruptedException {
    long deadlineNanos = System.nanoTime() + Math.max(0, saturatedNanos(timeout));
    Runnable waiter = enter();
    try {
      while (true) {
        if (queue.peek() == waiter && attempt.getAsBoolean()) {
          return true;
        }
        if (Thread.interrupted()) {
          throw new InterruptedException("interrupted while waiting for memory");
        }
        long left = deadlineNanos - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        LockSupport.parkNanos(this, Math.min(left, LOOK_NANOS));
      }
    } finally {
      leave(waiter);
    }
  }

  private void leave(Runnable waiter) {
    queue.remove(waiter);
    wake();
  }

  private static long saturatedNanos(Duration timeout) {
    long half = Long.MAX_VALUE / 2;
    return timeout.compareTo(Duration.ofNanos(half)) >= 0 ? half : timeout.toNanos();
  }
}
