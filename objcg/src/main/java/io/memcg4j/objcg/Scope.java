package io.memcg4j.objcg;

import io.memcg4j.memcg.Throttle;
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
   * A ticket for a ScopeFrame, which outlives it: good as long as the serial number is the frame's.
   * Nothing that lives longer refers to it, so that where enter and close are inlined it is never
   * made.
   */
  private final ScopeFrame frame;
  private final long serial;
  private final ObjCgroup entered;
  private final @Nullable ScopeEvent event;

  Scope(ScopeFrame frame, long serial, ObjCgroup entered) {
    this.frame = frame;
    this.serial = serial;
    this.entered = entered;
    this.event = ScopeEvent.begun();
  }

  /**
   * The handle that pays for allocations in this scope.
   *
   * @return the handle it was entered with, or the target of the last move that the thread noticed;
   *     the handle it was entered with once it is closed
   */
  public ObjCgroup current() {
    ObjCgroup now = frame.current();
    return isOpen() ? now : entered;
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
    frame.moveTo(serial, target);
  }

  /**
   * For callers that may not sleep, such as event loops: from now on allocations in this scope do
   * not pause above {@code memory.high}; what is due is collected for {@link #takeThrottle}. By the
   * owner.
   *
   * @param deferred whether the caller honours the pauses itself
   * @return this scope
   * @throws IllegalStateException if it is closed, or another thread's
   */
  public Scope deferThrottle(boolean deferred) {
    frame().deferThrottle(this, deferred);
    return this;
  }

  /**
   * The pause that is due since the last call: to be taken before the next request is served. By
   * the owner.
   *
   * @return no pause unless {@link #deferThrottle} was asked for and a group is above its limit
   * @throws IllegalStateException if it is closed, or another thread's
   */
  public Throttle takeThrottle() {
    return frame().takeThrottle(this);
  }

  /**
   * Closes the scope: the enclosing one pays again, or the slot is given back. Closing a second
   * time does nothing.
   *
   * @throws IllegalStateException if called by another thread, or while an inner scope is open that
   *     was not opened by a framework, see {@link TaskScope}
   */
  @Override
  public void close() {
    ObjCgroup payer = event == null ? entered : current();
    if (frame.close(this, serial) && event != null) {
      event.end(payer);
    }
  }

  /**
   * Closes this scope and, before it, all that are still open inside it, whoever opened them. For
   * frameworks, which run code that may have left some open. A second time does nothing.
   *
   * @throws IllegalStateException if called by another thread
   */
  public void unwind() {
    ObjCgroup payer = event == null ? entered : current();
    if (frame.unwind(this, serial) && event != null) {
      event.end(payer);
    }
  }

  /** From now on an enclosing scope may be closed first, and closes this one. */
  Scope closedByOuter() {
    frame.closedByOuter();
    return this;
  }

  boolean isOpen() {
    return frame.isOpen(serial);
  }

  boolean isInnermost() {
    return frame.isInnermost(serial);
  }

  /**
   * For the allocator floor: what this scope is while it is open. Any thread; what is asked of it
   * is for the owner.
   *
   * @return the frame, which is another scope's as soon as this one is closed
   * @throws IllegalStateException if it is closed
   */
  public ScopeFrame frame() {
    if (!isOpen()) {
      throw frame.notInnermost(this);
    }
    return frame;
  }

  /**
   * For the allocator floor: as {@link ScopeFrame#resync} of this scope.
   *
   * @throws IllegalStateException if it is closed, not the innermost, or another thread's
   */
  public void resync() {
    frame().resync(this);
  }

  @Override
  public String toString() {
    return frame.toString(current(), !isOpen());
  }
}
