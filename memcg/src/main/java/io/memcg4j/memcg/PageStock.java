package io.memcg4j.memcg;

import static java.lang.invoke.MethodHandles.arrayElementVarHandle;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Pages that one slot holds in advance for a few groups: charged to the group and its ancestors,
 * but to no object yet. It turns most charges and uncharges of a page into plain loads and stores,
 * and where a slot serves many groups, one after the other, it spares the counters above them.
 */
final class PageStock {
  /*
   * Layout     STOCK_GROUPS entries (group, nrPages, capacity) and one more, the upper one, for the
   *            parent of groups that have given way to siblings; in arrays with a cache line pair of
   *            unused elements on both sides, as the neighbours belong to other threads.
   * Invariant  0 <= nrPages <= capacity for every entry; a group has at most one entry; the pages of
   *            an entry are charged to its group.
   *            capacity is what the group's limits allowed when the entry was made. Whatever
   *            changes that has every slot drained, which drops the entry: a new limit, a forced
   *            charge that passes one, removal.
   * Ordering   plain access by the owner of the slot; claim and release of the slot order owners.
   *            Only holds() is for others: a racy look at the group alone. What it may miss was
   *            parked while it looked; a group that it sees was really there, as references
   *            do not tear.
   * Locks      none. Gives pages back to the counters while the slot is held, which never blocks.
   * Origin     the memcg stock of Linux mm/memcontrol.c: several groups per CPU, round robin
   *            eviction. It keeps half when it overflows, so a charge and an uncharge that
   *            alternate at the edge do not go to the counters each time. The upper entry is ours:
   *            threads that serve a thousand tenants in turn would meet at the tenants' parent.
   */
  private static final VarHandle GROUPS = arrayElementVarHandle(MemCgroup[].class);
  private static final int PADDING_BYTES = 128;
  private static final int GROUP_BASE = PADDING_BYTES / 4; // a reference takes 4 bytes, or 8
  private static final int PAGE_BASE = PADDING_BYTES / Long.BYTES;
  private static final int UPPER = MemCgroup.STOCK_GROUPS;
  private static final int NR_ENTRIES = UPPER + 1;

  /** What may be left to a parent that uses next to nothing: what a request or two charge. */
  private static final long MIN_LEFT_PAGES = 16;

  private final @Nullable MemCgroup[] groups =
      new @Nullable MemCgroup[GROUP_BASE + NR_ENTRIES + GROUP_BASE];
  private final long[] pages = new long[PAGE_BASE + 2 * NR_ENTRIES + PAGE_BASE];
  private int nextVictim;

  /** What the latest limit hit on this slot came to, for the text of the refusal. */
  int reclaimRounds;

  long freedPages;

  /** Pages charged above a high limit since the owner last did something about it. */
  long overHighPages;

  /**
   * Takes pages that are there already. A part is never taken.
   *
   * @return false if there are too few; nothing has changed then
   */
  boolean consume(MemCgroup group, long nrPages) {
    int entry = find(group);
    if (entry < 0 || held(entry) < nrPages) {
      return false;
    }
    setHeld(entry, held(entry) - nrPages);
    return true;
  }

  /**
   * Charges a group with pages that are charged to its parent already: nobody but the group itself
   * is asked.
   *
   * @return false if there are too few, or the group cannot be charged at once; nothing has changed
   *     then
   */
  boolean consumeFromParent(MemCgroup group, long nrPages) {
    MemCgroup parent = group.parent();
    int entry = parent == null ? -1 : find(parent);
    if (entry < 0 || held(entry) < nrPages || !group.counter().tryChargeLevelAtOnce(nrPages)) {
      return false;
    }
    setHeld(entry, held(entry) - nrPages);
    return true;
  }

  /**
   * Gives pages of a group back to the group alone, and keeps what its ancestors are charged for
   * them, for the next of its siblings.
   *
   * @return false if that is more than may be held for the parent; then the group has them still,
   *     and what was held for another parent may have gone back
   */
  boolean leaveToParent(MemCgroup group, long nrPages) {
    MemCgroup parent = group.parent();
    if (parent == null) {
      return false;
    }
    int entry = find(parent);
    if (entry < 0) {
      long capacity = parent.pageStockCapacity();
      if (nrPages > capacity) {
        return false;
      }
      MemCgroup other = groups[GROUP_BASE + UPPER];
      if (other != null) {
        empty(UPPER, other);
      }
      entry = UPPER;
      make(entry, parent, capacity);
    }
    long most = parent.counter().usage() / MemCgroup.MAX_STOCK_FRACTION + MIN_LEFT_PAGES;
    if (held(entry) + nrPages > Math.min(most, capacity(entry))) {
      return false;
    }
    group.counter().unchargeLevel(nrPages);
    setHeld(entry, held(entry) + nrPages);
    return true;
  }

  /**
   * Charges a group with more pages than are needed, if that can be done at once, and takes over
   * what is more.
   *
   * @return how many more; 0 if nothing is charged
   */
  long chargeBatch(MemCgroup group, long nrPages) {
    long nrMore = batchBeyond(group, nrPages);
    if (nrMore <= 0 || !group.counter().tryChargeAtOnce(nrPages + nrMore)) {
      return 0;
    }
    refill(group, nrMore);
    return nrMore;
  }

  /**
   * Pages to charge in advance: up to the batch, but little for a small group, and less and less as
   * a limit comes near, so that all slots together leave half of what is free.
   */
  private long batchBeyond(MemCgroup group, long nrPages) {
    if (nrPages >= MemCgroup.CHARGE_BATCH) {
      return 0;
    }
    PageCounter counter = group.counter();
    int entry = find(group);
    long space = entry < 0 ? group.pageStockCapacity() : capacity(entry) - held(entry);
    long nrMore = Math.min(MemCgroup.CHARGE_BATCH - nrPages, space);
    nrMore = Math.min(nrMore, counter.usage() / MemCgroup.MAX_STOCK_FRACTION);
    return Math.min(nrMore, (counter.room() - nrPages) / (2L * group.slots().nrSlots()));
  }

  /**
   * Takes over pages that are charged to the group; what it may not hold goes to the counters. An
   * entry for a new group drives out another one when all are taken.
   */
  void refill(MemCgroup group, long nrPages) {
    int entry = find(group);
    if (entry < 0) {
      long capacity = group.pageStockCapacity();
      if (nrPages > capacity) {
        group.unchargeNow(nrPages);
        return;
      }
      entry = emptyEntry();
      make(entry, group, capacity);
    }
    long sum = held(entry) + nrPages;
    if (sum > capacity(entry)) {
      long kept = capacity(entry) / 2;
      group.unchargeNow(sum - kept);
      sum = kept;
    }
    setHeld(entry, sum);
  }

  /** Gives back what is held for {@code subtree}, if any, and for groups that were removed. */
  void drain(@Nullable MemCgroup subtree) {
    for (int entry = 0; entry < NR_ENTRIES; entry++) {
      MemCgroup group = groups[GROUP_BASE + entry];
      if (group != null
          && (!group.isOnline() || (subtree != null && group.isDescendantOf(subtree)))) {
        empty(entry, group);
      }
    }
  }

  /** Racy, any thread: whether an entry for the subtree is there. */
  boolean holds(MemCgroup subtree) {
    for (int entry = 0; entry < NR_ENTRIES; entry++) {
      MemCgroup group = (MemCgroup) GROUPS.getOpaque(groups, GROUP_BASE + entry);
      if (group != null && group.isDescendantOf(subtree)) {
        return true;
      }
    }
    return false;
  }

  private int find(MemCgroup group) {
    for (int entry = 0; entry < NR_ENTRIES; entry++) {
      if (groups[GROUP_BASE + entry] == group) {
        return entry;
      }
    }
    return -1;
  }

  private void make(int entry, MemCgroup group, long capacity) {
    groups[GROUP_BASE + entry] = group;
    pages[PAGE_BASE + NR_ENTRIES + entry] = capacity;
  }

  private int emptyEntry() {
    for (int entry = 0; entry < UPPER; entry++) {
      if (groups[GROUP_BASE + entry] == null) {
        return entry;
      }
    }
    int entry = nextVictim;
    nextVictim = (entry + 1) % UPPER;
    MemCgroup group = groups[GROUP_BASE + entry];
    if (group != null) {
      empty(entry, group);
    }
    return entry;
  }

  private void empty(int entry, MemCgroup group) {
    long nrPages = held(entry);
    groups[GROUP_BASE + entry] = null;
    setHeld(entry, 0);
    if (nrPages > 0) {
      group.unchargeNow(nrPages);
    }
  }

  /** Racy unless the caller owns the slot: all pages held here, for tests and statistics. */
  long nrPages() {
    long sum = 0;
    for (int entry = 0; entry < NR_ENTRIES; entry++) {
      sum += held(entry);
    }
    return sum;
  }

  private long held(int entry) {
    return pages[PAGE_BASE + entry];
  }

  private void setHeld(int entry, long nrPages) {
    pages[PAGE_BASE + entry] = nrPages;
  }

  private long capacity(int entry) {
    return pages[PAGE_BASE + NR_ENTRIES + entry];
  }
}
