package io.memcg4j.objcg;

import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The last elements of a sequence that grows for ever, by number. Who comes too late for an element
 * is told so.
 *
 * @param <T> the elements
 */
final class HistoryRing<T> {
  /*
   * Invariant  elements nrAdded - length + 1 to nrAdded - 1 are there; the one before them is being
   *            overwritten, or will be.
   * Ordering   add stores the element, then the count; get loads the element, then the count (all
   *            volatile). An element that get sees in the place of an older one was stored when the
   *            count was a whole length beyond that, so get sees such a count and gives up
   *            (HistoryRingStress, twin: one element more is trusted).
   * Locks      none; add is called by one thread at a time.
   */
  private final AtomicReferenceArray<@Nullable T> elements;
  private volatile long nrAdded;

  /**
   * An empty one.
   *
   * @param length a power of two
   */
  HistoryRing(int length) {
    elements = new AtomicReferenceArray<>(length);
  }

  /** By one thread at a time. */
  void add(T element) {
    long number = nrAdded;
    elements.set(index(number), element);
    nrAdded = number + 1;
  }

  long nrAdded() {
    return nrAdded;
  }

  /** The element of a number below {@link #nrAdded}; null if that is too long ago. Any thread. */
  @Nullable T get(long number) {
    T element = elements.get(index(number));
    return nrAdded - number < elements.length() ? element : null;
  }

  private int index(long number) {
    return (int) number & (elements.length() - 1);
  }
}
