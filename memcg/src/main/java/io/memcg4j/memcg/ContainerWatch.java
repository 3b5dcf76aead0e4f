package io.memcg4j.memcg;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Something about the container that is looked at again and again until this is closed. One daemon
 * thread does so for all watches of a {@link ContainerMemory}, so callbacks should be short.
 */
public final class ContainerWatch implements AutoCloseable {
  private final ContainerPoller poller;
  private final long periodNanos;
  private final Runnable look;
  private final Runnable atEnd;
  private final AtomicBoolean open = new AtomicBoolean(true);
  private final AtomicLong failed = new AtomicLong();

  ContainerWatch(ContainerPoller poller, long periodNanos, Runnable look) {
    this(poller, periodNanos, look, () -> {});
  }

  /**
   * @param atEnd lets go of what the looks need
   */
  ContainerWatch(ContainerPoller poller, long periodNanos, Runnable look, Runnable atEnd) {
    this.poller = poller;
    this.periodNanos = periodNanos;
    this.look = look;
    this.atEnd = atEnd;
  }

  long periodNanos() {
    return periodNanos;
  }

  /** One look; by one thread at a time. */
  void poll() {
    if (open.get()) {
      try {
        look.run();
      } catch (Throwable e) {
        failed.getAndIncrement(); // harms no other watch
      }
    }
  }

  /**
   * How often the callback threw.
   *
   * @return looks that did not end normally
   */
  public long nrFailed() {
    return failed.get();
  }

  /** Ends it. A callback that is on its way may still run. */
  @Override
  public void close() {
    if (open.getAndSet(false)) {
      poller.remove(this);
      atEnd.run();
    }
  }
}
