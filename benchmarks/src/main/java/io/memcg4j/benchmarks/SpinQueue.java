package io.memcg4j.benchmarks;

import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Passes things from one thread to another. Whoever has to wait spins: a queue that parks takes
 * longer over each batch than the allocators that are compared. Deep, as a hypervisor takes the
 * processor from a guest that pauses in a loop: with 16 places both sides waited in turns, for as
 * long as the allocators took.
 */
final class SpinQueue {
  static final int CAPACITY = 128;
  private static final int SPINS_BEFORE_YIELD = 2_000;

  private final AtomicReferenceArray<Object> places = new AtomicReferenceArray<>(CAPACITY);
  private int head;
  private int tail;
  private volatile boolean closed;

  /** By one thread only. */
  void put(Object item) {
    for (int spins = 0; places.getAcquire(tail) != null; spins++) {
      await(spins);
    }
    places.setRelease(tail, item);
    tail = (tail + 1) % CAPACITY;
  }

  /** By one thread only. */
  Object take() {
    Object item = places.getAcquire(head);
    for (int spins = 0; item == null; spins++) {
      await(spins);
      item = places.getAcquire(head);
    }
    places.setRelease(head, null);
    head = (head + 1) % CAPACITY;
    return item;
  }

  /** By any thread: nobody waits any longer. */
  void close() {
    closed = true;
  }

  private void await(int spins) {
    if (closed) {
      throw new IllegalStateException("the other side has failed");
    }
    if (spins < SPINS_BEFORE_YIELD) {
      Thread.onSpinWait();
    } else {
      Thread.yield(); // platform threads: the other side may need this processor
    }
  }
}
