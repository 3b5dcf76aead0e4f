package io.memcg4j.soak;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Lets everybody work, but while somebody looks: what is compared with a model has to stand still.
 */
final class Gate {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private int nrInside;
  private volatile boolean isClosing;
  private boolean isClosed;

  /** Begins a step; waits while somebody looks or wants to. */
  void enter() {
    lock.lock();
    try {
      while (isClosing) {
        changed.awaitUninterruptibly();
      }
      nrInside++;
    } finally {
      lock.unlock();
    }
  }

  /** Begins what a step may be waiting for, such as a callback: waits only while somebody looks. */
  void enterWithin() {
    lock.lock();
    try {
      while (isClosed) {
        changed.awaitUninterruptibly();
      }
      nrInside++;
    } finally {
      lock.unlock();
    }
  }

  void exit() {
    lock.lock();
    try {
      nrInside--;
      if (nrInside == 0) {
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether a long step had better end soon. */
  boolean isWanted() {
    return isClosing;
  }

  /**
   * Waits until nobody is inside, and keeps everybody out.
   *
   * @return false if somebody stayed inside for that long
   */
  boolean close(long seconds) throws InterruptedException {
    long nanos = TimeUnit.SECONDS.toNanos(seconds);
    lock.lock();
    try {
      isClosing = true;
      while (nrInside > 0 && nanos > 0) {
        nanos = changed.awaitNanos(nanos);
      }
      isClosed = nrInside == 0;
      return isClosed;
    } finally {
      lock.unlock();
    }
  }

  void open() {
    lock.lock();
    try {
      isClosing = false;
      isClosed = false;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
