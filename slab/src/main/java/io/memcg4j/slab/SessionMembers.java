package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * Who is in a session, and what those left behind who went: the protocol that finds the one moment,
 * and the one thread, to end it. Lock-free; any thread.
 */
class SessionMembers {
  /*
   * Layout     state:
   *              62      61            32 31             0
   *            +--------+----------------+----------------+
   *            | sealed |    nrJoined    |     nrOpen     |
   *            +--------+----------------+----------------+
   * Invariant  nrOpen <= nrJoined <= MAX_JOINED. Nobody joins once it is sealed. It is over when it
   *            is sealed and nrOpen is 0, and stays so. The one step that makes it so is told.
   * Ordering   leave: push what is left behind, then count down. The last step reads state after all
   *            of them (one chain of atomic updates), so whoever takes the list then misses nothing
   *            (SessionRetireStress; twins: counts first; seals with a read and a write).
   * Locks      none.
   */
  static final int MAX_JOINED = 1024;

  static final long SEALED = 1L << 62;
  private static final long JOINED_UNIT = 1L << 32;
  private static final long OPEN_MASK = JOINED_UNIT - 1;
  private static final long JOINED_MASK = SEALED - JOINED_UNIT;

  static final VarHandle STATE =
      fieldVarHandle(lookup(), "state", VarHandle.class, SessionMembers.class, long.class);
  private static final VarHandle WAITING =
      fieldVarHandle(lookup(), "waiting", VarHandle.class, SessionMembers.class, ArenaBlock.class);

  private volatile long state;
  private volatile @Nullable ArenaBlock waiting;

  /** Becomes a member. Returns false once it is sealed. */
  final boolean tryJoin() {
    while (true) {
      long before = state;
      if ((before & SEALED) != 0) {
        return false;
      }
      long after = before + JOINED_UNIT + 1;
      if ((after & JOINED_MASK) == MAX_JOINED * JOINED_UNIT) {
        after |= SEALED;
      }
      if (STATE.compareAndSet(this, before, after)) {
        return true;
      }
    }
  }

  /**
   * A member goes.
   *
   * @param first the blocks that it leaves, linked; null for none
   * @param last the last of them
   * @return true if it is over now: the caller ends the session
   */
  final boolean goes(@Nullable ArenaBlock first, @Nullable ArenaBlock last) {
    if (first != null && last != null) {
      push(first, last);
    }
    return countDown();
  }

  final void push(ArenaBlock first, ArenaBlock last) {
    ArenaBlock before;
    do {
      before = waiting;
      last.next = before;
    } while (!WAITING.compareAndSet(this, before, first));
  }

  final boolean countDown() {
    return isOver((long) STATE.getAndAdd(this, -1L) - 1);
  }

  /**
   * Lets nobody join any more.
   *
   * @return true if it is over now: the caller ends the session
   */
  boolean seal() {
    long before = (long) STATE.getAndBitwiseOr(this, SEALED);
    return (before & SEALED) == 0 && isOver(before | SEALED);
  }

  /**
   * Takes what was left behind. By whoever was told that it is over, when the session has ended.
   */
  final @Nullable ArenaBlock takeWaiting() {
    return (ArenaBlock) WAITING.getAndSet(this, null);
  }

  final boolean hasWaiting() {
    return waiting != null;
  }

  final boolean isSealed() {
    return (state & SEALED) != 0;
  }

  /** Whether all members have gone. Racy. */
  final boolean isIdle() {
    return (state & OPEN_MASK) == 0;
  }

  static boolean isOver(long state) {
    return (state & (SEALED | OPEN_MASK)) == SEALED;
  }
}
