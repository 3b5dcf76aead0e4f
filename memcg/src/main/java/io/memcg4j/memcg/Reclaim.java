package io.memcg4j.memcg;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/** One walk over the shrinkers of a subtree, to free so and so many bytes. */
final class Reclaim {
  /*
   * Invariant  protection is worked out from the top of the walk down, and holds for this walk only.
   *            A group at or below its effective min is never asked. One at or below its
   *            effective low is asked only in a second walk, when the first one freed nothing.
   * Ordering   every figure is read while others charge and free; each pass reads again.
   * Locks      none is held while shrinkers run. A shrinker that another thread runs is passed over:
   *            threads that reclaim the same subtree share the work.
   * Not        that what is freed can be charged: it may be in a slot's stock, or gone to another.
   * guaranteed
   * Origin     shrink_node_memcgs and shrink_slab of Linux mm/vmscan.c.
   */
  private static final long MIN_SCAN_BYTES = 32L << MemCgroup.PAGE_SHIFT;
  private static final int MAX_PASSES = 12;

  /** Threads that run a shrinker: what they allocate must not reclaim in turn. */
  private static final ThreadLocal<Boolean> RECLAIMING = ThreadLocal.withInitial(() -> false);

  /** What a walk is for, as a recording shows it. */
  enum Reason {
    /** A request that the limit refused. */
    MAX("max"),
    /** A request that went above the high limit. */
    HIGH("high"),
    /** A limit that was lowered. */
    WRITE("limit lowered"),
    /** Somebody asked for it: {@code memory.reclaim}. */
    PROACTIVE("proactive");

    private final String text;

    Reason(String text) {
      this.text = text;
    }
  }

  /** What a walk came to. */
  record Result(long freedBytes, boolean busyElsewhere) {}

  private record Source(MemCgroup group, long reclaimableBytes, long effectivePages) {}

  private final MemCgroup top;
  private boolean skippedLow;
  private boolean ignoreLow;
  private boolean busyElsewhere;

  private Reclaim(MemCgroup top) {
    this.top = top;
  }

  /** Whether the calling thread is inside a shrinker. */
  static boolean isReclaiming() {
    return RECLAIMING.get();
  }

  /**
   * Frees bytes below a group, the group included.
   *
   * @param nrBytes how much is wanted; somewhat more may be freed
   */
  static Result run(MemCgroup top, long nrBytes, Reason reason) {
    if (!top.hasShrinkersBelow() || RECLAIMING.get()) {
      return new Result(0, false);
    }
    MemcgEvents.Reclaim event = MemcgEvents.beginReclaim();
    Result result = new Reclaim(top).run(nrBytes);
    MemcgEvents.end(event, top, reason.text, nrBytes, result.freedBytes());
    return result;
  }

  private Result run(long nrBytes) {
    RECLAIMING.set(true);
    MemStall.enter(top);
    try {
      long nrFreed = passes(nrBytes);
      if (nrFreed == 0 && skippedLow) {
        ignoreLow = true;
        nrFreed = passes(nrBytes);
      }
      return new Result(nrFreed, busyElsewhere);
    } finally {
      MemStall.leave(top);
      RECLAIMING.remove();
    }
  }

  private long passes(long nrBytes) {
    long nrFreed = 0;
    for (int pass = 0; pass < MAX_PASSES && nrFreed < nrBytes && top.isOnline(); pass++) {
      long nrNow = pass(Math.max(nrBytes - nrFreed, 1));
      if (nrNow == 0) {
        break;
      }
      nrFreed += nrNow;
    }
    return nrFreed;
  }

  /** Asks each group for its part of what is wanted, in proportion to what it could give. */
  private long pass(long nrBytes) {
    List<Source> sources = new ArrayList<>();
    collect(top, 0, 0, true, sources);
    double reclaimable = 0;
    for (Source source : sources) {
      reclaimable += source.reclaimableBytes();
    }
    long nrFreed = 0;
    int first = sources.isEmpty() ? 0 : ThreadLocalRandom.current().nextInt(sources.size());
    for (int i = 0; i < sources.size() && nrFreed < nrBytes; i++) {
      Source source = sources.get((first + i) % sources.size());
      long part = (long) Math.ceil(nrBytes * (source.reclaimableBytes() / reclaimable));
      nrFreed += shrink(source, Math.max(part, MIN_SCAN_BYTES));
    }
    return nrFreed;
  }

  private long shrink(Source source, long wantedBytes) {
    long usageBytes = source.group().usage();
    long nrBytes =
        Protection.scanAmount(
            wantedBytes,
            usageBytes,
            source.effectivePages() << MemCgroup.PAGE_SHIFT,
            MIN_SCAN_BYTES);
    long nrFreed = 0;
    for (ShrinkerRegistration shrinker : source.group().shrinkers()) {
      if (nrFreed >= nrBytes) {
        break;
      }
      if (shrinker.count() > 0) {
        long nrNow = shrinker.scan(nrBytes - nrFreed);
        busyElsewhere |= nrNow < 0;
        nrFreed += Math.max(0, nrNow);
      }
    }
    source.group().countReclaimed(nrFreed);
    return nrFreed;
  }

  /** Groups with something to give, with their protection; the top of the walk has none. */
  private void collect(
      MemCgroup group, long effectiveMin, long effectiveLow, boolean isTop, List<Source> sources) {
    if (!group.hasShrinkersBelow()) {
      return;
    }
    long usage = group.counter().usage();
    boolean skip = !isTop && usage > 0 && effectiveMin >= usage;
    boolean skipLow = !isTop && !skip && usage > 0 && effectiveLow >= usage;
    if (skipLow) {
      skippedLow = true;
    }
    long reclaimable = skip || (skipLow && !ignoreLow) ? 0 : reclaimableBytes(group);
    if (reclaimable > 0) {
      if (skipLow) {
        EventCounts.count(group, EventCounts.Event.LOW);
      }
      long effective = ignoreLow ? effectiveMin : Math.max(effectiveMin, effectiveLow);
      sources.add(new Source(group, reclaimable, isTop ? 0 : effective));
    }
    List<MemCgroup> children = group.children();
    long minClaimed = 0;
    long lowClaimed = 0;
    for (MemCgroup child : children) {
      long used = child.counter().usage();
      minClaimed += Math.min(used, child.minPages());
      lowClaimed += Math.min(used, child.lowPages());
    }
    for (MemCgroup child : children) {
      long used = child.counter().usage();
      // A direct child of the top is protected for what it asks; deeper ones share.
      long min =
          isTop
              ? child.minPages()
              : Protection.effective(used, usage, child.minPages(), effectiveMin, minClaimed);
      long low =
          isTop
              ? child.lowPages()
              : Protection.effective(used, usage, child.lowPages(), effectiveLow, lowClaimed);
      collect(child, min, low, false, sources);
    }
  }

  private static long reclaimableBytes(MemCgroup group) {
    long sum = 0;
    for (ShrinkerRegistration shrinker : group.shrinkers()) {
      sum += shrinker.count();
    }
    return sum;
  }
}
