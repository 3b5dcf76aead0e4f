package io.memcg4j.memcg;

import java.util.function.LongSupplier;

/** What a write to a limit, or to {@code memory.reclaim}, does after it has taken effect. */
final class LimitWrite {
  /*
   * Not        that usage is at or below the limit on return.
   * guaranteed
   * Origin     memory_high_write, memory_max_write and user_proactive_reclaim of Linux.
   */
  private static final int MAX_VICTIMS = 1000;

  private LimitWrite() {}

  /** Reclaims until usage is at or below a limit, or 16 rounds did not bring it lower. */
  static void reclaimTo(MemCgroup group, LongSupplier limitPages) {
    int nrRetriesLeft = MemCgroup.MAX_RECLAIM_RETRIES;
    long lowest = Long.MAX_VALUE;
    while (group.isOnline() && !Thread.currentThread().isInterrupted()) {
      long usage = group.counter().usage();
      long excess = usage - limitPages.getAsLong();
      // What shrinkers say that they freed is no measure of how far it has come.
      boolean lower = usage < lowest;
      lowest = Math.min(lowest, usage);
      if (excess <= 0
          || !group.hasShrinkersBelow()
          || Reclaim.isReclaiming()
          || (!lower && nrRetriesLeft-- == 0)) {
        return;
      }
      Reclaim.run(group, excess << MemCgroup.PAGE_SHIFT, Reclaim.Reason.WRITE);
      group.drain();
    }
  }

  /** After max was lowered: reclaim, then the policy, until usage fits or nobody helps. */
  static void enforceMax(MemCgroup group) {
    reclaimTo(group, () -> group.counter().max());
    for (int round = 0;
        round < MAX_VICTIMS
            && group.isOnline()
            && !Reclaim.isReclaiming()
            && group.counter().usage() > group.counter().max()
            && OutOfMemory.handlerOf(group) != OomHandler.FAIL_REQUEST;
        round++) {
      if (!OutOfMemory.makeRoom(group, 0)) {
        return;
      }
    }
  }

  static long reclaim(MemCgroup group, long nrBytes) {
    if (nrBytes < 0) {
      throw new IllegalArgumentException(
          "memory.reclaim out of range: group=" + group.path() + " nrBytes=" + nrBytes);
    }
    long nrFreed = 0;
    int nrRetriesLeft = MemCgroup.MAX_RECLAIM_RETRIES;
    while (nrFreed < nrBytes && group.isOnline() && !Thread.currentThread().isInterrupted()) {
      long batch = Math.max((nrBytes - nrFreed) / 4, 32L << MemCgroup.PAGE_SHIFT);
      long nrNow =
          Reclaim.run(group, Math.min(batch, nrBytes - nrFreed), Reclaim.Reason.PROACTIVE)
              .freedBytes();
      nrFreed += nrNow;
      if (nrNow == 0 && (!group.hasShrinkersBelow() || nrRetriesLeft-- == 0)) {
        break;
      }
    }
    group.drain();
    return nrFreed;
  }
}
