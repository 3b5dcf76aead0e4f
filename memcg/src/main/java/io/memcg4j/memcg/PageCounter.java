package io.memcg4j.memcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.percpu.SpinWait;
import java.lang.invoke.VarHandle;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Pages used by one group and everything below it, with a limit. Any thread; takes no lock.
 *
 * <p>A charge asks every level from the group to the root and takes effect at all of them or at
 * none. It never passes a limit, and it is refused only because of charges that were granted.
 */
final class PageCounter extends PageCounterPadding { // package-private: MemCgroup is the door
  /*
   * Layout     word (with peak) sits alone on its line pair; max and parent are read-mostly.
   *
   *   63                     40 39                                      0
   *  +-------------------------+-----------------------------------------+
   *  |         pending         |                  total                  |   unit: pages
   *  +-------------------------+-----------------------------------------+
   *   total      all pages that this level said yes to
   *   pending    the part of total whose request is undecided: it still asks the levels above
   *   committed  = total - pending: pages of requests to which every level said yes
   *
   * Protocol   From the group to the root: reserve (total += n, pending += n, in one CAS). Once the
   *            root is reserved the request is decided: commit (pending -= n) at each level. At a
   *            level without room: give back the levels below (total -= n, pending -= n, in one
   *            add); then, if committed + n > max, it is refused; otherwise only undecided requests
   *            are in the way, and it waits until that has changed and begins again.
   *            Before the first reservation it looks at all levels without writing (look): a
   *            request without a chance touches nothing and is in nobody's way.
   *
   * Invariant  pending <= total <= max of this level, but for forced charges and a lowered max.
   *            At rest: pending == 0, total == own charges + sum of the children's totals. Pages
   *            that a slot holds for a group and lends to a child are own charges before and the
   *            child's afterwards: no level above has to be asked (tryChargeLevelAtOnce).
   *
   * Ordering   reserve: CAS word, then read max; undo the reservation if it is over. setMax: write
   *            max, then read word. All volatile, so one side sees the other (SetMaxVsTryCharge;
   *            twin: opaque max and no second look).
   *
   * Never over max. total grows in two places. force is the exception that is allowed. reserve's CAS
   *            proves total + n <= m for an m that was max just before. If max is lowered between
   *            that read and the CAS, the read after the CAS sees it and the reservation is undone.
   *            If max is lowered after the CAS, setMax reads a word that contains it.
   *
   * No spurious refusal. A request is refused at a level only at an instant t of its call at which
   *            committed(t) + n > max(t). Proof: one volatile load yields committed(t); max is the
   *            same before and after that load. committed(t) holds no page of a request that is
   *            refused in the end: reserve and undo move total and pending by the same n in one
   *            atomic step, so such a request never changes the difference; only commit does,
   *            and that comes after the last level said yes. So at t the request does not fit beside
   *            granted charges alone: it is not one that "fits at every level during the whole
   *            call". Adding first and subtracting afterwards, as the kernel does, has no such t
   *            (NoSpuriousRefusal; twin: add, then undo).
   *
   * Waiting    A waiting request holds no reservation. A reservation is held for a few atomic steps
   *            per level and never across a wait, a yield or a call out. So nobody waits for a
   *            waiter, there is no cycle, and a virtual thread that yields here keeps nobody from
   *            going on, pinned or not. Progress: whoever gives way at level L does so for a
   *            holder at L; the holder is decided, or gives way itself at a level above L; at the
   *            root holders are decided at once. So each retry is paid for by a decision.
   *
   * Locks      none, so legal under any lock. Reclaim is MemCgroup's, never here.
   * Not        a bound on the wait of one request: it may lose to others again and again, and it
   * guaranteed waits while the operating system has suspended a holder. While max is changed
   *            to and fro within one call the refusal refers to one of the values. A stack overflow
   *            between reserve and commit leaves the reservation behind.
   * Origin     the walk of Linux mm/page_counter.c; reservations instead of its speculative add.
   */

  /** No limit. Also the most pages that a counter can hold: 4 PiB less one page. */
  static final long UNLIMITED_PAGES = (1L << 40) - 1;

  /** Most pages of one request, 32 GiB: two of them fit the pending field with room to spare. */
  static final long MAX_REQUEST_PAGES = 1L << 23;

  private static final int PENDING_SHIFT = 40;
  private static final long TOTAL_MASK = (1L << PENDING_SHIFT) - 1;
  private static final long MAX_PENDING_PAGES = (1L << (Long.SIZE - PENDING_SHIFT)) - 1;

  private static final VarHandle WORD =
      fieldVarHandle(lookup(), "word", VarHandle.class, PageCounterState.class, long.class);
  private static final VarHandle PEAK =
      fieldVarHandle(lookup(), "peak", VarHandle.class, PageCounterState.class, long.class);

  private static final VarHandle WAITERS =
      fieldVarHandle(lookup(), "waiters", VarHandle.class, PageCounter.class, WaitQueue.class);

  private static final VarHandle LOCAL_PEAK =
      fieldVarHandle(lookup(), "localPeak", VarHandle.class, PageCounterState.class, long.class);

  private enum Verdict {
    GRANTED,
    REFUSED,
    /** Only undecided requests stand in the way. */
    BUSY
  }

  private final @Nullable PageCounter parent;
  private volatile long max = UNLIMITED_PAGES; // pages
  private volatile @Nullable WaitQueue waiters;

  PageCounter(@Nullable PageCounter parent) {
    this.parent = parent;
  }

  // ---- charge

  /**
   * Charges this level and every one above, or none. Waits while only undecided requests are in the
   * way. Cost: one CAS and one add per level; a refusal usually only reads.
   *
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return null if charged; else the nearest level that refused
   */
  @Nullable PageCounter tryCharge(long nrPages) {
    PageCounter refusing = look(nrPages);
    return refusing != null ? refusing : reserveAndCommit(nrPages);
  }

  /**
   * The nearest level whose committed pages alone leave no room; null if there is none. No write.
   */
  private @Nullable PageCounter look(long nrPages) {
    for (PageCounter level = this; level != null; level = level.parent) {
      if (level.verdict(nrPages) == Verdict.REFUSED) {
        return level;
      }
    }
    return null;
  }

  /** {@link #tryCharge} without the look ahead. */
  @Nullable PageCounter reserveAndCommit(long nrPages) {
    while (true) {
      Verdict verdict = Verdict.GRANTED;
      PageCounter level = this;
      while (level != null) {
        verdict = level.reserve(nrPages);
        if (verdict != Verdict.GRANTED) {
          break;
        }
        level = level.parent;
      }
      if (level == null) {
        commit(nrPages);
        return null;
      }
      undoBelow(level, nrPages);
      if (verdict == Verdict.REFUSED) {
        return level;
      }
      level.awaitChange(nrPages);
    }
  }

  /**
   * Charges only if it can be done at once. For requests that want more than they need.
   *
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return false, with nothing charged, if a limit or an undecided request is in the way
   */
  boolean tryChargeAtOnce(long nrPages) {
    for (PageCounter level = this; level != null; level = level.parent) {
      if (level.reserve(nrPages) != Verdict.GRANTED) {
        undoBelow(level, nrPages);
        return false;
      }
    }
    commit(nrPages);
    return true;
  }

  /** What this level says to a request at this instant, and true at this instant. */
  private Verdict verdict(long nrPages) {
    while (true) {
      long limit = max;
      long seen = word;
      if (total(seen) + nrPages <= limit && pending(seen) + nrPages <= MAX_PENDING_PAGES) {
        return Verdict.GRANTED;
      }
      if (committed(seen) + nrPages <= limit) {
        return Verdict.BUSY;
      }
      if (max == limit) {
        return Verdict.REFUSED;
      }
    }
  }

  private Verdict reserve(long nrPages) {
    while (true) {
      long limit = max;
      long seen = word;
      if (total(seen) + nrPages > limit || pending(seen) + nrPages > MAX_PENDING_PAGES) {
        Verdict verdict = verdict(nrPages);
        if (verdict != Verdict.GRANTED) {
          return verdict;
        }
      } else if (WORD.compareAndSet(this, seen, seen + reservation(nrPages))) {
        if (total(seen) + nrPages <= max) {
          return Verdict.GRANTED;
        }
        WORD.getAndAdd(this, -reservation(nrPages)); // setMax came in between
      }
    }
  }

  /**
   * Charges this level alone, for pages that the levels above have granted already.
   *
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return false, with nothing charged, if the limit or an undecided request is in the way
   */
  boolean tryChargeLevelAtOnce(long nrPages) {
    if (reserve(nrPages) != Verdict.GRANTED) {
      return false;
    }
    commitLevel(nrPages);
    return true;
  }

  /** Decided: from here on the pages count against others. */
  private void commit(long nrPages) {
    for (PageCounter level = this; level != null; level = level.parent) {
      level.commitLevel(nrPages);
    }
  }

  private void commitLevel(long nrPages) {
    long decided = nrPages << PENDING_SHIFT;
    long before = (long) WORD.getAndAdd(this, -decided);
    raisePeak(committed(before - decided));
  }

  private void undoBelow(PageCounter end, long nrPages) {
    for (PageCounter level = this; level != end && level != null; level = level.parent) {
      WORD.getAndAdd(level, -reservation(nrPages));
    }
  }

  /** Holds nothing meanwhile. Holders take a few instructions, so it spins first. */
  private void awaitChange(long nrPages) {
    for (int spins = 0; verdict(nrPages) == Verdict.BUSY; spins++) {
      SpinWait.pause(spins);
    }
  }

  /** Look first: in a steady state the peaks do not move and are not written. */
  private void raisePeak(long nrPages) {
    if (localPeak >= nrPages) {
      return; // and so is the other one
    }
    raise(PEAK, peak, nrPages);
    raise(LOCAL_PEAK, localPeak, nrPages);
  }

  private void raise(VarHandle mark, long first, long nrPages) {
    for (long seen = first; seen < nrPages; seen = (long) mark.getVolatile(this)) {
      if (mark.compareAndSet(this, seen, nrPages)) {
        return;
      }
    }
  }

  /**
   * Charges every level, whatever the limits say.
   *
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return the nearest level that is over its max now; null if none is
   * @throws IllegalStateException if a level would hold more than 4 PiB; nothing is charged then
   */
  @Nullable PageCounter force(long nrPages) {
    PageCounter over = null;
    for (PageCounter level = this; level != null; level = level.parent) {
      long seen;
      do {
        seen = level.word;
        if (total(seen) + nrPages > UNLIMITED_PAGES) {
          for (PageCounter done = this; done != level && done != null; done = done.parent) {
            WORD.getAndAdd(done, -nrPages);
          }
          throw new IllegalStateException(
              String.format(
                  Locale.ROOT,
                  "page counter is full: nrPages=%d usagePages=%d legalUsagePages=0..%d",
                  nrPages,
                  total(seen),
                  UNLIMITED_PAGES));
        }
      } while (!WORD.compareAndSet(level, seen, seen + nrPages));
      level.raisePeak(committed(seen + nrPages));
      if (over == null && total(seen) + nrPages > level.max) {
        over = level;
      }
    }
    return over;
  }

  /**
   * Gives pages back at this level and every one above.
   *
   * @param nrPages {@code >= 1}; at most what was charged through this counter
   * @throws IllegalStateException if more comes back than was charged; nothing is changed then
   */
  void uncharge(long nrPages) {
    unchargeBelow(null, nrPages);
  }

  /** As {@link #uncharge}, of this level alone: the levels above go on holding the pages. */
  void unchargeLevel(long nrPages) {
    unchargeBelow(parent, nrPages);
  }

  private void unchargeBelow(@Nullable PageCounter end, long nrPages) {
    for (PageCounter level = this; level != end && level != null; level = level.parent) {
      long before = (long) WORD.getAndAdd(level, -nrPages);
      if (committed(before) < nrPages) {
        // Until the add below, the word is wrong for others: the caller's books are wrong already.
        for (PageCounter done = this; done != null; done = done.parent) {
          WORD.getAndAdd(done, nrPages);
          if (done == level) {
            break;
          }
        }
        throw new IllegalStateException(
            String.format(
                Locale.ROOT,
                "uncharged more than was charged: nrPages=%d usagePages=%d",
                nrPages,
                committed(before)));
      }
      WaitQueue waiting = level.waiters; // after the add: see WaitQueue
      if (waiting != null) {
        waiting.wake();
      }
    }
  }

  // ---- limits and figures

  /**
   * Sets the limit of this level.
   *
   * @param nrPages {@code 0..UNLIMITED_PAGES}
   * @return the usage that charges from now on have to live with; above {@code nrPages} if the
   *     limit was lowered below it
   */
  long setMax(long nrPages) {
    max = nrPages;
    WaitQueue waiting = waiters;
    if (waiting != null) {
      waiting.wake();
    }
    return total(word);
  }

  long max() {
    return max;
  }

  /** Who is told when pages come back here; made on first use. */
  WaitQueue waiters() {
    WaitQueue mine = waiters;
    if (mine == null) {
      WaitQueue made = new WaitQueue();
      mine = (WaitQueue) WAITERS.compareAndExchange(this, null, made);
      mine = mine == null ? made : mine;
    }
    return mine;
  }

  boolean hasWaiters() {
    WaitQueue mine = waiters;
    return mine != null && !mine.isEmpty();
  }

  int nrWaiting() {
    WaitQueue mine = waiters;
    return mine == null ? 0 : mine.length();
  }

  /**
   * Pages that this level said yes to; those of undecided requests count until they are decided.
   */
  long usage() {
    return total(word);
  }

  /** Pages that are reserved here by undecided requests; 0 at rest. */
  long pending() {
    return pending(word);
  }

  long peak() {
    return peak;
  }

  /** The most since {@link #restartLocalPeak}. */
  long localPeak() {
    return localPeak;
  }

  /**
   * Begins the local peak anew at what is used now.
   *
   * @return what it was
   */
  long restartLocalPeak() {
    return (long) LOCAL_PEAK.getAndSet(this, total(word));
  }

  /** The lowest max from here to the root, racy across levels. */
  long lowestMax() {
    long lowest = UNLIMITED_PAGES;
    for (PageCounter level = this; level != null; level = level.parent) {
      lowest = Math.min(lowest, level.max);
    }
    return lowest;
  }

  /** Pages that all levels would say yes to now, racy; negative if one is over its max. */
  long room() {
    long room = UNLIMITED_PAGES;
    for (PageCounter level = this; level != null; level = level.parent) {
      room = Math.min(room, level.max - total(level.word));
    }
    return room;
  }

  @Nullable PageCounter parent() {
    return parent;
  }

  @Override
  public String toString() {
    long seen = word;
    return String.format(
        Locale.ROOT,
        "PageCounter[usagePages=%d, pendingPages=%d, maxPages=%d, peakPages=%d]",
        total(seen),
        pending(seen),
        max,
        peak);
  }

  // ---- the word

  private static long total(long word) {
    return word & TOTAL_MASK;
  }

  private static long pending(long word) {
    return word >>> PENDING_SHIFT;
  }

  private static long committed(long word) {
    return total(word) - pending(word);
  }

  private static long reservation(long nrPages) {
    return (nrPages << PENDING_SHIFT) + nrPages;
  }
}
