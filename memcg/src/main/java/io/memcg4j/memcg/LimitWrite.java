package io.memcg4j.memcg;

import java.util.function.LongSupplier;

/** What a write to a limit, or to {@code memory.reclaim}, does after it has taken effect. */
final class LimitWrite {
  /*
   * Not        that usage is at or below the limit on return.
   * guaranteed
   * Origin     memory_high_write, memory_max_write and user_proactive_reclaim of Linux.
   */
  private LimitWrite() {}

  /** Reclaims until usage is at or below a limit, or 16 rounds in a row freed nothing. */
  static void reclaimTo(MemCgroup group, LongSupplier limitPages) {
    int nrRetriesLeft = MemCgroup.MAX_RECLAIM_RETRIES;
    while (group.isOnline() && !Thread.currentThread().isInterrupted()) {
      long excess = group.counter().usage() - limitPages.getAsLong();
      if (excess <= 0 || !group.hasShrinkersBelow()) {
        return;
      }
      long nrFreed = Reclaim.run(group, excess << MemCgroup.PAGE_SHIFT).freedBytes();
      group.drain();
      if (nrFreed == 0 && nrRetriesLeft-- == 0) {
        return;
      }
    }
  }

  /** After max was lowered: reclaim, then the policy, until usage fits or nobody helps. */
  static void enforceMax(MemCgroup group) {
    reclaimTo(group, () -> group.counter().max());
    while (group.isOnline()
        && group.counter().usage() > group.counter().max()
        && OutOfMemory.handlerOf(group) != OomHandler.FAIL_REQUEST) {
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
      long nrNow = Reclaim.run(group, Math.min(batch, nrBytes - nrFreed)).freedBytes();
      nrFreed += nrNow;
      if (nrNow == 0 && (!group.hasShrinkersBelow() || nrRetriesLeft-- == 0)) {
        break;
      }
    }
    group.drain();
    return nrFreed;
  }
}
