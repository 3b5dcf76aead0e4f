package io.memcg4j.console;

import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/** So many a second, and so many at once after a quiet time: a token bucket. Any thread. */
final class RateLimit {
  private static final double NANOS_PER_SECOND = 1e9;

  private final double perSecond;
  private final double burst;
  private final LongSupplier nanoTime;
  private final ReentrantLock lock = new ReentrantLock();
  private double tokens;
  private long lastNanos;

  RateLimit(int perSecond, int burst) {
    this(perSecond, burst, System::nanoTime);
  }

  RateLimit(int perSecond, int burst, LongSupplier nanoTime) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.nanoTime = nanoTime;
    this.tokens = burst;
    this.lastNanos = nanoTime.getAsLong();
  }

  boolean tryAcquire() {
    lock.lock();
    try {
      long now = nanoTime.getAsLong();
      tokens = Math.min(burst, tokens + (now - lastNanos) / NANOS_PER_SECOND * perSecond);
      lastNanos = now;
      if (tokens < 1) {
        return false;
      }
      tokens--;
      return true;
    } finally {
      lock.unlock();
    }
  }
}
