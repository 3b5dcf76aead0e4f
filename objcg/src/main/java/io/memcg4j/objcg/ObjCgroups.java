package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.percpu.PerCpu;
import io.memcg4j.percpu.SlotWork;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The handles and scopes of one tree: the floor's hook into memcg, and the door for the allocator
 * floor. Applications use {@link ObjCgroup} and {@link Scope}.
 */
public final class ObjCgroups implements MemCgroup.Subsystem {
  /*
   * Layout     handles by id in one array, grown by copy; stocks per slot; scope per thread.
   * Invariant  a handle is in the array from creation until its last reference is dropped, and in
   *            the list of exactly one group.
   * Ordering   offline marks the group first, then takes the lock; making a handle takes the lock,
   *            then looks at the mark: so no handle is made behind the back of offline.
   *            recent: stored with release, after the slot names its occupant. Whoever reads it sees at
   *            least that occupant, and never itself as an earlier one that has no scope there, while it
   *            has one without a slot (OccupantStress, twin: recent before the occupant).
   * Locks      lock guards ids and the groups' lists; leaf: nothing is called with it held.
   * Origin     memcg_reparent_objcgs and friends, Linux mm/memcontrol.c.
   */
  private static final VarHandle RECENT = MethodHandles.arrayElementVarHandle(SlotScopes[].class);

  private static final int INITIAL_HANDLES = 16;
  private static final int NR_RECENT = 1024;

  /** More removals than that before a slot has looked, and it looks through all its stocks. */
  private static final int NR_KILLED = 64;

  private final MemCgroup root;
  private final CpuSlots slots;
  private final ReentrantLock lock = new ReentrantLock();

  @SuppressWarnings("ThreadLocalUsage") // one per tree: two instances in one JVM share nothing
  private final ThreadLocal<@Nullable ThreadState> threads = new ThreadLocal<>();

  /**
   * Where threads entered a scope last, by id. Racy: threads whose ids are equal modulo its length
   * overwrite each other, and each looks whether it is the occupant of what it finds; then it is
   * the only slot where it can be, as entering anywhere else overwrites this.
   */
  private final @Nullable SlotScopes[] recent;

  private final int recentMask;

  private final AtomicInteger nrCaches = new AtomicInteger();
  private final ObjCgroup rootHandle;
  private final PerCpu<SlotStocks> stocks;
  private final PerCpu<SlotScopes> scopes;
  private final ObjStock noStock;
  private final SlotWork sweep;

  /** Whose stocks slots have to let go of. */
  private final HistoryRing<ObjCgroup> killed = new HistoryRing<>(NR_KILLED);

  private volatile @Nullable ObjCgroup[] handles = new @Nullable ObjCgroup[INITIAL_HANDLES];
  private int[] freeIds = {};
  private int nrFreeIds;
  private int nrIds;

  /**
   * A tree's.
   *
   * @param nrRecent a power of two
   */
  ObjCgroups(MemCgroup root, int nrRecent) {
    this.root = root;
    this.recent = new @Nullable SlotScopes[nrRecent];
    this.recentMask = nrRecent - 1;
    this.slots = root.slots();
    this.rootHandle = newHandle(root);
    GroupHandles state = new GroupHandles();
    state.active = rootHandle;
    root.compareAndSetState(null, state);
    this.stocks = new PerCpu<>(slots, i -> new SlotStocks(this, slots.slot(i), rootHandle));
    this.noStock = new ObjStock(new SlotStocks(this, slots.overflow(), rootHandle), rootHandle);
    this.scopes = new PerCpu<>(slots, i -> new SlotScopes(this, slots.slot(i)));
    this.sweep =
        new SlotWork(slots) {
          @Override
          protected void run(CpuSlot slot) {
            stocks.get(slot).sweep(killed);
          }
        };
  }

  /**
   * The handles of a tree, made on first use.
   *
   * @param group any group of the tree
   * @return the one instance of the tree
   */
  public static ObjCgroups of(MemCgroup group) {
    return group.treeRoot().subsystem(ObjCgroups.class, ObjCgroups::newTree);
  }

  private static ObjCgroups newTree(MemCgroup root) {
    ObjCgroups created = new ObjCgroups(root, NR_RECENT);
    LiveTrees.add(created);
    return created;
  }

  /**
   * The slots of the tree.
   *
   * @return the slots
   */
  public CpuSlots slots() {
    return slots;
  }

  /**
   * The handle of the root, to which nothing is charged.
   *
   * @return the root's handle
   */
  public ObjCgroup rootHandle() {
    return rootHandle;
  }

  ObjCgroup active(MemCgroup group) {
    for (MemCgroup g = group; g != null; g = g.parent()) {
      GroupHandles state = (GroupHandles) g.state();
      ObjCgroup active = state == null ? null : state.active;
      if (active == null && g.isOnline()) {
        active = create(g);
      }
      if (active != null) {
        return active;
      }
    }
    return rootHandle;
  }

  private @Nullable ObjCgroup create(MemCgroup group) {
    lock.lock();
    try {
      GroupHandles state = stateOf(group);
      if (state.active == null && group.isOnline()) {
        ObjCgroup handle = newHandle(group);
        state.add(handle);
        state.active = handle;
      }
      return state.active;
    } finally {
      lock.unlock();
    }
  }

  private static GroupHandles stateOf(MemCgroup group) {
    GroupHandles state = (GroupHandles) group.state();
    if (state == null) {
      state = new GroupHandles();
      group.compareAndSetState(null, state);
    }
    return state;
  }

  private ObjCgroup newHandle(MemCgroup group) {
    int id = nrFreeIds > 0 ? freeIds[--nrFreeIds] : nrIds++;
    @Nullable ObjCgroup[] array = handles;
    if (id >= array.length) {
      array = Arrays.copyOf(array, array.length * 2);
    }
    ObjCgroup handle = new ObjCgroup(this, id, group);
    array[id] = handle;
    handles = array;
    return handle;
  }

  void release(ObjCgroup handle) {
    lock.lock();
    try {
      GroupHandles home = handle.home;
      if (home != null) {
        home.remove(handle);
      }
      handles[handle.id()] = null;
      if (nrFreeIds == freeIds.length) {
        freeIds = Arrays.copyOf(freeIds, Math.max(INITIAL_HANDLES, 2 * nrFreeIds));
      }
      freeIds[nrFreeIds++] = handle.id();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void offline(MemCgroup dying, MemCgroup parent) {
    ObjCgroup active;
    lock.lock();
    try {
      GroupHandles state = (GroupHandles) dying.state();
      if (state == null) {
        return;
      }
      active = state.active;
      state.active = null;
      if (!state.isEmpty()) {
        state.reparentTo(parent, stateOf(parent));
      }
    } finally {
      lock.unlock();
    }
    if (active != null) {
      active.refs().kill();
      noteKilled(active);
      slots.submit(sweep);
    }
  }

  private void noteKilled(ObjCgroup handle) {
    lock.lock();
    try {
      killed.add(handle);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void drain(CpuSlot slot, MemCgroup subtree) {
    stocks.get(slot).drain(subtree);
  }

  @Override
  public boolean holds(CpuSlot slot, MemCgroup subtree) {
    return stocks.get(slot).holds(subtree);
  }

  @Override
  public @Nullable MemCgroup payerOf(Thread owner) {
    long threadId = owner.threadId();
    SlotScopes last = recent[indexOf(threadId)];
    if (last == null) {
      return null;
    }
    long occupant = last.occupant();
    ScopeFrame frame = SlotScopes.isOf(occupant, threadId) ? last.innermost(occupant) : null;
    return frame == null ? null : frame.payerRacy();
  }

  private int indexOf(long threadId) {
    return (int) threadId & recentMask;
  }

  ScopeFrame enter(ObjCgroup handle) {
    long threadId = Thread.currentThread().threadId();
    SlotScopes last = recent[indexOf(threadId)];
    if (last != null) {
      long occupant = last.occupant();
      if (SlotScopes.isOf(occupant, threadId)) {
        if (SlotScopes.isOpen(occupant)) {
          return last.open(occupant, handle);
        }
        if (slots.tryClaim(last.slot())) {
          return enterOutermost(last, threadId, handle);
        }
      }
    }
    return enterSlow(threadId, handle);
  }

  private static ScopeFrame enterOutermost(SlotScopes mine, long threadId, ObjCgroup handle) {
    try {
      return mine.openOutermost(threadId, handle);
    } catch (Throwable e) {
      mine.slot().release();
      throw e;
    }
  }

  private ScopeFrame enterSlow(long threadId, ObjCgroup handle) {
    ThreadState state = threads.get();
    if (state == null) {
      state = new ThreadState(slots.firstHint());
      threads.set(state);
    }
    SlotScopes mine = scopesOf(state, threadId);
    if (mine != null) {
      return mine.open(mine.occupant(), handle);
    }
    CpuSlot slot = slots.tryClaim(state.slotHint);
    if (slot != null) {
      mine = scopes.get(slot);
      state.slotHint = slot.index();
      ScopeFrame frame = enterOutermost(mine, threadId, handle);
      RECENT.setRelease(recent, indexOf(threadId), mine);
      return frame;
    }
    mine = new SlotScopes(this, slots.overflow());
    RECENT.setRelease(recent, indexOf(threadId), (SlotScopes) null);
    state.overflow = mine;
    return mine.openOutermost(threadId, handle);
  }

  /** Where a thread has scopes open; null outside any. */
  private @Nullable SlotScopes scopesOf(ThreadState state, long threadId) {
    SlotScopes mine = state.overflow;
    if (mine == null && state.slotHint < slots.nrScopeSlots()) {
      mine = scopes.get(state.slotHint);
    }
    if (mine == null) {
      return null;
    }
    long occupant = mine.occupant();
    return SlotScopes.isOf(occupant, threadId) && SlotScopes.isOpen(occupant) ? mine : null;
  }

  /** The outermost scope of a thread without a slot was closed. */
  void leftOverflow() {
    ThreadState state = threads.get();
    if (state != null) {
      state.overflow = null;
    }
  }

  /**
   * For the allocator floor: the stock of the calling thread's innermost scope, if the fast path
   * may go on with it.
   *
   * @return null if the slot is not armed, or not found at once: ask {@link #currentScope}
   */
  public @Nullable ObjStock armedStock() {
    long threadId = Thread.currentThread().threadId();
    SlotScopes last = recent[indexOf(threadId)];
    return last == null ? null : last.armedStock(threadId);
  }

  /**
   * The calling thread's innermost scope in this tree. Costs a few loads; a {@link ThreadLocal}
   * lookup if another thread that entered a scope since has an id that is equal modulo 1024, if the
   * scope has no slot, or outside any on a thread whose last slot has gone to another one.
   *
   * @return the scope, or null outside any
   */
  public @Nullable ScopeFrame currentScope() {
    long threadId = Thread.currentThread().threadId();
    SlotScopes last = recent[indexOf(threadId)];
    if (last != null) {
      long occupant = last.occupant();
      if (SlotScopes.isOf(occupant, threadId)) {
        return last.innermost(occupant);
      }
    }
    return currentScopeSlow(threadId);
  }

  private @Nullable ScopeFrame currentScopeSlow(long threadId) {
    ThreadState state = threads.get();
    SlotScopes mine = state == null ? null : scopesOf(state, threadId);
    return mine == null ? null : mine.innermost(mine.occupant());
  }

  /** Whether a scope that is open on a slot runs on a stock; by the owner of the slot. */
  boolean isInScope(CpuSlot slot, ObjStock stock) {
    return scopes.get(slot).uses(stock);
  }

  /**
   * The stock of a handle on a slot, made if there is none. A handle whose group was removed is
   * replaced by the one that inherited it.
   *
   * @param slot a slot that the caller owns
   * @param handle who pays
   * @return the stock, valid while the caller owns the slot and pins it or is in a scope on it
   */
  public ObjStock stock(CpuSlot slot, ObjCgroup handle) {
    SlotStocks mine = stocks.get(slot);
    for (ObjCgroup payer = handle; ; payer = active(payer.group())) {
      ObjStock stock = payer.refs().isDying() ? null : mine.get(payer);
      if (stock != null) {
        return stock;
      }
    }
  }

  /**
   * The stock of the owner of an object, if the slot has one.
   *
   * @param slot a slot that the caller owns
   * @param id the owner's {@link ObjCgroup#id}
   * @return the stock or null
   */
  public @Nullable ObjStock find(CpuSlot slot, int id) {
    return stocks.get(slot).find(id);
  }

  /**
   * The handle of an object's owner.
   *
   * @param id the owner's {@link ObjCgroup#id}
   * @return the handle; null if no object can have that owner
   */
  public @Nullable ObjCgroup handle(int id) {
    @Nullable ObjCgroup[] array = handles;
    return id >= 0 && id < array.length ? array[id] : null;
  }

  /**
   * A number under which an allocator can {@link ObjStock#setCache keep} things in stocks.
   *
   * @return a number that no other allocator of this tree has
   */
  public int newCacheIndex() {
    return nrCaches.getAndIncrement();
  }

  /**
   * The stock of scopes that hold no slot. Shared by all of them, so nothing may be taken from it
   * or kept in it.
   *
   * @return what {@link ScopeFrame#stock} is for such a scope
   */
  public ObjStock noStock() {
    return noStock;
  }

  void requireSameTree(ObjCgroup handle) {
    if (handle.group().treeRoot() != root) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "handle of another tree: handle=%s tree=%s", handle, root));
    }
  }

  /**
   * Number of handles that exist, active or kept by objects of removed groups.
   *
   * @return at least 1, the root's
   */
  public int nrHandles() {
    lock.lock();
    try {
      return nrIds - nrFreeIds;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Number of stocks in all slots. Racy; for statistics and tests.
   *
   * @return at least 0
   */
  public int nrStocks() {
    int[] sum = {0};
    stocks.forEach(s -> sum[0] += s.nrStocks());
    return sum[0];
  }
}
