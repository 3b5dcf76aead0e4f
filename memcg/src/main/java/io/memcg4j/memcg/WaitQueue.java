package io.memcg4j.memcg;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * Requests that wait for room below one group's limit, first come first served. Any thread,
 * platform or virtual. {@link RoomWait} is what waits here.
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
   * Not        an order between those who wait and those who do not.
   * guaranteed
   */

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

  void leave(Runnable waker) {
    queue.remove(waker);
    wake();
  }

  boolean isFirst(Runnable waker) {
    return queue.peek() == waker;
  }

  boolean isEmpty() {
    return queue.peek() == null;
  }

  int length() {
    return queue.size();
  }

  /** Wakes the requests of a group that was removed, wherever in the queue they are. */
  void wakeAllOf(MemCgroup removed) {
    for (Runnable waker : queue) {
      if (waker instanceof RoomWait.Waker waiting && waiting.isOf(removed)) {
        waiting.run();
      }
    }
  }

  /** By identity: a thread may wait in a queue more than once, inside a shrinker. */
  private static final class Sleeper implements Runnable {
    private final Thread thread = Thread.currentThread();

    @Override
    public void run() {
      LockSupport.unpark(thread);
    }
  }

  /** Sleeps until something is given back here, or for a time. */
  void awaitChange(long nanos) {
    Runnable waiter = new Sleeper();
    enter(waiter);
    LockSupport.parkNanos(this, nanos);
    leave(waiter);
  }
}
