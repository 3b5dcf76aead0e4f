package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Bytes that one slot holds in advance for one handle: charged to the group, not yet to an object.
 *
 * <p>For the allocator floor; applications have no use for it. Every method needs the stock's slot
 * to be owned by the calling thread; nothing here is atomic.
 */
public final class ObjStock {
  /*
   * Layout     nrBytes and limitBytes are what the hot path touches; the rest is for slow paths.
   * Invariant  nrBytes >= 0, and nrBytes <= limitBytes once all that ensure() was asked for is
   *            taken: who takes less has it in nrBytes instead of in objects kept ready. A cold
   *            stock holds nothing and has limitBytes 0. All hot stocks of a slot together keep to
   *            what it may hold for any group: STOCK_GROUPS * stockBudgetBytes, or one page.
   *            The root's stock never runs out and never overflows: nothing is charged to the root.
   * Ordering   plain fields; the slot's claim and release carry them from owner to owner.
   * Locks      none. charge() may run the limit-hit walk, which drains and cools this very stock:
   *            everything is consistent before the call and read again after it.
   * Origin     obj_stock of Linux mm/memcontrol.c; other than there, the leftover of a stock is used
   *            before new pages are charged.
   */
  private static final int MIN_LIMIT_BYTES = MemCgroup.PAGE_SIZE;
  private static final int USAGE_FRACTION = 32;

  /** For the stock of a group that uses next to nothing. */
  private static final int SMALL_STOCK_BYTES = 2 * MemCgroup.PAGE_SIZE;

  /**
   * For its words: enough for a program of a few megabytes that uses twenty sizes, and a quarter of
   * what Linux charges in advance on each processor.
   */
  private static final int SMALL_READY_BYTES = 16 * MemCgroup.PAGE_SIZE;

  /** For its words of one size, so that few large objects neither take all of it nor read much. */
  private static final int SMALL_SIZE_BYTES = 4 * MemCgroup.PAGE_SIZE;

  /** With less to hold, the smallest stock, its words and a page in the page stock are too much. */
  private static final long TIGHT_BUDGET_BYTES = 3L * MemCgroup.PAGE_SIZE;

  private static final PreCharged[] NO_CACHES = {};

  private final SlotStocks home;
  private final ObjCgroup handle;
  private long nrBytes;
  private long limitBytes;
  private long readyLimitBytes;
  private long readySizeBytes;
  private long readyBytes;
  private long budgetBytes;
  private PreCharged[] caches = NO_CACHES;
  private int nrPins;
  private boolean hot;

  ObjStock(SlotStocks home, ObjCgroup handle) {
    this.home = home;
    this.handle = handle;
    if (handle.isRoot()) {
      nrBytes = Long.MAX_VALUE / 2;
      limitBytes = Long.MAX_VALUE;
      hot = true;
    }
  }

  /**
   * The handle that pays.
   *
   * @return the handle
   */
  public ObjCgroup handle() {
    return handle;
  }

  /**
   * The slot that holds this stock.
   *
   * @return the slot; the caller of every method here owns it
   */
  public CpuSlot slot() {
    return home.slot();
  }

  /**
   * Bytes ready to be taken.
   *
   * @return at least 0
   */
  public long nrBytes() {
    return nrBytes;
  }

  /**
   * How much more may be charged in advance for objects of one size that are kept ready, beside
   * {@link #nrBytes}. What all allocators of a tree keep ready for this stock counts.
   *
   * @return bytes; 0 or less when too much is ready, when the stock is cold, or when its group's
   *     limits leave no room for it
   */
  public long readyRoomBytes() {
    return Math.min(readyLimitBytes - readyBytes, readySizeBytes);
  }

  /**
   * Notes what was charged for objects that are kept ready from now on, or no longer.
   *
   * @param nrBytes bytes, negative for objects that are not kept any more
   */
  public void addReady(long nrBytes) {
    readyBytes += nrBytes;
  }

  /**
   * How many bytes this stock may hold.
   *
   * @return bytes; 0 when the stock is cold
   */
  public long limitBytes() {
    return limitBytes;
  }

  /**
   * Makes sure that {@code needBytes} can be taken, charging pages to the group if they are
   * missing, with a batch towards {@code wantBytes} if that is to be had without pressing anybody.
   *
   * @param needBytes bytes that must be there, at least 0
   * @param wantBytes bytes that would be welcome, at least {@code needBytes}
   * @return null on success; else the group whose limit refused, with nothing charged
   */
  public @Nullable MemCgroup ensure(long needBytes, long wantBytes) {
    return nrBytes >= wantBytes ? null : ensureSlow(needBytes, wantBytes, OnRefusal.SEEK);
  }

  /**
   * As {@link #ensure}, but presses nobody for {@code needBytes} either: a limit that refuses is
   * not told so, and nothing is drained.
   *
   * @param needBytes bytes that must be there, at least 0
   * @param wantBytes bytes that would be welcome, at least {@code needBytes}
   * @return whether {@code needBytes} can be taken
   */
  public boolean tryEnsure(long needBytes, long wantBytes) {
    return nrBytes >= wantBytes || ensureSlow(needBytes, wantBytes, OnRefusal.GIVE_UP) == null;
  }

  private enum OnRefusal {
    SEEK,
    GIVE_UP
  }

  private @Nullable MemCgroup ensureSlow(long needBytes, long wantBytes, OnRefusal onRefusal) {
    warm();
    MemCgroup refusedBy = gather(needBytes, wantBytes, onRefusal);
    if (!hot) {
      warm(); // it was cooled by work that the limit-hit walk did for others
    }
    // While nothing may be held in advance, what was wanted for that goes back too.
    long spokenFor = refusedBy != null ? 0 : limitBytes == 0 ? needBytes : wantBytes;
    if (nrBytes - spokenFor > limitBytes) {
      giveSurplus(spokenFor);
    }
    return refusedBy;
  }

  /** What is gathered stays out of the stock until the end, as the limit-hit walk drains it. */
  private @Nullable MemCgroup gather(long needBytes, long wantBytes, OnRefusal onRefusal) {
    MemCgroup group = handle.group();
    long held = nrBytes + handle.takeRemainder();
    nrBytes = 0;
    try {
      // As much again as is wanted, or more, so that who wants it next need not come here; only
      // what is wanted where that is for objects that are kept ready, which may be much more.
      long again = Math.max(wantBytes + MemCgroup.PAGE_SIZE - 1, limitBytes / 2);
      long batchBytes =
          wantBytes <= limitBytes
              ? wantBytes + Math.min(again, limitBytes)
              : wantBytes <= readyRoomBytes() ? wantBytes : 0;
      long nrPages = held < wantBytes ? (batchBytes - held) >> MemCgroup.PAGE_SHIFT : 0;
      if (nrPages > Math.max(0, pagesFor(needBytes - held))
          && group.tryCharge(slot(), nrPages) == null) {
        held += nrPages << MemCgroup.PAGE_SHIFT;
      }
      while (held < needBytes) {
        nrPages = pagesFor(needBytes - held);
        MemCgroup refusedBy =
            onRefusal == OnRefusal.SEEK
                ? group.charge(slot(), nrPages)
                : group.tryCharge(slot(), nrPages);
        if (refusedBy == null) {
          held += nrPages << MemCgroup.PAGE_SHIFT;
        } else if (onRefusal == OnRefusal.GIVE_UP) {
          return refusedBy;
        } else {
          // The walk drained other slots: parts of pages that may spare a whole one.
          held += handle.takeRemainder();
          if (pagesFor(needBytes - held) >= nrPages) {
            return refusedBy;
          }
        }
      }
      return null;
    } finally {
      nrBytes += held;
    }
  }

  private static long pagesFor(long nrBytes) {
    return (nrBytes + MemCgroup.PAGE_SIZE - 1) >> MemCgroup.PAGE_SHIFT;
  }

  /**
   * Takes bytes that {@link #ensure} has made sure of.
   *
   * @param bytes at most {@link #nrBytes}
   */
  public void take(long bytes) {
    assert bytes <= nrBytes : "stock overdrawn: nrBytes=" + nrBytes + " taken=" + bytes;
    nrBytes -= bytes;
  }

  /**
   * Takes bytes back. Surplus above the limit goes to the group in whole pages.
   *
   * @param bytes bytes that were taken through this handle, at least 0
   */
  public void uncharge(long bytes) {
    nrBytes += bytes;
    if (nrBytes > limitBytes) {
      giveSurplus(0);
    }
  }

  private void giveSurplus(long spokenFor) {
    if (handle.isRoot()) {
      nrBytes = Long.MAX_VALUE / 2;
    } else if (!hot && !tryWarm()) {
      flush();
    } else {
      refreshLimits();
      long spare = nrBytes - spokenFor;
      if (limitBytes == 0) {
        nrBytes = spokenFor;
        handle.unchargeNow(spare);
      } else if (spare > limitBytes) {
        // Down to a quarter, so that it happens seldom; in any case to the limit.
        long nrPages =
            Math.max(
                (spare - limitBytes / 4) >> MemCgroup.PAGE_SHIFT, pagesFor(spare - limitBytes));
        nrBytes -= nrPages << MemCgroup.PAGE_SHIFT;
        handle.group().uncharge(slot(), nrPages);
      }
    }
  }

  /**
   * Before anything is parked here: be one of the few stocks of the slot that may hold something.
   */
  private void warm() {
    if (!hot) {
      home.heat(this);
      hot = true;
    }
    refreshLimits();
    if (budgetBytes < TIGHT_BUDGET_BYTES) {
      home.coolOthers(this, highestTight());
    }
  }

  /**
   * For a slot that frees what others allocate: holds something if that takes no other stock's
   * place, and if the group's limits are not so low that slots have to do without.
   */
  private boolean tryWarm() {
    hot =
        !handle.refs().isDying()
            && handle.group().stockBudgetBytes() >= TIGHT_BUDGET_BYTES
            && home.tryHeat(this);
    return hot;
  }

  /**
   * Half of what the group lets a slot hold is for stocks and words; and little more than a
   * fraction of what the group uses, so that the usage of a small group stays close to the truth. A
   * rest of less than a page cannot be given back, as groups count pages; when that is all that the
   * slot may hold for the group, nothing is left for words. Nothing at all while anybody waits for
   * memory of the group: then each free goes to the counters, which wake whoever waits.
   */
  private void refreshLimits() {
    MemCgroup group = handle.group();
    budgetBytes = group.stockBudgetBytes();
    if (group.isRoomAwaited()) {
      limitBytes = 0;
      readyLimitBytes = 0;
      return;
    }
    long share = group.usage() / (2 * USAGE_FRACTION);
    long most = budgetBytes / 4;
    limitBytes = Math.max(MIN_LIMIT_BYTES, Math.min(most, share + SMALL_STOCK_BYTES));
    long left = MemCgroup.STOCK_GROUPS * budgetBytes - limitBytes;
    readyLimitBytes = Math.clamp(left, 0L, Math.min(most, share + SMALL_READY_BYTES));
    readySizeBytes = share + SMALL_SIZE_BYTES;
  }

  /**
   * The highest group whose limit is so low that the page of each stock is too much for it: only
   * one stock of a slot may hold something for it and the groups below it.
   */
  private MemCgroup highestTight() {
    MemCgroup highest = handle.group();
    MemCgroup above = highest.parent();
    while (above != null && above.stockBudgetBytes() < TIGHT_BUDGET_BYTES) {
      highest = above;
      above = highest.parent();
    }
    return highest;
  }

  /** Gives everything back and holds nothing until {@link #ensure} is called again. */
  void cool() {
    drain();
    hot = false;
  }

  /** As {@link #cool}, for another stock of the slot: the groups above need not be told. */
  void giveWay() {
    long bytes = nrBytes + takeReady();
    nrBytes = 0;
    handle.leave(slot(), bytes);
    limitBytes = 0;
    readyLimitBytes = 0;
    hot = false;
  }

  /** Gives everything back: pre-charged objects, whole pages, and the rest to the handle. */
  void drain() {
    if (handle.isRoot()) {
      return;
    }
    nrBytes += takeReady();
    flush();
    // Worked out again before anything is held: a new limit is what may have caused this.
    limitBytes = 0;
    readyLimitBytes = 0;
  }

  /** Gives up all objects that are kept ready; what they were charged is in the stock then. */
  public void giveBackReady() {
    if (readyBytes > 0) {
      uncharge(takeReady());
    }
  }

  private long takeReady() {
    long given = 0;
    nrPins++; // words that are given back must not drop this stock under our feet
    for (PreCharged cache : caches) {
      if (cache != null) {
        given += cache.giveBack();
      }
    }
    nrPins--;
    return given;
  }

  /**
   * Gives back everything that is held in advance; after an operation that failed for want of
   * memory nothing of it shall remain.
   */
  public void giveBackAll() {
    drain();
  }

  private void flush() {
    long bytes = nrBytes;
    nrBytes = 0;
    handle.unchargeNow(bytes);
  }

  boolean isHot() {
    return hot;
  }

  /** Keeps this stock, cold or not, while a word of the slot belongs to it. */
  public void pin() {
    nrPins++;
  }

  /** Undoes one {@link #pin}; the last one lets an idle stock go. */
  public void unpin() {
    assert nrPins > 0 : "stock not pinned: " + handle;
    if (--nrPins == 0) {
      home.dropUnlessKept(this);
    }
  }

  /** A scope no longer runs on this stock. */
  void leave() {
    home.dropUnlessKept(this);
  }

  boolean isPinned() {
    return nrPins != 0;
  }

  /**
   * What an allocator keeps ready for this stock.
   *
   * @param index number of the allocator, from {@link ObjCgroups#newCacheIndex}
   * @return what {@link #setCache} stored, or null
   */
  public @Nullable PreCharged cache(int index) {
    return index < caches.length ? caches[index] : null;
  }

  /**
   * Stores what an allocator keeps ready for this stock.
   *
   * @param index number of the allocator
   * @param cache its pre-charged objects
   */
  public void setCache(int index, PreCharged cache) {
    if (index >= caches.length) {
      caches = Arrays.copyOf(caches, index + 1);
    }
    caches[index] = cache;
  }
}
