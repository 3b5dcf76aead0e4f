package io.memcg4j.console;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;

/**
 * Runs each request on a virtual thread of its own, so many at once, and each with a deadline from
 * its first byte on. Any thread.
 */
final class Connections implements Executor {
  /** Requests that are served at once; the server closes the connections of others. */
  static final int MAX_REQUESTS = 256;

  private final ScheduledExecutorService timer;
  private final Duration headLimit;
  private final Semaphore free = new Semaphore(MAX_REQUESTS);
  private final Map<Thread, Deadline> running = new ConcurrentHashMap<>();
  private volatile boolean closed;

  Connections(ScheduledExecutorService timer, Duration headLimit) {
    this.timer = timer;
    this.headLimit = headLimit;
  }

  @Override
  public void execute(Runnable exchange) {
    if (closed || !free.tryAcquire()) {
      throw new RejectedExecutionException("too many requests: legal=" + MAX_REQUESTS);
    }
    Thread.ofVirtual().name("memcg4j-console-request").start(() -> serve(exchange));
  }

  private void serve(Runnable exchange) {
    Deadline deadline = new Deadline(timer, Thread.currentThread());
    running.put(Thread.currentThread(), deadline);
    try {
      if (!closed) {
        deadline.start(headLimit);
        exchange.run();
      }
    } finally {
      running.remove(Thread.currentThread());
      deadline.stop();
      free.release();
    }
  }

  /** The deadline of the request that this thread serves. */
  Deadline deadline() {
    Deadline deadline = running.get(Thread.currentThread());
    if (deadline == null) {
      throw new IllegalStateException(
          "not a thread of a request: thread=" + Thread.currentThread());
    }
    return deadline;
  }

  /** Ends all that is running, streams above all. */
  void close() {
    closed = true;
    running.values().forEach(Deadline::interrupt);
  }
}
