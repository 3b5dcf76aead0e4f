package io.memcg4j.memcg;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;

/** Declared memory of one group by class: what was added since the last flush, and the sums. */
final class GroupStat {
  /*
   * Layout     pending: NR_STRIPES rows of ROW longs, one row a cache line; a thread adds to the row
   *            of its id. total is this group and everything below it.
   * Ordering   update: add to pending, then see that the group is queued. flush: take it off the
   *            queue (queued = false), then take pending. So what is added after the take queues
   *            the group again.
   * Locks      total is written with StatTree's lock held.
   */
  static final int NR_CLASSES = MemoryClass.values().length;
  static final int DECLARED_PAGES = NR_CLASSES;
  static final int RECLAIMED_BYTES = NR_CLASSES + 1;
  static final int CLASSED_BYTES = NR_CLASSES + 2;
  static final int NR_ITEMS = NR_CLASSES + 3;

  private static final int ROW = 16;
  private static final int NR_STRIPES = 4;

  final AtomicBoolean queued = new AtomicBoolean();
  private final AtomicLongArray pending = new AtomicLongArray(NR_STRIPES * ROW);
  final AtomicLongArray total = new AtomicLongArray(NR_ITEMS);

  void add(int item, long delta) {
    int stripe = (int) Thread.currentThread().threadId() & (NR_STRIPES - 1);
    pending.getAndAdd(stripe * ROW + item, delta);
  }

  long take(int item) {
    long sum = 0;
    for (int stripe = 0; stripe < NR_STRIPES; stripe++) {
      int index = stripe * ROW + item;
      // Look first: most are 0, and an exchange would take the line from those who add.
      sum += pending.get(index) == 0 ? 0 : pending.getAndSet(index, 0);
    }
    return sum;
  }
}
