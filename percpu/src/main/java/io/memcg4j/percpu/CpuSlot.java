package io.memcg4j.percpu;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import java.lang.ref.WeakReference;
import org.jspecify.annotations.Nullable;

/**
 * The JVM's stand-in for a CPU: an index for per-slot data that one thread at a time owns.
 *
 * <p>The owner uses everything that hangs on the slot (stocks, magazines, deltas) with plain loads
 * and stores. Claiming costs one CAS, releasing one volatile store. Obtain slots from {@link
 * CpuSlots}; only the thread that claimed a slot may call its methods, except {@link #index},
 * {@link #isShared} and {@link #ownerRacy}.
 *
 * <p>Origin: per-CPU data of Linux, where disabling preemption gives what the claim gives here.
 */
public final class CpuSlot extends CpuSlotPadding {
  /*
   * Layout     owner, gate and work sit together, 128 bytes away from anything else. Owner and gate
   *            are numbers: a reference stored into an old object costs a fence under G1.
   * Invariant  at most one thread is between claim and release; owner names it. A token is armed at
   *            one time only, so what was remembered with an older one is never taken for new.
   * Ordering   claim: CAS of owner. release: store of 0. So all plain writes of one owner are seen
   *            by the next one (ClaimVsDrainStress, twin: a claim without CAS).
   *            holder, borrower: written after the claim; others believe them only if they name the
   *            thread that owner names.
   *            release: owner = 0, then look at work. push: work (CAS), then look at owner. Both
   *            volatile, so at least one side finds the work on an idle slot and does it
   *            (ReleaseVsSubmitStress, twin: a release store leaves 1 in 10^5 behind, for as long as
   *            nobody claims the slot). The full fence costs 5 ns for each release.
   *            ask: push work (CAS), then gate = 0. rearm: gate = token (volatile), then read
   *            work (volatile). One of the two sees the other, so no request is overlooked.
   * Locks      none; nothing here blocks.
   * Not        when an owner that does nothing on the slot does what it is asked: at its next
   * guaranteed operation, at the end of a scope, at its release.
   * Origin     own design, after preempt_disable() and per-CPU work items.
   */
  private static final VarHandle OWNER =
      fieldVarHandle(lookup(), "owner", VarHandle.class, CpuSlotState.class, long.class);
  private static final VarHandle GATE =
      fieldVarHandle(lookup(), "gate", VarHandle.class, CpuSlotState.class, long.class);
  private static final VarHandle WORK =
      fieldVarHandle(lookup(), "work", VarHandle.class, CpuSlotState.class, SlotWork.Node.class);

  private final int index;
  private final boolean shared;

  /** The owner of a slot that is held for one operation; null when it is idle. */
  private @Nullable Thread borrower;

  /**
   * The owner of a scope slot, or the last one. Written when another one comes, as each store of a
   * reference into an old object may cost a fence of the collector.
   */
  private @Nullable Holder holder;

  /** A thread by its id; weak, so that the class loader of one that has died is not kept. */
  private static final class Holder extends WeakReference<Thread> {
    final long id;

    Holder(Thread thread) {
      super(thread);
      id = thread.threadId();
    }

    /** A thread that was collected runs no more, dead or parked for ever. */
    boolean isAlive() {
      Thread thread = get();
      return thread != null && thread.isAlive();
    }
  }

  CpuSlot(int index, boolean shared) {
    this.index = index;
    this.shared = shared;
  }

  /**
   * Position of this slot among the slots of its instance.
   *
   * @return {@code 0..nrSlots-1}, or -1 for the overflow slot
   */
  public int index() {
    return index;
  }

  /**
   * Whether this slot is only ever claimed for the length of one operation.
   *
   * @return true for a slot that {@link CpuSlots#claimShared} hands out
   */
  public boolean isShared() {
    return shared;
  }

  /**
   * Who holds the slot. Any thread; racy, for statistics.
   *
   * @return null if it is idle
   */
  public @Nullable Thread ownerRacy() {
    long id = owner;
    Holder last = holder;
    Thread thread = shared ? borrower : last == null ? null : last.get();
    return thread != null && thread.threadId() == id ? thread : null;
  }

  boolean isOwnedByCaller() {
    return owner == Thread.currentThread().threadId();
  }

  /** One CAS if idle. A slot whose owner thread has died is taken over. */
  boolean tryOwn(Thread thread) {
    long current = owner;
    if ((current != 0 && mayBeAlive(current))
        || !OWNER.compareAndSet(this, current, thread.threadId())) {
      return false;
    }
    if (shared) {
      borrower = thread;
    } else {
      Holder last = holder;
      if (last == null || last.id != thread.threadId()) {
        holder = new Holder(thread);
      }
    }
    return true;
  }

  /**
   * The claim comes before the name of its thread: until that is there the thread is alive. The
   * dead owner's writes happen-before isAlive() returning false.
   */
  private boolean mayBeAlive(long id) {
    if (shared) {
      Thread thread = borrower;
      return thread == null || thread.threadId() != id || thread.isAlive();
    }
    Holder last = holder;
    return last == null || last.id != id || last.isAlive();
  }

  /** Gives the slot back. Work that others left is done first. The caller must own the slot. */
  public void release() {
    assert isOwnedByCaller() : "slot not owned: index=" + index;
    do {
      try {
        runWork();
      } finally {
        closeGate();
        if (shared) {
          borrower = null;
        }
        owner = 0;
      }
      // Whoever pushed after runWork looked may have found the slot still held.
    } while (work != null && tryOwn(Thread.currentThread()));
  }

  /**
   * Does pending work, then arms: lets the fast path through for the token until somebody asks for
   * something. A request that comes at the same time is not overlooked.
   *
   * @param token what {@link #isArmed} will be asked with: positive, and never armed before on this
   *     slot for anything else
   */
  public void rearm(long token) {
    do {
      runWork();
      GATE.setVolatile(this, token);
    } while (work != null);
  }

  /**
   * Whether the fast path may go on: {@code token} is armed and nobody has asked for anything. One
   * load, never hoisted out of a loop.
   *
   * @param token what the caller armed
   * @return false if the slot was released, armed for somebody else, or the owner is asked to look
   */
  public boolean isArmed(long token) {
    return (long) GATE.getOpaque(this) == token;
  }

  /**
   * Whether any token is armed: as {@link #isArmed} for a caller who knows what was armed last. By
   * the owner of the slot.
   *
   * @return false if nothing is armed, or the owner is asked to look
   */
  public boolean isArmed() {
    return (long) GATE.getOpaque(this) != 0;
  }

  /** Asks oneself: nothing is armed until the next {@link #rearm}. The caller owns the slot. */
  public void closeGate() {
    GATE.setOpaque(this, 0L);
  }

  /** Asks the owner to take its slow path at its next operation. Any thread. */
  public void disarm() {
    GATE.setVolatile(this, 0L);
  }

  /**
   * Whether others left work. One load.
   *
   * @return true if {@link #runWork} has something to do
   */
  public boolean workPending() {
    return work != null;
  }

  /** Does what others left for this slot. The caller must own the slot. */
  public void runWork() {
    if (work != null) {
      runAllWork();
    }
  }

  private void runAllWork() {
    SlotWork.@Nullable Node node = (SlotWork.Node) WORK.getAndSet(this, null);
    try {
      while (node != null) {
        SlotWork current = node.work();
        node = node.next();
        current.runQueued(this);
      }
    } finally {
      // Work that ends in an error (of the stack, say) takes nobody else's with it.
      for (; node != null; node = node.next()) {
        link(node.work());
      }
    }
  }

  /** Any thread: leaves work for the owner and closes the gate. */
  void push(SlotWork newWork) {
    if (newWork.enqueue(index)) {
      link(newWork);
    }
    disarm();
  }

  private void link(SlotWork newWork) {
    SlotWork.@Nullable Node head;
    do {
      head = work;
    } while (!WORK.compareAndSet(this, head, new SlotWork.Node(newWork, head)));
  }

  @Override
  public String toString() {
    return "CpuSlot[index=" + index + ", shared=" + shared + ", owner=" + ownerRacy() + "]";
  }
}
