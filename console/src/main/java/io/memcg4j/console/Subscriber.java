package io.memcg4j.console;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The queue of one client's stream. Whoever offers never waits: a client that is slow loses its own
 * messages, and is told how many.
 */
final class Subscriber {
  private final BlockingQueue<byte[]> queue;
  private final AtomicLong nrLost = new AtomicLong();

  Subscriber(int capacity) {
    queue = new ArrayBlockingQueue<>(capacity);
  }

  void offer(byte[] message) {
    if (!queue.offer(message)) {
      nrLost.incrementAndGet();
    }
  }

  /** The next message, or null after so long. */
  byte @Nullable [] poll(long millis) throws InterruptedException {
    return queue.poll(millis, TimeUnit.MILLISECONDS);
  }

  /** Forgets what waits. */
  void clear() {
    queue.clear();
  }

  /** Messages lost since the last call. */
  long takeLost() {
    return nrLost.getAndSet(0);
  }
}
