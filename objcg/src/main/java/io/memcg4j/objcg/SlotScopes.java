package io.memcg4j.objcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.percpu.CpuSlot;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The scopes that are open on one slot, all of one thread: a stack of frames that are kept. */
final class SlotScopes {
  /*
   * Layout     occupant is the thread's id and the depth of the stack in one word; frames above the
   *            depth wait to be used again.
   * Invariant  depth 0 unless the slot is held by the occupant, or was until it died. armed is the
   *            innermost scope's stock while the slot is armed.
   * Ordering   written by the owner of the slot. A thread that reads its own id wrote it itself, as
   *            ids are not used twice; being one word, the depth that comes with it is its own too (OccupantStress, twin:
   *            two words, where a thread that has left takes the depth of the next one for its own).
   * Locks      none.
   */
  private static final VarHandle OCCUPANT =
      fieldVarHandle(lookup(), "occupant", VarHandle.class, SlotScopes.class, long.class);

  private static final int DEPTH_BITS = 24;
  private static final int MAX_DEPTH = (1 << DEPTH_BITS) - 1;

  private final ObjCgroups registry;
  private final CpuSlot slot;
  private ScopeFrame[] frames;
  private long lastToken;
  private ObjStock armed;
  private long occupant;

  SlotScopes(ObjCgroups registry, CpuSlot slot) {
    this.registry = registry;
    this.slot = slot;
    this.armed = registry.noStock();
    this.frames = new ScopeFrame[] {new ScopeFrame(this, 0)};
  }

  ObjCgroups registry() {
    return registry;
  }

  CpuSlot slot() {
    return slot;
  }

  /** Who is in, or was last. */
  long threadId() {
    return occupant() >>> DEPTH_BITS;
  }

  /** What {@link #isOf} and {@link #innermost(long)} are to be asked with. Any thread. */
  long occupant() {
    return (long) OCCUPANT.getOpaque(this);
  }

  /** Whether a thread was the last that entered a scope here. */
  static boolean isOf(long occupant, long threadId) {
    return occupant >>> DEPTH_BITS == threadId;
  }

  /** Whether the occupant that was just read has a scope open. */
  static boolean isOpen(long occupant) {
    return (occupant & MAX_DEPTH) != 0;
  }

  /** The innermost scope of an occupant that was just read; null if it has left. */
  @Nullable ScopeFrame innermost(long occupant) {
    int depth = (int) occupant & MAX_DEPTH;
    return depth == 0 ? null : frames[depth - 1];
  }

  /** By the thread that has just claimed the slot. */
  ScopeFrame openOutermost(long threadId, ObjCgroup handle) {
    return open(threadId << DEPTH_BITS, handle);
  }

  /**
   * By the occupant.
   *
   * @param occupied the occupant with the depth before
   */
  ScopeFrame open(long occupied, ObjCgroup handle) {
    int depth = (int) occupied & MAX_DEPTH;
    if (depth == frames.length) {
      grow();
    }
    ScopeFrame frame = frames[depth];
    frame.open(handle);
    OCCUPANT.setOpaque(this, occupied + 1);
    return frame;
  }

  private void grow() {
    int before = frames.length;
    if (before * 2 > MAX_DEPTH) {
      throw new IllegalStateException("scopes nested too deep: depth=" + before);
    }
    ScopeFrame[] more = Arrays.copyOf(frames, before * 2);
    for (int i = before; i < more.length; i++) {
      more[i] = new ScopeFrame(this, i);
    }
    frames = more;
  }

  /** Any thread: whether so many scopes are open, and one more. */
  boolean isDeeperThan(int depth) {
    return ((int) occupant() & MAX_DEPTH) > depth;
  }

  /**
   * Closes the innermost scope.
   *
   * @param depth of the scopes around it
   * @return false if another one is innermost, or the caller is not the occupant
   */
  boolean leave(int depth) {
    long enclosing = (Thread.currentThread().threadId() << DEPTH_BITS) + depth;
    if (occupant() != enclosing + 1) {
      return false;
    }
    OCCUPANT.setOpaque(this, enclosing);
    return true;
  }

  /** By the owner of the slot: whose stock it is about to arm for. */
  void arming(ObjStock stock) {
    if (armed != stock) {
      armed = stock;
    }
  }

  /** The stock that the slot is armed for if it is the calling thread's; else null. */
  @Nullable ObjStock armedStock(long threadId) {
    long now = occupant();
    return isOf(now, threadId) && isOpen(now) && slot.isArmed() ? armed : null;
  }

  /** By the occupant: whether all scopes inside the one of a depth may be closed with it. */
  boolean allInsideCloseWith(int depth) {
    int open = (int) occupant & MAX_DEPTH;
    for (int i = depth + 1; i < open; i++) {
      if (!frames[i].closesWithOuter()) {
        return false;
      }
    }
    return true;
  }

  /** By the occupant: closes the scopes inside the one of a depth, innermost first. */
  void unwindInside(int depth) {
    for (int i = ((int) occupant & MAX_DEPTH) - 1; i > depth; i--) {
      leave(i);
      frames[i].left();
    }
  }

  /** A number that was never armed on this slot; by the owner of the slot. */
  long newToken() {
    return ++lastToken;
  }

  /**
   * Whether a scope that is open here runs on a stock; by the owner of the slot. Scopes of anybody
   * else are those of a thread that died inside them.
   */
  boolean uses(ObjStock stock) {
    int depth = isOf(occupant, Thread.currentThread().threadId()) ? (int) occupant & MAX_DEPTH : 0;
    for (int i = 0; i < depth; i++) {
      if (frames[i].runsOn(stock)) {
        return true;
      }
    }
    return false;
  }
}
