package io.memcg4j.context;

import io.memcg4j.objcg.TaskGroups;
import io.memcg4j.objcg.TaskScope;
import io.micrometer.context.ThreadLocalAccessor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Who pays, as a value that context propagation carries to other threads: executors that are
 * wrapped, Reactor with automatic propagation, and the frameworks that build on it. Found by {@link
 * java.util.ServiceLoader}; nothing is to be registered.
 *
 * <p>Set opens a scope on the thread, restore closes it; a pool's thread is afterwards in the
 * groups that it was in before. Neither throws, in whatever order they come: a restore also undoes
 * the sets inside it that were not undone, closes scopes that the work left open, and does nothing
 * if its set is undone already. A set that nobody ever undoes keeps one scope of its thread, and no
 * more, until the enclosing scope is closed or the thread ends.
 */
public final class TaskGroupsAccessor implements ThreadLocalAccessor<TaskGroups> {
  /*
   * Layout     per thread the scopes that this opened, innermost first. At most one is opened
   *            directly inside another one of the application: a set inside a set changes that one
   *            scope, so that sets which are never undone do not pile up. Values are told apart by
   *            identity, which snapshots and Reactor's context keep.
   * Invariant  the thread is in the groups of the top's value while no other scope is open inside.
   * Locks      none; a scope is confined to its thread, and so is what stands for it here.
   * Not        that a value restored by another thread than the one that set it has any effect.
   * guaranteed
   */

  /** The key of the value in snapshots and in Reactor's context. */
  public static final String KEY = "io.memcg4j.groups";

  /** Sets inside sets that are undone exactly, also if some of them are not undone at all. */
  private static final int MAX_EARLIER = 64;

  private static final ThreadLocal<@Nullable Entered> THREADS = new ThreadLocal<>();

  /** Groups that were entered on a thread. */
  private static final class Entered {
    private final @Nullable Entered outer;

    /** What the thread was in before; null outside any group. */
    private final @Nullable TaskGroups before;

    /** Values of sets that were not undone when the next one came, the latest first. */
    private final Deque<TaskGroups> earlier = new ArrayDeque<>(0);

    private TaskGroups value;
    private TaskScope scope;
    private boolean hasScopes;

    Entered(@Nullable Entered outer, @Nullable TaskGroups before, TaskGroups value) {
      this.outer = outer;
      this.before = before;
      this.value = value;
      this.scope = value.enter();
      this.hasScopes = scope.isOpen();
    }

    void set(TaskGroups next) {
      if (earlier.size() == MAX_EARLIER) {
        earlier.removeLast();
      }
      earlier.push(value);
      change(next);
    }

    void change(TaskGroups to) {
      scope.close();
      value = to;
      scope = to.enter();
      hasScopes = scope.isOpen();
    }

    /** Undoes sets until the one that a value was replaced by is undone, if there is such a one. */
    boolean undoTo(@Nullable TaskGroups previous) {
      if (previous == null || !isEarlier(previous)) {
        return false;
      }
      while (earlier.pop() != previous) {
        // that one's set was never undone
      }
      change(previous);
      return true;
    }

    private boolean isEarlier(TaskGroups candidate) {
      // Identity: a set of equal groups is another set.
      return earlier.stream().anyMatch(one -> one == candidate);
    }

    /** Whether an enclosing scope was closed and took this one along. */
    boolean isGone() {
      return hasScopes && !scope.isOpen();
    }
  }

  /** Made by {@link java.util.ServiceLoader}. All instances are the same. */
  public TaskGroupsAccessor() {}

  @Override
  public Object key() {
    return KEY;
  }

  /**
   * The groups that pay for the calling thread now, whoever opened their scopes.
   *
   * @return null outside any
   */
  @Override
  public @Nullable TaskGroups getValue() {
    return now(top());
  }

  private static @Nullable TaskGroups now(@Nullable Entered top) {
    TaskGroups now = TaskGroups.capture();
    if (top != null && top.scope.isInnermost() && top.value.handles().equals(now.handles())) {
      return top.value;
    }
    return now.handles().isEmpty() ? null : now;
  }

  /** The innermost entry that is still open. */
  private static @Nullable Entered top() {
    Entered found = THREADS.get();
    Entered top = found;
    while (top != null && top.isGone()) {
      top = top.outer;
    }
    if (top != found) {
      put(top);
    }
    return top;
  }

  private static void put(@Nullable Entered top) {
    if (top == null) {
      THREADS.remove();
    } else {
      THREADS.set(top);
    }
  }

  /**
   * From now on these groups pay for the calling thread.
   *
   * @param value captured, perhaps on another thread
   */
  @Override
  public void setValue(TaskGroups value) {
    Entered top = top();
    TaskGroups now = now(top);
    if (top != null && top.value == now) {
      top.set(value);
    } else {
      put(new Entered(top, now, value));
    }
  }

  /** From now on nobody pays. */
  @Override
  public void setValue() {
    setValue(TaskGroups.none());
  }

  /**
   * Undoes a set.
   *
   * @param previous what {@link #getValue} said before it
   */
  @Override
  public void restore(TaskGroups previous) {
    undo(previous);
  }

  /** Undoes a set before which the thread was in no group. */
  @Override
  public void restore() {
    undo(null);
  }

  private static void undo(@Nullable TaskGroups previous) {
    Entered top = top();
    for (Entered entered = top; entered != null; entered = entered.outer) {
      if (entered != top && entered.value == previous) {
        closeUntil(top, entered);
        return;
      }
      if (entered.undoTo(previous)) {
        closeUntil(top, entered);
        return;
      }
      if (Objects.equals(previous, entered.before)) {
        closeUntil(top, entered.outer);
        return;
      }
    }
    if (top != null) {
      top.change(previous == null ? TaskGroups.none() : previous);
    }
  }

  /** Closes the entries from the top to before {@code last}, which stays. */
  private static void closeUntil(@Nullable Entered top, @Nullable Entered last) {
    for (Entered entered = top; entered != null && entered != last; entered = entered.outer) {
      entered.scope.close();
    }
    put(last);
  }
}
