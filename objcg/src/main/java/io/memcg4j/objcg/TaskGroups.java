package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/**
 * The groups that pay for a task, one handle for each tree: captured on the thread that has the
 * work, entered on the thread that does it. Immutable; any thread; keeps no scope and no slot.
 *
 * <p>A group that was removed meanwhile is no obstacle: its parent pays, as for a process whose
 * cgroup went away while it was waiting to be charged.
 *
 * <p>{@link ObjCgroup#wrap(Runnable)} and its like are the short form. Costs: a capture is a few
 * loads per tree, entering is a scope per tree.
 */
public final class TaskGroups {
  /*
   * Layout     handles of different trees; in trees without one the task is in no group.
   * Origin     struct css_set of Linux: what a task is in, one cgroup per hierarchy.
   */
  private static final ObjCgroup[] NO_HANDLES = {};

  /** In no group of any tree: what is allocated is charged to nobody. */
  private static final TaskGroups NONE = new TaskGroups(NO_HANDLES, true);

  private final ObjCgroup[] handles;

  /** Whether trees without a handle are left too, or stay as the running thread has them. */
  private final boolean everyTree;

  private TaskGroups(ObjCgroup[] handles, boolean everyTree) {
    this.handles = handles;
    this.everyTree = everyTree;
  }

  /**
   * The groups that pay for the calling thread now: those of its innermost scopes.
   *
   * @return the same for every thread that is in no scope
   */
  public static TaskGroups capture() {
    ObjCgroup[] handles = NO_HANDLES;
    for (LiveTrees.Tree tree : LiveTrees.all()) {
      ObjCgroups registry = tree.get();
      ScopeFrame scope = registry == null ? null : registry.currentScope();
      if (scope != null && !scope.next().isRoot()) {
        handles = Arrays.copyOf(handles, handles.length + 1);
        handles[handles.length - 1] = scope.next();
      }
    }
    return handles.length == 0 ? NONE : new TaskGroups(handles, true);
  }

  /**
   * One group. In other trees the running thread stays in the groups it is in.
   *
   * @param group who shall pay
   * @return for any number of tasks
   */
  public static TaskGroups of(MemCgroup group) {
    return new TaskGroups(new ObjCgroup[] {ObjCgroup.of(group)}, false);
  }

  /**
   * No group: what a task allocates is charged to nobody, whatever the running thread is in.
   *
   * @return what {@link #capture} says outside any scope
   */
  public static TaskGroups none() {
    return NONE;
  }

  /**
   * The handles that pay.
   *
   * @return one per tree; empty outside any scope
   */
  public List<ObjCgroup> handles() {
    return List.of(handles);
  }

  /**
   * Opens the scopes of these groups on the calling thread. What a task leaves open inside is
   * closed with them.
   *
   * @return to be closed by the same thread
   */
  public TaskScope enter() {
    LiveTrees.Tree[] trees = everyTree ? LiveTrees.all() : new LiveTrees.Tree[0];
    TaskScope opened = new TaskScope(handles.length + trees.length);
    try {
      for (ObjCgroup handle : handles) {
        opened.add(handle.enter());
      }
      for (LiveTrees.Tree tree : trees) {
        ObjCgroups registry = tree.get();
        if (registry != null && !has(registry) && registry.currentScope() != null) {
          opened.add(registry.rootHandle().enter());
        }
      }
      return opened;
    } catch (Throwable e) {
      opened.close();
      throw e;
    }
  }

  private boolean has(ObjCgroups registry) {
    for (ObjCgroup handle : handles) {
      if (handle.isOf(registry)) {
        return true;
      }
    }
    return false;
  }

  /**
   * A task that these groups pay for, on whatever thread it runs.
   *
   * @param task what to run
   * @return runs {@code task} inside scopes of its own, and leaves none open
   */
  public Runnable wrap(Runnable task) {
    return () -> {
      try (TaskScope _ = enter()) {
        task.run();
      }
    };
  }

  /**
   * A task that these groups pay for, on whatever thread it runs.
   *
   * @param task what to call
   * @param <V> what it returns
   * @return calls {@code task} inside scopes of its own, and leaves none open
   */
  public <V> Callable<V> wrap(Callable<V> task) {
    return () -> {
      try (TaskScope _ = enter()) {
        return task.call();
      }
    };
  }

  /**
   * Whether the same handles pay.
   *
   * @param other anything
   * @return true also if they were captured at different times
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof TaskGroups groups
        && everyTree == groups.everyTree
        && Arrays.equals(handles, groups.handles);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(handles);
  }

  @Override
  public String toString() {
    return Arrays.stream(handles)
        .map(handle -> handle.group().path())
        .collect(Collectors.joining(", ", "TaskGroups[", "]"));
  }
}
