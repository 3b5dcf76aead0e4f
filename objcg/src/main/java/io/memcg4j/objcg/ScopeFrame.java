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
 * For the allocator floor: what a {@link Scope} is while it is open. Belongs to the slot and is
 * used again by the next scope at the same depth; confined to the thread that holds the slot,
 * except where noted.
 */
public final class ScopeFrame {
  /*
   * Layout     what changes with each scope is a number; references are only written when they
   *            differ, as each store of one into an old object may cost a fence of the collector.
   * Invariant  the slot is armed for the thread's innermost open scope or for none; nested scopes
   *            share the outermost one's slot. A token stands for one scope and one stock: whoever
   *            knows the stock by heart asks by the token.
   *            Opening and closing a scope only shut the gate. The first operation looks up the stock
   *            and arms, so that a switch without one costs no fence, and a switch back neither.
   * Ordering   moveTo: write move, then close the gate. resync: take move by exchange, open the gate,
   *            look at move again. Both sides volatile, so a move is either taken in this round or
   *            finds the gate closed behind it (ThreadMoveStress, twin: a plain read and clear, which
   *            loses moves). Nothing else opens the gate (same test, twin: the close of an inner scope
   *            that looks for a move, then opens). A move names the scope that it is for; one that
   *            comes too late never displaces one for a later scope, and is not taken.
   * Locks      none.
   * Not        how soon a running thread notices a move: at its next operation, which may never come.
   * guaranteed
   * Origin     "scoped objcg protection" of Linux: task->objcg with its update flag for moves,
   *            set_active_memcg for nesting.
   */
  private static final VarHandle MOVE =
      fieldVarHandle(lookup(), "move", VarHandle.class, ScopeFrame.class, Move.class);
  private static final VarHandle SERIAL =
      fieldVarHandle(lookup(), "serial", VarHandle.class, ScopeFrame.class, long.class);

  private static final long NO_TOKEN = -1;

  private static final int THROTTLE_DEFERRED = 1;
  private static final int THROTTLED = 1 << 1;
  private static final int CLOSES_WITH_OUTER = 1 << 2;

  /** To whom the thread is moved, while the scope with this serial number is open. */
  private record Move(long serial, ObjCgroup target) {}

  private final SlotScopes scopes;
  private final CpuSlot slot;
  private final int depth;
  private ObjCgroup handle;
  private ObjStock stock;
  private long token = NO_TOKEN;
  private long serial;

  /** Nothing for most scopes, so that opening one looks at a single number. */
  private int flags;

  private @Nullable Throttle throttle;
  private volatile @Nullable Move move;

  ScopeFrame(SlotScopes scopes, int depth) {
    this.scopes = scopes;
    this.slot = scopes.slot();
    this.depth = depth;
    this.handle = scopes.registry().rootHandle();
    this.stock = scopes.registry().noStock();
  }

  /** A scope is entered; its number is {@link #serial}. */
  void open(ObjCgroup payer) {
    if (handle != payer) {
      handle = payer;
    }
    token = NO_TOKEN;
    if (flags != 0) {
      flags = 0;
      throttle = null;
    }
    slot.closeGate();
    SERIAL.setOpaque(this, serial + 1);
  }

  /** The number of the scope that is open, by its thread. */
  long serial() {
    return serial;
  }

  /** Any thread: whether the scope with a serial number is still open. */
  boolean isOpen(long serialOfScope) {
    return (long) SERIAL.getOpaque(this) == serialOfScope && scopes.isDeeperThan(depth);
  }

  /** Returns false if the scope with that number was closed before. */
  boolean close(Scope scope, long serialOfScope) {
    if ((long) SERIAL.getOpaque(this) != serialOfScope) {
      return false;
    }
    if (!scopes.leave(depth)) {
      if (!scopes.isDeeperThan(depth)) {
        return false;
      }
      closeInner(scope);
      scopes.leave(depth);
    }
    left();
    return true;
  }

  /** Closes what frameworks have open inside. */
  private void closeInner(Scope scope) {
    requireOwner(scope);
    if (!scopes.allInsideCloseWith(depth)) {
      throw notClosable(scope);
    }
    scopes.unwindInside(depth);
  }

  /** As {@link #close}, with all that is open inside. */
  boolean unwind(Scope scope, long serialOfScope) {
    if (isOpen(serialOfScope)) {
      requireOwner(scope);
      scopes.unwindInside(depth);
    }
    return close(scope, serialOfScope);
  }

  /** Its place in the stack of scopes was given up. */
  void left() {
    if (token != NO_TOKEN) {
      stock.leave();
    }
    CpuSlot mine = slot;
    if (depth != 0) {
      mine.closeGate();
      mine.runWork();
    } else if (holdsSlot()) {
      mine.release();
    } else {
      scopes.registry().leftOverflow();
    }
  }

  /** Until it is closed, an enclosing scope may be closed first, and closes this one. */
  void closedByOuter() {
    flags |= CLOSES_WITH_OUTER;
  }

  boolean closesWithOuter() {
    return (flags & CLOSES_WITH_OUTER) != 0;
  }

  /** By the owner. */
  boolean isInnermost(long serialOfScope) {
    return isOpen(serialOfScope) && !scopes.isDeeperThan(depth + 1);
  }

  private IllegalStateException notClosable(Scope scope) {
    return new IllegalStateException(
        String.format(
            Locale.ROOT,
            "scope closed out of order: close the inner scopes first: scope=%s innermost=%s",
            scope,
            innermost()));
  }

  private @Nullable ScopeFrame innermost() {
    return scopes.innermost(scopes.occupant());
  }

  private void requireOwner(Object scope) {
    if (!SlotScopes.isOf(scopes.occupant(), Thread.currentThread().threadId())) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "scope used by another thread: scope=%s caller=%s",
              scope,
              Thread.currentThread()));
    }
  }

  /** Any thread. */
  void moveTo(long serialOfScope, ObjCgroup target) {
    scopes.registry().requireSameTree(target);
    Move mine = new Move(serialOfScope, target);
    Move present;
    do {
      present = move;
      if (!isOpen(serialOfScope) || (present != null && present.serial > serialOfScope)) {
        return;
      }
    } while (!MOVE.compareAndSet(this, present, mine));
    slot.disarm();
  }

  void deferThrottle(Scope scope, boolean deferred) {
    requireOwner(scope);
    flags = deferred ? flags | THROTTLE_DEFERRED : flags & ~THROTTLE_DEFERRED;
  }

  Throttle takeThrottle(Scope scope) {
    requireOwner(scope);
    Throttle due = throttle;
    throttle = null;
    return due == null ? Throttle.NONE : due;
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
   * Pages were charged above a high limit. Reclaims; pauses unless that is deferred. To be called
   * with no operation under way.
   *
   * @param group who paid
   * @param nrPages how many
   */
  public void overHigh(MemCgroup group, long nrPages) {
    boolean deferred = (flags & THROTTLE_DEFERRED) != 0;
    Throttle due = group.handleOverHigh(nrPages, !deferred);
    if (deferred && (throttle == null || due.delayNanos() > throttle.delayNanos())) {
      flags |= THROTTLED;
      throttle = due;
    }
  }

  /**
   * What the owner does on every slow path. Checks that this is the calling thread's innermost open
   * scope, takes a pending move, looks up the stock if there is none yet, does work that others
   * left, and opens the fast path again.
   *
   * @throws IllegalStateException if it is not the innermost, or another thread's
   */
  public void resync() {
    // Armed means innermost, and that nobody has asked for anything.
    if (!slot.isArmed(token)
        || !SlotScopes.isOf(scopes.occupant(), Thread.currentThread().threadId())) {
      resync(this);
    }
  }

  void resync(Object scope) {
    requireOwner(scope);
    ScopeFrame innermost = innermost();
    if (innermost != this) {
      throw notInnermost(scope);
    }
    do {
      Move due = move;
      if (due != null) {
        due = (Move) MOVE.getAndSet(this, null);
        if (due != null && due.serial == serial) {
          handle = due.target;
          switchStock();
        }
      }
      if (holdsSlot()) {
        if (token == NO_TOKEN) {
          switchStock();
        }
        scopes.arming(stock);
        slot.rearm(token);
      }
    } while (move != null);
  }

  IllegalStateException notInnermost(Object scope) {
    return new IllegalStateException(
        String.format(
            Locale.ROOT,
            "scope is not the innermost open one: scope=%s innermost=%s",
            scope,
            innermost()));
  }

  private void switchStock() {
    if (!holdsSlot()) {
      return;
    }
    ObjStock before = stock;
    boolean isLeft = token != NO_TOKEN;
    ObjStock now = scopes.registry().stock(slot, handle);
    if (before != now) {
      stock = now;
    }
    token = scopes.newToken();
    if (isLeft && before != now) {
      before.leave();
    }
  }

  boolean runsOn(ObjStock candidate) {
    return stock == candidate && token != NO_TOKEN;
  }

  /** Any thread: where the owner will move with its next operation; null if it stays. */
  @Nullable ObjCgroup moveTarget() {
    Move due = move;
    return due != null && isOpen(due.serial) ? due.target : null;
  }

  /** Who pays for the next allocation: a move that the owner has not noticed yet included. */
  ObjCgroup next() {
    Move due = move;
    return due != null && due.serial == serial ? due.target : handle;
  }

  /** Any thread: who pays, or paid before a move. */
  MemCgroup payerRacy() {
    return handle.group();
  }

  /**
   * The slot of this scope.
   *
   * @return the slot that the scope holds, or the overflow slot
   */
  public CpuSlot slot() {
    return slot;
  }

  /**
   * The stock to take from. Only valid while the slot is armed for this scope or directly after
   * {@link #resync}.
   *
   * @return the stock of the current handle; an empty one if the scope holds no slot
   */
  public ObjStock stock() {
    return stock;
  }

  /**
   * What the slot is armed with while the fast path may go on in this scope with the stock that it
   * has now.
   *
   * @return the same number from the first {@link #resync} until the scope is moved to another
   *     handle; before it, and without a slot, one that is never armed
   */
  public long token() {
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
    return toString(handle, false);
  }

  String toString(ObjCgroup payer, boolean closed) {
    return String.format(
        Locale.ROOT,
        "Scope[group=%s, thread=%s, slot=%d, closed=%s]",
        payer.group().path(),
        scopes.threadId(),
        slot.index(),
        closed);
  }
}
