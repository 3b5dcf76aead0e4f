package io.memcg4j.console;

import java.time.Duration;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What is dear to make is made at most so often, however many ask. Any thread. */
final class Shared<T> {
  /*
   * Locks      lock, while it is made: who asks meanwhile waits for the same.
   */
  private final long maxAgeNanos;
  private final Supplier<T> maker;
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable T value;
  private long madeNanos;

  Shared(Duration maxAge, Supplier<T> maker) {
    this.maxAgeNanos = maxAge.toNanos();
    this.maker = maker;
  }

  T get() {
    lock.lock();
    try {
      T current = value;
      if (current == null || System.nanoTime() - madeNanos > maxAgeNanos) {
        current = maker.get();
        value = current;
        madeNanos = System.nanoTime();
      }
      return current;
    } finally {
      lock.unlock();
    }
  }

  /** The next one to ask gets a new one. */
  void forget() {
    lock.lock();
    try {
      value = null;
    } finally {
      lock.unlock();
    }
  }
}
