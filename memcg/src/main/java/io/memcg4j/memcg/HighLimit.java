package io.memcg4j.memcg;

import java.util.concurrent.locks.LockSupport;

/** What a request does after it took a group above {@code memory.high}: reclaim, then pause. */
final class HighLimit {
  /*
   * Not        that usage stays near high: what cannot be reclaimed only grows more slowly.
   * guaranteed
   * Origin     mem_cgroup_handle_over_high of Linux mm/memcontrol.c.
   */
  private static final long MIN_PAGES = 32;

  private HighLimit() {}

  /**
   * Reclaims as long as that brings usage down, and returns the pause that is still needed. Asks
   * for what was charged at first, then for a part of what is too much, so that many threads share
   * it.
   */
  static Throttle reclaim(MemCgroup group, long chargedPages) {
    int nrRetriesLeft = MemCgroup.MAX_RECLAIM_RETRIES;
    long lowestExcess = Long.MAX_VALUE;
    for (long wanted = chargedPages; ; wanted = Math.max(MIN_PAGES, lowestExcess / 4)) {
      long nrFreed = 0;
      long excess = 0;
      for (MemCgroup level = group; level != null; level = level.parent()) {
        if (level.isOverHigh()) {
          EventCounts.count(level, EventCounts.Event.HIGH);
          nrFreed +=
              Reclaim.run(level, wanted << MemCgroup.PAGE_SHIFT, Reclaim.Reason.HIGH).freedBytes();
          level.drain();
          excess += Math.max(0, level.counter().usage() - level.highPages());
        }
      }
      Throttle throttle = throttle(group, chargedPages);
      boolean worse = excess >= lowestExcess;
      lowestExcess = Math.min(lowestExcess, excess);
      if (!throttle.isNeeded()
          || nrFreed == 0
          || !group.isOnline()
          || (worse && nrRetriesLeft-- == 0)) {
        return throttle;
      }
    }
  }

  /** The pause for so many pages, as things are now. */
  static Throttle throttle(MemCgroup group, long chargedPages) {
    MemCgroup worst = null;
    long nanos = 0;
    for (MemCgroup level = group; level != null; level = level.parent()) {
      long penalty =
          Throttle.penaltyNanos(level.counter().usage(), level.highPages(), chargedPages);
      if (penalty > nanos) {
        nanos = penalty;
        worst = level;
      }
    }
    return worst == null ? Throttle.NONE : new Throttle(worst.path(), nanos);
  }

  /** Pauses the calling thread; an interrupt ends the pause, and stays set. */
  static void sleep(MemCgroup group, Throttle throttle) {
    MemcgEvents.Pause event = MemcgEvents.beginPause();
    MemStall.enter(group);
    try {
      long end = System.nanoTime() + throttle.delayNanos();
      while (group.isOnline() && !Thread.currentThread().isInterrupted()) {
        long left = end - System.nanoTime();
        if (left <= 0) {
          break;
        }
        LockSupport.parkNanos(group, left);
      }
    } finally {
      MemStall.leave(group);
      MemcgEvents.end(event, group, throttle.groupPath(), throttle.delayNanos());
    }
  }
}
