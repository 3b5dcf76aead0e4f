package io.memcg4j.objcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.Throttle;
import io.memcg4j.percpu.CpuSlot;
import java.lang.invoke.VarHandle;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The time during which a thread's allocations are charged to one handle. Confined to the thread
 * that entered it, except {@link #moveTo}; nestable; close innermost first.
 *
 * <p>While the outermost scope is open its slot belongs to the thread alone, so everything on the
 * hot path is plain loads and stores, and the handle needs no reference count: the scope protects
 * it. A scope that found no free slot works the same way but caches nothing and costs a slot claim
 * per operation.
 */
public final class Scope implements AutoCloseable {
  /*
   * Invariant  the thread's innermost open scope is the one the slot is armed for, unless somebody
   *            asked for something; nested scopes share the outermost one's slot. A token stands for
   *            one scope and one stock: whoever knows the stock by heart asks by the token.
   * Ordering   moveTo: write moveTarget, then close the gate. resync: take moveTarget by exchange,
   *            open the gate, look at moveTarget again. Both sides volatile, so a move is either
   *            taken in this round or finds the gate closed behind it (ThreadMoveStress, twin: a
   *            plain read and clear, which loses moves). close of an inner scope: open the gate,
   *            then look (same test, twin: look, then open).
   * Locks      none.
   * Not        how soon a running thread notices a move: at its next operation, which may never come.
   * guaranteed
   * Origin     "scoped objcg protection" of Linux: task->objcg with its update flag for moves,
   *            set_active_memcg for nesting.
   */
  private static final VarHandle MOVE =
      fieldVarHandle(lookup(), "moveTarget", VarHandle.class, Scope.class, ObjCgroup.class);

  private final ObjCgroups registry;
  private final ThreadState state;
  private final Thread thread;
  private final @Nullable Scope outer;
  private final CpuSlot slot;
  private ObjCgroup handle;
  private ObjStock stock;
  private boolean closed;
  private boolean throttleDeferred;
  private Throttle throttle = Throttle.NONE;
  private final @Nullable ScopeEvent event;

  /** What the slot is armed with; another one after each move, as what allocators know is stale. */
  private Object token = this;

  private volatile @Nullable ObjCgroup moveTarget;

  Scope(ObjCgroups registry, ThreadState state, CpuSlot slot, ObjCgroup handle) {
    this.registry = registry;
    this.state = state;
    this.thread = state.thread;
    this.outer = state.scope;
    this.slot = slot;
    this.handle = handle;
    this.event = ScopeEvent.begun();
    if (slot.workPending()) {
      slot.runWork();
    }
    this.stock = pinStock(handle);
    registry.publish(state, this);
    if (holdsSlot()) {
      slot.arm(token);
      if (slot.workPending()) {
        slot.disarm(); // came while the stock was looked for
      }
    }
  }

  private ObjStock pinStock(ObjCgroup payer) {
    if (!holdsSlot()) {
      return registry.noStock();
    }
    ObjStock mine = registry.stock(slot, payer);
    mine.pinForScope();
    return mine;
  }

  /**
   * The handle that pays for allocations in this scope.
   *
   * @return the handle it was entered with, or the target of the last move that the thread noticed
   */
  public ObjCgroup current() {
    return handle;
  }

  /**
   * Moves the thread to another group from outside: what it allocates from some point after this
   * call is charged to {@code target}. Any thread; lock-free; the last of several moves wins. The
   * owner acts at its next operation; objects that it already has stay where they are charged.
   * Moving a closed scope does nothing.
   *
   * @param target the handle that shall pay from now on, of the same tree
   * @throws IllegalArgumentException if {@code target} belongs to another tree
   */
  public void moveTo(ObjCgroup target) {
    registry.requireSameTree(target);
    MOVE.setVolatile(this, target);
    slot.disarm();
  }

  /**
   * For callers that may not sleep, such as event loops: from now on allocations in this scope do
   * not pause above {@code memory.high}; what is due is collected for {@link #takeThrottle}. By the
   * owner.
   *
   * @param deferred whether the caller honours the pauses itself
   * @return this scope
   */
  public Scope deferThrottle(boolean deferred) {
    requireOwner();
    throttleDeferred = deferred;
    return this;
  }

  /**
   * The pause that is due since the last call: to be taken before the next request is served. By
   * the owner.
   *
   * @return no pause unless {@link #deferThrottle} was asked for and a group is above its limit
   */
  public Throttle takeThrottle() {
    requireOwner();
    Throttle due = throttle;
    throttle = Throttle.NONE;
    return due;
  }

  /**
   * For the allocator floor: pages were charged above a high limit. Reclaims; pauses unless that is
   * deferred. To be called with no operation under way.
   *
   * @param group who paid
   * @param nrPages how many
   */
  public void overHigh(MemCgroup group, long nrPages) {
    Throttle due = group.handleOverHigh(nrPages, !throttleDeferred);
    if (throttleDeferred && due.delayNanos() > throttle.delayNanos()) {
      throttle = due;
    }
  }

  /**
   * Closes the scope: the enclosing one pays again, or the slot is given back. Closing a second
   * time does nothing.
   *
   * @throws IllegalStateException if called by another thread, or while an inner scope is open
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    requireOwner();
    if (state.scope != this) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "scope closed out of order: close the inner scopes first: scope=%s innermost=%s",
              this,
              state.scope));
    }
    closed = true;
    if (event != null) {
      event.end(handle);
    }
    Scope enclosing = outer;
    registry.publish(state, enclosing);
    if (!holdsSlot()) {
      return;
    }
    stock.unpinForScope();
    if (enclosing == null) {
      state.slotHint = slot.index();
      slot.release();
    } else {
      slot.rearm(enclosing.token);
      if (enclosing.moveTarget != null) {
        slot.disarm();
      }
    }
  }

  /** By any thread: who pays, or paid before a move; null if the scope has just been made. */
  @Nullable MemCgroup payerRacy() {
    ObjCgroup payer = handleRacy();
    return payer == null ? null : payer.group();
  }

  /** Another thread may see the scope before its fields, which it was handed without an order. */
  private @Nullable ObjCgroup handleRacy() {
    return handle;
  }

  boolean isOf(Thread candidate) {
    return thread == candidate;
  }

  private void requireOwner() {
    if (thread != Thread.currentThread()) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "scope used by another thread: scope=%s caller=%s",
              this,
              Thread.currentThread()));
    }
  }

  /**
   * For the allocator floor: what the owner does on every slow path. Checks that this is the
   * calling thread's innermost open scope, takes a pending move, does work that others left, and
   * opens the fast path again.
   *
   * @throws IllegalStateException if the scope is closed, not the innermost, or another thread's
   */
  public void resync() {
    requireOwner();
    if (closed || state.scope != this) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "scope is not the innermost open one: scope=%s innermost=%s",
              this,
              state.scope));
    }
    do {
      ObjCgroup target = moveTarget;
      if (target != null) {
        target = (ObjCgroup) MOVE.getAndSet(this, null);
        if (target != null) {
          switchTo(target);
        }
      }
      if (holdsSlot()) {
        slot.rearm(token);
      }
    } while (moveTarget != null);
  }

  private void switchTo(ObjCgroup target) {
    ObjStock before = stock;
    handle = target;
    stock = pinStock(target);
    token = new Object();
    if (holdsSlot()) {
      before.unpinForScope();
    }
  }

  /**
   * For the allocator floor: the slot of this scope.
   *
   * @return the slot that the scope holds, or the overflow slot
   */
  public CpuSlot slot() {
    return slot;
  }

  /**
   * For the allocator floor: the stock to take from. Only valid while the slot is armed for this
   * scope or directly after {@link #resync}.
   *
   * @return the stock of the current handle; an empty one if the scope holds no slot
   */
  public ObjStock stock() {
    return stock;
  }

  /**
   * For the allocator floor: what the slot is armed with while the fast path may go on in this
   * scope with the stock that it has now.
   *
   * @return the same object until the scope is moved to another handle
   */
  public Object token() {
    return token;
  }

  /**
   * Whether this scope holds a slot of its own.
   *
   * @return false if it found none free and caches nothing
   */
  public boolean holdsSlot() {
    return slot.index() >= 0;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "Scope[group=%s, thread=%s, slot=%d, closed=%s]",
        handle.group().path(),
        thread.threadId(),
        slot.index(),
        closed);
  }
}
