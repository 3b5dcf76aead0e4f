package io.memcg4j.objcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.PercpuRef;
import java.lang.invoke.VarHandle;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;

/**
 * Who pays: the light handle that objects point at, instead of at their group.
 *
 * <p>A thread {@link #enter enters} a handle for a scope; what it allocates inside is charged to
 * the handle's group. When the group is removed, its handles are given to the parent by one pointer
 * write each, however many objects they have; objects never keep a group alive.
 *
 * <p>Thread-safe. Obtain with {@link #of}; there is one active handle per group.
 *
 * <p>A scope stays on its thread. To have the group follow the work, wrap the work:
 *
 * <pre>{@code
 * ExecutorService pool = ObjCgroup.wrap(Executors.newFixedThreadPool(8));
 * pool.submit(() -> kmalloc.allocate(100));      // paid by the group of the thread that submits
 * }</pre>
 */
public final class ObjCgroup {
  /*
   * Layout     id names the handle in the allocator's side arrays; it is reused only after release.
   *            refs is one atomic number: it counts stocks and large objects, not small ones, and a
   *            parked owner of a slot must not keep each handle that is removed meanwhile.
   * Invariant  charged pages of the group = live bytes of its handles + what stocks hold
   *            + nrChargedBytes, per handle; nrChargedBytes < one page at rest.
   * Ordering   group is written under the registry's lock and read without: a charge that still sees
   *            the dying group charges its ancestors too, an uncharge that sees the parent takes from
   *            the same ancestors; the dying group's own residue is discarded with it.
   * Locks      none here; see ObjCgroups.
   * Not        group() may be stale by the time it is used; nothing depends on it being fresh.
   * guaranteed
   * Origin     struct obj_cgroup of Linux (mm/memcontrol.c), reparenting as in obj_cgroup offline.
   */
  private static final VarHandle CHARGED =
      fieldVarHandle(lookup(), "nrChargedBytes", VarHandle.class, ObjCgroup.class, long.class);

  /** Id of the root's handle, to which nothing is charged. */
  public static final int ROOT_ID = 0;

  private final ObjCgroups registry;
  private final int id;
  private final PercpuRef refs;
  private volatile MemCgroup group;

  /** Charged bytes that no stock holds. Stocks exchange it whole; read before any exchange. */
  private volatile long nrChargedBytes;

  /** Neighbours in the list of handles that the group inherited; guarded by the registry's lock. */
  @Nullable ObjCgroup previous;

  @Nullable ObjCgroup next;
  @Nullable GroupHandles home;

  /** Path of the group that this handle was made for, once that was removed. */
  private volatile @Nullable String removedPath;

  ObjCgroup(ObjCgroups registry, int id, MemCgroup group) {
    this.registry = registry;
    this.id = id;
    this.group = group;
    this.refs = PercpuRef.atomic(registry.slots(), this::released);
  }

  /**
   * The active handle of a group; of the nearest ancestor that is still there if it was removed.
   *
   * @param group the group that shall pay
   * @return its handle, the same one every time while the group exists
   */
  public static ObjCgroup of(MemCgroup group) {
    return ObjCgroups.of(group).active(group);
  }

  /**
   * Opens a scope: until it is closed, the calling thread's allocations are charged to this
   * handle's group. Scopes nest. Costs one CAS for an outermost scope, none for a nested one.
   *
   * @return the scope, to be closed by the same thread, innermost first
   */
  public Scope enter() {
    ScopeFrame frame = registry.enter(this);
    return new Scope(frame, frame.serial(), this);
  }

  // ---- following the work

  /**
   * A task that is paid for by the groups that the calling thread is in now, one per tree, on
   * whatever thread it runs. If it is in none, nobody pays, whatever the running thread is in.
   *
   * @param task what to run
   * @return runs {@code task} inside scopes of its own, and leaves none open
   */
  public static Runnable wrap(Runnable task) {
    return TaskGroups.capture().wrap(task);
  }

  /**
   * As {@link #wrap(Runnable)}, for a task with a result.
   *
   * @param task what to call
   * @param <V> what it returns
   * @return calls {@code task} inside scopes of its own, and leaves none open
   */
  public static <V> Callable<V> wrap(Callable<V> task) {
    return TaskGroups.capture().wrap(task);
  }

  /**
   * An executor each of whose tasks is paid for by the groups of the thread that hands it in.
   *
   * @param executor runs the tasks
   * @return to be shared like {@code executor}
   */
  public static Executor wrap(Executor executor) {
    return task -> executor.execute(wrap(task));
  }

  /**
   * As {@link #wrap(Executor)}. Tasks that {@link ExecutorService#shutdownNow} returns are wrapped
   * ones.
   *
   * @param executor runs the tasks
   * @return to be shared, shut down and closed like {@code executor}
   */
  public static ExecutorService wrap(ExecutorService executor) {
    return new PayingExecutor(executor);
  }

  /**
   * A factory whose threads are paid for by the groups of the thread that had them made. For a
   * thread per task, as of structured concurrency; a pool would keep the groups of whoever made its
   * threads grow.
   *
   * @param factory makes the threads
   * @return to be shared like {@code factory}
   */
  public static ThreadFactory wrapThreads(ThreadFactory factory) {
    return task -> factory.newThread(wrap(task));
  }

  // ---- who

  /**
   * The group that pays now.
   *
   * @return the group this handle was made for, or after its removal the nearest ancestor
   */
  public MemCgroup group() {
    MemCgroup payer = group;
    // Once nothing is charged through a handle no removal looks for it any more.
    for (MemCgroup above = payer.parent(); above != null && !payer.isOnline(); ) {
      payer = above;
      above = payer.parent();
    }
    return payer;
  }

  /**
   * Path of the group that this handle was made for, for reports: who allocated what is charged
   * here. Differs from {@link #group} once that group was removed and another one pays.
   *
   * @return as {@link MemCgroup#path}
   */
  public String madeFor() {
    String removed = removedPath;
    return removed == null ? group.path() : removed;
  }

  /**
   * Number of this handle, for side arrays that record owners.
   *
   * @return {@link #ROOT_ID} for the root; positive for all others; reused after the last reference
   */
  public int id() {
    return id;
  }

  /**
   * References that keep the id from being reused: one per stock, per large object, and one while
   * the group exists.
   *
   * @return the count, for callers that own a slot
   */
  public PercpuRef refs() {
    return refs;
  }

  /** Whether this is the root's handle: nothing is charged, as for a task in the root cgroup. */
  boolean isRoot() {
    return id == ROOT_ID;
  }

  boolean isOf(ObjCgroups tree) {
    return registry == tree;
  }

  /** Under the registry's lock. */
  void reparent(MemCgroup parent) {
    if (removedPath == null) {
      removedPath = group.path();
    }
    group = parent;
  }

  /**
   * Takes all bytes that no stock holds. Reads first: the exchange is rare, the question is not.
   */
  long takeRemainder() {
    return nrChargedBytes == 0 ? 0 : (long) CHARGED.getAndSet(this, 0L);
  }

  /**
   * Takes back charged bytes that fit in no stock: whole pages leave the group's counters at once,
   * the rest waits here. Any thread; lock-free.
   *
   * @param nrBytes bytes that were charged through this handle, at least 0
   */
  public void unchargeNow(long nrBytes) {
    long nrPages = isRoot() ? 0 : wholePagesOf(nrBytes);
    if (nrPages != 0) {
      group().unchargeNow(nrPages);
    }
  }

  /**
   * As {@link #unchargeNow}, when another handle takes the place of this one on a slot: what the
   * groups above are charged for whole pages stays with the slot.
   *
   * @param slot a slot that the caller owns
   * @param nrBytes bytes that were charged through this handle, at least 0
   */
  void leave(CpuSlot slot, long nrBytes) {
    long nrPages = wholePagesOf(nrBytes);
    if (nrPages != 0) {
      group().leave(slot, nrPages);
    }
  }

  /** Pages among the bytes and what waits here; what is left over waits from now on. */
  private long wholePagesOf(long nrBytes) {
    long nrPages = nrBytes >>> MemCgroup.PAGE_SHIFT;
    long rest = nrBytes & (MemCgroup.PAGE_SIZE - 1);
    return rest != 0 && (long) CHARGED.getAndAdd(this, rest) + rest >= MemCgroup.PAGE_SIZE
        ? nrPages + takeWholePages()
        : nrPages;
  }

  private long takeWholePages() {
    for (long sum = nrChargedBytes; sum >= MemCgroup.PAGE_SIZE; sum = nrChargedBytes) {
      if (CHARGED.compareAndSet(this, sum, sum & (MemCgroup.PAGE_SIZE - 1))) {
        return sum >>> MemCgroup.PAGE_SHIFT;
      }
    }
    return 0;
  }

  /**
   * Takes back charged bytes through the stock of a slot if it has one for this handle.
   *
   * @param slot a slot that the caller owns
   * @param nrBytes bytes that were charged through this handle, at least 0
   */
  public void uncharge(CpuSlot slot, long nrBytes) {
    ObjStock stock = registry.find(slot, id);
    if (stock != null) {
      stock.uncharge(nrBytes);
    } else {
      unchargeNow(nrBytes);
    }
  }

  /** The last reference is gone: no object, stock or scope is charged through this handle. */
  private void released() {
    long rest = takeRemainder();
    assert (rest & (MemCgroup.PAGE_SIZE - 1)) == 0 : "bytes lost: handle=" + this + " rest=" + rest;
    if (rest != 0) {
      group().unchargeNow(rest >>> MemCgroup.PAGE_SHIFT);
    }
    registry.release(this);
  }

  @Override
  public String toString() {
    return "ObjCgroup[id=" + id + ", group=" + group.path() + "]";
  }
}
