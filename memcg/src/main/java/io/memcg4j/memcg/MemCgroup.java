package io.memcg4j.memcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A memory control group: a named node of a tree, with what it and everything below it uses, and a
 * limit for that.
 *
 * <p>A charge is granted by the group and by all its ancestors, or by none. No limit is ever
 * passed, except by {@link #forceCharge}, and by a limit that is lowered below what is used. A
 * request that fits beside what was granted to others is not refused because of requests that are
 * refused themselves.
 *
 * <p>All methods may be called by any thread. Those that take a {@link CpuSlot} are for its owner.
 * Trees are independent of each other; a tree takes its slots from one {@link CpuSlots}.
 *
 * <p>Origin: the memory controller of cgroup v2. Deliberate differences: the root counts and can
 * have a limit and events, as it stands for a part of one process and not for the machine.
 */
public final class MemCgroup extends ControlledGroup {
  /*
   * Layout     the counter is an object of its own (see there). A group takes about half a KiB.
   * Invariant  usage of a group at rest, after drain: what is charged to it and to its children.
   *            A removed group keeps its counter and its parent: charges that were begun before
   *            the removal and stock of a slot find their way to the ancestors, once. What the
   *            counter of a removed group still shows is meaningless.
   * Ordering   online is cleared before the stocks are drained; see StockDrain.
   * Locks      create and remove: GroupTree.shape. Everything else: none.
   * Origin     own design after struct mem_cgroup; children by hash.
   */

  /** Bytes of a page, the unit of charges. */
  public static final int PAGE_SIZE = 4096;

  /** {@code log2(PAGE_SIZE)}. */
  public static final int PAGE_SHIFT = 12;

  /** Pages that a slot charges at once, and the most that it holds in advance for one group. */
  public static final int CHARGE_BATCH = 64;

  /** Groups for which one slot holds pages in advance. */
  public static final int STOCK_GROUPS = 4;

  /** Halves of a budget that a slot may hold: page stocks and stocks, and the upper page stock. */
  private static final int HALF_STOCKS = 2 * STOCK_GROUPS + 1;

  /** All slots together hold at most this part of a limit in advance: {@code 1/32}. */
  public static final int MAX_STOCK_FRACTION = 32;

  /** How often a charge that was refused is tried again, as long as something is freed. */
  public static final int MAX_RECLAIM_RETRIES = 16;

  /** Most pages of one request: 32 GiB. */
  public static final long MAX_REQUEST_PAGES = PageCounter.MAX_REQUEST_PAGES;

  /** How far {@link #stat} may be behind, in sum over the tree. */
  public static final long STAT_BOUND_BYTES = 16L << 20;

  /** What {@link #max} returns when there is no limit. */
  public static final long UNLIMITED = Long.MAX_VALUE;

  private static final VarHandle STATE =
      fieldVarHandle(lookup(), "state", VarHandle.class, MemCgroup.class, GroupState.class);

  /** A floor above, called by the tree. One instance per type and tree, see {@link #subsystem}. */
  public interface Subsystem {
    /**
     * Gives back what the slot holds in advance for groups of the subtree, with {@link
     * #unchargeNow}. Called with the slot owned by the calling thread, also in the middle of {@link
     * #charge} on that very slot. Must not block, throw, charge, or uncharge by slot.
     *
     * @param slot the slot to drain
     * @param subtree the group at its top
     */
    void drain(CpuSlot slot, MemCgroup subtree);

    /**
     * A racy look, by any thread, whether {@link #drain} of that slot would find something. It may
     * overlook what is put there at the same time, nothing else.
     *
     * @param slot a slot that the caller need not own
     * @param subtree the group at its top
     * @return true if in doubt
     */
    default boolean holds(CpuSlot slot, MemCgroup subtree) {
      return true;
    }

    /**
     * A racy look, by any thread, for whom a thread works that owns a slot.
     *
     * @param owner the thread
     * @return who pays for what it allocates; null if unknown
     */
    default @Nullable MemCgroup payerOf(Thread owner) {
      return null;
    }

    /**
     * A group is being removed: it is offline and has no children. Called with the tree's lock
     * held, so that removals come one after the other. Must not block, throw, create or remove
     * groups.
     *
     * @param dying the group
     * @param parent where what it still owns goes; online
     */
    void offline(MemCgroup dying, MemCgroup parent);
  }

  /** One word that the floor above keeps per group. */
  public interface GroupState {}

  private final GroupTree tree;
  private final @Nullable MemCgroup parent;
  private final MemCgroup root;
  private final String name;
  private final int depth;
  private final PageCounter counter;

  private volatile boolean online = true;
  private volatile @Nullable GroupState state;
  private volatile @Nullable ConcurrentHashMap<String, MemCgroup> children; // made by the first

  private MemCgroup(GroupTree tree, @Nullable MemCgroup parent, String name) {
    this.tree = tree;
    this.parent = parent;
    this.root = parent == null ? this : parent.root;
    this.name = name;
    this.depth = parent == null ? 0 : parent.depth + 1;
    this.counter = new PageCounter(parent == null ? null : parent.counter);
  }

  // ---- tree

  /**
   * The root of a new tree, with slots of its own.
   *
   * @return a group without a limit
   */
  public static MemCgroup root() {
    return root(CpuSlots.create());
  }

  /**
   * The root of a new tree.
   *
   * @param slots the slots of the instance
   * @return a group without a limit
   */
  public static MemCgroup root(CpuSlots slots) {
    return new MemCgroup(new GroupTree(slots), null, "");
  }

  /**
   * The slots of this tree.
   *
   * @return what the root was made with
   */
  public CpuSlots slots() {
    return tree.slots();
  }

  /**
   * The root of this tree.
   *
   * @return this group if it is the root
   */
  public MemCgroup treeRoot() {
    return root;
  }

  /**
   * The group above.
   *
   * @return null for the root; a removed group keeps its parent
   */
  public @Nullable MemCgroup parent() {
    return parent;
  }

  /**
   * The name below the parent.
   *
   * @return empty for the root
   */
  public String name() {
    return name;
  }

  /**
   * The names from the root to here.
   *
   * @return {@code /} for the root, {@code /a/b} below it; a removed group keeps its path
   */
  public String path() {
    if (parent == null) {
      return "/";
    }
    StringBuilder path = new StringBuilder();
    for (MemCgroup group = this; group.parent != null; group = group.parent) {
      path.insert(0, group.name).insert(0, '/');
    }
    return path.toString();
  }

  /**
   * The groups directly below.
   *
   * @return a copy, in no order; without those that come or go during the call, or with them
   */
  public List<MemCgroup> children() {
    ConcurrentHashMap<String, MemCgroup> map = children;
    return map == null ? List.of() : List.copyOf(map.values());
  }

  /**
   * Whether the group is part of the tree.
   *
   * @return false once {@link #remove} has taken effect
   */
  public boolean isOnline() {
    return online;
  }

  /**
   * Whether a group is this one or lies above it.
   *
   * @param ancestorOrSelf the other group
   * @return true also for the group itself; false for one of another tree
   */
  public boolean isDescendantOf(MemCgroup ancestorOrSelf) {
    MemCgroup group = this;
    while (group.parent != null && group.depth > ancestorOrSelf.depth) {
      group = group.parent;
    }
    return group == ancestorOrSelf;
  }

  /** The lowest group that both are below, or are; both of one tree. */
  MemCgroup commonAncestor(MemCgroup other) {
    MemCgroup ancestor = this;
    while (ancestor.parent != null && !other.isDescendantOf(ancestor)) {
      ancestor = ancestor.parent;
    }
    return ancestor;
  }

  /**
   * Adds a group below this one.
   *
   * @param childName 1 to 255 chars, without {@code /}, control characters, line separators and
   *     unpaired surrogates; not {@code .} or {@code ..}
   * @return the new group, without a limit of its own
   * @throws IllegalArgumentException if the name is not allowed
   * @throws IllegalStateException if there is a child of that name, or this group was removed
   */
  public MemCgroup create(String childName) {
    GroupName.check(childName);
    ReentrantLock shape = tree.shape();
    shape.lock();
    try {
      checkOnline("create");
      ConcurrentHashMap<String, MemCgroup> map = children;
      if (map == null) {
        map = new ConcurrentHashMap<>(2);
        children = map;
      }
      MemCgroup child = new MemCgroup(tree, this, childName);
      if (map.putIfAbsent(childName, child) != null) {
        throw new IllegalStateException("group exists: group=" + child.path());
      }
      return child;
    } finally {
      shape.unlock();
    }
  }

  /**
   * Looks a group up. Takes no lock; the cost does not depend on the number of groups.
   *
   * @param path names with {@code /} between them; from the root with a leading {@code /}, else
   *     from this group. {@code /} is the root.
   * @return null if there is no such group, or the path has an empty name in it
   */
  public @Nullable MemCgroup find(String path) {
    MemCgroup group = this;
    int start = 0;
    if (path.startsWith("/")) {
      group = root;
      start = 1;
      if (path.length() == 1) {
        return group;
      }
    }
    while (true) {
      int end = path.indexOf('/', start);
      ConcurrentHashMap<String, MemCgroup> map = group.children;
      MemCgroup child =
          map == null ? null : map.get(path.substring(start, end < 0 ? path.length() : end));
      if (child == null || end < 0) {
        return child;
      }
      group = child;
      start = end + 1;
    }
  }

  /**
   * Takes the group out of the tree. What slots hold in advance for it goes back, on busy slots
   * when their owner gets to it. What is still charged to it stays charged to its ancestors until
   * it is uncharged there.
   *
   * <p>Cost: does not depend on what is charged; grows with the number of slots, and with what the
   * floors above hand to the parent.
   *
   * @throws IllegalStateException if it has children, was removed before, or is the root
   */
  public void remove() {
    MemCgroup above = parent;
    if (above == null) {
      throw new IllegalStateException("the root cannot be removed: group=/");
    }
    ReentrantLock shape = tree.shape();
    shape.lock();
    try {
      checkOnline("remove");
      ConcurrentHashMap<String, MemCgroup> map = children;
      if (map != null && !map.isEmpty()) {
        throw new IllegalStateException(
            String.format(
                Locale.ROOT, "group has children: group=%s children=%d", path(), map.size()));
      }
      MemcgEvents.removal(this);
      online = false;
      if (above.children != null) {
        above.children.remove(name);
      }
      tree.offline(this, above);
    } finally {
      shape.unlock();
    }
    closePressure();
    for (MemCgroup level = this; level != null; level = level.parent) {
      if (level.counter.hasWaiters()) {
        level.waiters().wakeAllOf(this);
      }
    }
    tree.stockDrain().drain(this);
    tree.noteDying(this);
  }

  /**
   * The groups below this one.
   *
   * @return at least 0; racy while groups come and go. Cost: a visit of each.
   */
  public int nrDescendants() {
    int sum = 0;
    for (MemCgroup child : children()) {
      sum += 1 + child.nrDescendants();
    }
    return sum;
  }

  /**
   * Removed groups that were below this one and that something still holds: a busy slot with
   * charges in advance, an open {@link Charge}. Objects hold none.
   *
   * @return at least 0
   */
  public int nrDyingDescendants() {
    return tree.nrDying(this);
  }

  private void checkOnline(String operation) {
    if (!online) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT, "group was removed: group=%s operation=%s", path(), operation));
    }
  }

  // ---- limits and figures

  /**
   * What the group and everything below it is charged, with what slots hold in advance: exact after
   * {@link #drain} once nobody charges or frees.
   *
   * @return bytes
   */
  public long usage() {
    return counter.usage() << PAGE_SHIFT;
  }

  /**
   * The highest {@link #usage} so far; requests that were refused are not in it.
   *
   * @return bytes
   */
  public long peak() {
    return counter.peak() << PAGE_SHIFT;
  }

  /**
   * The limit of this group.
   *
   * @return bytes, a multiple of {@link #PAGE_SIZE}; {@link #UNLIMITED} if there is none
   */
  public long max() {
    return pagesToBytes(counter.max());
  }

  /**
   * Sets the limit. Takes effect at once for all charges that are not granted yet. When it is below
   * what is used, memory is reclaimed and then the out-of-memory policy asked; it succeeds in any
   * case, and charges are refused until enough is freed. Slots give back what they hold in advance.
   *
   * @param nrBytes {@code >= 0}, rounded down to pages; 4 PiB and more, as {@link #UNLIMITED},
   *     means no limit
   * @throws IllegalArgumentException if it is negative
   */
  public void setMax(long nrBytes) {
    setMaxNoBlock(nrBytes);
    LimitWrite.enforceMax(this);
  }

  /**
   * As {@link #setMax} without reclaim and policy.
   *
   * @param nrBytes as there
   * @throws IllegalArgumentException if it is negative
   */
  public void setMaxNoBlock(long nrBytes) {
    counter.setMax(pages("memory.max", nrBytes));
    drain(); // what a stock may hold was worked out from the old limit
  }

  /**
   * Gives back what slots hold in advance for this group and everything below it: on idle slots
   * before it returns, on busy ones when their owner gets to it, at the latest when it leaves its
   * scope.
   */
  public void drain() {
    tree.stockDrain().drain(this);
  }

  /**
   * What one slot may hold in advance for this group, page stock and stocks of the floors above
   * together. With {@link #STOCK_GROUPS} groups a slot, pages of their parent, and all slots full,
   * that is {@code 1/}{@link #MAX_STOCK_FRACTION} of the lowest limit on the way to the root. The
   * page stock keeps below one half of it, so it holds nothing when that is less than a page.
   *
   * @return bytes, not rounded; at most {@code 2 * CHARGE_BATCH} pages
   */
  public long stockBudgetBytes() {
    long mostPages = 2L * CHARGE_BATCH;
    long nrShares = (long) MAX_STOCK_FRACTION * HALF_STOCKS * slots().nrSlots() / 2;
    long lowest = counter.lowestMax();
    return lowest >= mostPages * nrShares
        ? mostPages << PAGE_SHIFT
        : (lowest << PAGE_SHIFT) / nrShares;
  }

  /**
   * The most by which {@link #usage} over-reads: all slots full with stocks of {@link
   * #STOCK_GROUPS} groups below here, each of {@link #stockBudgetBytes}, or of one page where that
   * is more, and with a page stock of their parent.
   *
   * @return bytes
   */
  public long stockBoundBytes() {
    return Math.max(stockBudgetBytes(), PAGE_SIZE) * HALF_STOCKS * slots().nrSlots() / 2;
  }

  /**
   * Pages that a slot may hold in its page stock. None for a removed group; none while a limit is
   * passed, as charges are refused then, and those from a stock ask no limit; none while anybody
   * waits for them.
   */
  long pageStockCapacity() {
    return online && counter.room() >= 0 && !isRoomAwaited()
        ? (stockBudgetBytes() / 2) >> PAGE_SHIFT
        : 0;
  }

  PageCounter counter() {
    return counter;
  }

  GroupTree tree() {
    return tree;
  }

  static long pagesToBytes(long nrPages) {
    return nrPages == PageCounter.UNLIMITED_PAGES ? UNLIMITED : nrPages << PAGE_SHIFT;
  }

  // ---- charges, for the floor above

  /**
   * Charges pages, for the floor above. Plain loads and stores when the slot holds enough in
   * advance. When a limit refuses, everything that idle slots hold in advance below that limit is
   * given back, busy slots are asked, and the charge is tried again while that frees something.
   *
   * <p>Legal for a group that was removed meanwhile: the ancestors are charged too, as ever.
   *
   * @param slot a slot that the caller owns
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return null if charged; else the group whose limit refused; the event is counted there
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   */
  public @Nullable MemCgroup charge(CpuSlot slot, long nrPages) {
    MemCgroup refusing = tryCharge(slot, nrPages);
    return refusing == null ? null : LimitHit.seek(this, slot, nrPages, refusing);
  }

  /**
   * Charges pages by way of the slot's page stock, without seeking any below a limit that refuses,
   * and without an event.
   *
   * @param slot a slot that the caller owns
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return null if charged; else the group whose limit refused
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   */
  public @Nullable MemCgroup tryCharge(CpuSlot slot, long nrPages) {
    checkRequest(nrPages);
    PageStock stock = tree.stock(slot);
    if (stock.consume(this, nrPages)) {
      return null;
    }
    long nrMore = 0;
    if (!stock.consumeFromParent(this, nrPages)) {
      nrMore = stock.chargeBatch(this, nrPages);
      MemCgroup refusing = nrMore > 0 ? null : groupOf(counter.tryCharge(nrPages));
      if (refusing != null) {
        return refusing;
      }
    }
    noteHigh(slot, stock, nrPages + nrMore);
    return null;
  }

  /** Remembers what was charged above a high limit, and has the slot's owner look soon. */
  private void noteHigh(CpuSlot slot, PageStock stock, long nrPages) {
    if (isPathOverHigh()) {
      stock.overHighPages += nrPages;
      slot.disarm();
    }
  }

  /**
   * For the floors above: takes the pages that were charged above a high limit by way of a slot, to
   * be passed to {@link #handleOverHigh} with no operation under way.
   *
   * @param slot a slot that the caller owns
   * @return pages; 0 if there is nothing to do
   */
  public long takeOverHighPages(CpuSlot slot) {
    PageStock stock = tree.stock(slot);
    long nrPages = stock.overHighPages;
    if (nrPages != 0) {
      stock.overHighPages = 0;
    }
    return nrPages;
  }

  /**
   * Gives pages back to the slot's page stock; what it may not hold goes to the counters.
   *
   * @param slot a slot that the caller owns
   * @param nrPages {@code >= 1}; at most what is charged
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   * @throws IllegalStateException if more comes back than was charged
   */
  public void uncharge(CpuSlot slot, long nrPages) {
    checkUncharge(nrPages);
    tree.stock(slot).refill(this, nrPages);
  }

  /**
   * Gives pages back of a group that gives way to another one on the slot: its own counter gets
   * them, and the slot keeps what its ancestors are charged, as far as it may, for a sibling.
   *
   * @param slot a slot that the caller owns
   * @param nrPages {@code >= 1}; at most what is charged
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   * @throws IllegalStateException if more comes back than was charged
   */
  public void leave(CpuSlot slot, long nrPages) {
    checkUncharge(nrPages);
    if (!tree.stock(slot).leaveToParent(this, nrPages)) {
      counter.uncharge(nrPages);
    }
  }

  /**
   * Charges pages straight to the counters.
   *
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @return null if charged; else the group whose limit refused; no event is counted
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   */
  public @Nullable MemCgroup tryChargeNow(long nrPages) {
    checkRequest(nrPages);
    return groupOf(counter.tryCharge(nrPages));
  }

  /**
   * Charges pages whatever the limits say. When a limit is passed by that, the event is counted
   * once, at the nearest such group.
   *
   * @param nrPages {@code 1..MAX_REQUEST_PAGES}
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   */
  public void forceCharge(long nrPages) {
    forceCharge(nrPages, true);
  }

  /** As {@link #forceCharge(long)} for a request whose event is counted already. */
  void forceChargeUncounted(long nrPages) {
    forceCharge(nrPages, false);
  }

  private void forceCharge(long nrPages, boolean counted) {
    checkRequest(nrPages);
    MemCgroup passed = groupOf(counter.force(nrPages));
    if (passed != null) {
      if (counted) {
        passed.countMaxEvent();
      }
      MemCgroup highest = passed;
      for (MemCgroup group = passed; group != null; group = group.parent) {
        highest = group.counter.usage() > group.counter.max() ? group : highest;
      }
      highest.drain();
    }
  }

  /**
   * Gives pages back to the counters of this group and its ancestors.
   *
   * @param nrPages {@code >= 1}; at most what is charged
   * @throws IllegalArgumentException if {@code nrPages} is out of range
   * @throws IllegalStateException if more comes back than was charged; nothing is changed then
   */
  public void unchargeNow(long nrPages) {
    checkUncharge(nrPages);
    counter.uncharge(nrPages);
  }

  /**
   * For the floors above: the error for memory that was charged but could not be mapped; the caller
   * has undone the charge.
   *
   * @param requestedBytes what was asked for
   * @param mappedBytes what the allocator has mapped already
   * @param rangeBytes the most that it can map
   * @return an error with {@link MemoryLimitException#OS} as the limit
   */
  public MemoryLimitException mappingRefused(
      long requestedBytes, long mappedBytes, long rangeBytes) {
    return new MemoryLimitException(
        path(), MemoryLimitException.OS, requestedBytes, mappedBytes, rangeBytes, 0, 0, true);
  }

  /**
   * The exception for a refusal that {@link #charge} on that slot has just returned.
   *
   * @param slot the slot, still owned by the caller
   * @param refusedBy what {@code charge} returned
   * @param requestedBytes what was asked for, as the caller of the floor above counts it
   * @return the exception, not thrown
   */
  public MemoryLimitException refusal(CpuSlot slot, MemCgroup refusedBy, long requestedBytes) {
    PageStock stock = tree.stock(slot);
    return refusal(refusedBy, requestedBytes, stock.reclaimRounds, stock.freedPages << PAGE_SHIFT);
  }

  /**
   * The exception for a refusal by {@link #tryCharge} or {@link #tryChargeNow}, which seek nothing.
   *
   * @param refusedBy the group whose limit refused
   * @param requestedBytes what was asked for, as the caller of the floor above counts it
   * @return the exception, not thrown
   */
  public MemoryLimitException refusal(MemCgroup refusedBy, long requestedBytes) {
    return refusal(refusedBy, requestedBytes, 0, 0);
  }

  MemoryLimitException refusal(
      MemCgroup refusedBy, long requestedBytes, int reclaimRounds, long freedBytes) {
    return new MemoryLimitException(
        path(),
        refusedBy.path(),
        requestedBytes,
        refusedBy.usage(),
        refusedBy.max(),
        reclaimRounds,
        freedBytes,
        requestedBytes <= pagesToBytes(counter.lowestMax()));
  }

  /** The group whose counter it is: this one or an ancestor. */
  private @Nullable MemCgroup groupOf(@Nullable PageCounter level) {
    if (level == null) {
      return null;
    }
    MemCgroup group = this;
    while (group != null && group.counter != level) {
      group = group.parent;
    }
    return group;
  }

  void countMaxEvent() {
    EventCounts.count(this, EventCounts.Event.MAX);
    MemcgEvents.limitHit(this);
  }

  @Override
  MemCgroup self() {
    return this;
  }

  private static void checkRequest(long nrPages) {
    if (nrPages < 1 || nrPages > MAX_REQUEST_PAGES) {
      throw outOfRange(nrPages, MAX_REQUEST_PAGES);
    }
  }

  private static void checkUncharge(long nrPages) {
    if (nrPages < 1 || nrPages > PageCounter.UNLIMITED_PAGES) {
      throw outOfRange(nrPages, PageCounter.UNLIMITED_PAGES);
    }
  }

  private static IllegalArgumentException outOfRange(long nrPages, long mostPages) {
    return new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "number of pages out of range: nrPages=%d legal=1..%d",
            nrPages,
            mostPages));
  }

  // ---- hooks for the floors above

  /**
   * The instance of a subsystem for this tree.
   *
   * @param type names it; one instance per type and tree
   * @param factory makes it on first use, from the root; called with the tree's lock held, so it
   *     must not create or remove groups
   * @param <S> its type
   * @return the same instance for every group of the tree
   */
  public <S extends Subsystem> S subsystem(
      Class<S> type, Function<? super MemCgroup, ? extends S> factory) {
    return tree.subsystem(type, root, factory);
  }

  /**
   * The word of the floor above. A volatile read.
   *
   * @return null until it is set
   */
  public @Nullable GroupState state() {
    return state;
  }

  /**
   * Replaces the word of the floor above. A volatile compare-and-set, by identity.
   *
   * @param expected what must be there
   * @param next what to put there
   * @return whether it was replaced
   */
  public boolean compareAndSetState(@Nullable GroupState expected, @Nullable GroupState next) {
    return STATE.compareAndSet(this, expected, next);
  }

  @Override
  public String toString() {
    return "MemCgroup[" + path() + "]";
  }
}
