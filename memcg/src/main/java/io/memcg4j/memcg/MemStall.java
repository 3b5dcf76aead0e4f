package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;

/**
 * A section in which the calling thread waits for memory. Nested sections count as one.
 *
 * <p>Who gets on meanwhile is not counted by those who do, as that would cost an atomic per level
 * and scope; it is looked at when a section begins or ends, while one goes on, and when somebody
 * reads the figures: which slots have a thread at work for the group or one below it.
 */
final class MemStall {
  /*
   * Not        exact: what changes between two looks is seen at the second one. A thread blocked in
   * guaranteed a system call counts as at work; one in a scope that holds no slot is overlooked.
   * Cost       of a look: the slots, times the depth; of working threads: nothing.
   * Origin     psi_memstall_enter and psi_memstall_leave of Linux.
   */
  private static final ThreadLocal<Integer> DEPTH = ThreadLocal.withInitial(() -> 0);

  private MemStall() {}

  static void enter(MemCgroup group) {
    int depth = DEPTH.get();
    DEPTH.set(depth + 1);
    if (depth == 0) {
      group.tree().stalledThreads().add(Thread.currentThread());
      group.pressureAccount().stall(1, nrAtWork(group));
    }
  }

  /** Whether the calling thread is in such a section. */
  static boolean isInside() {
    return DEPTH.get() > 0;
  }

  /** Looks again who gets on. Cheap when nobody waits. */
  static void look(MemCgroup group) {
    PressureAccount account = group.pressureAccount();
    if (account.nrStalled() > 0) {
      account.stall(0, nrAtWork(group));
    }
  }

  /** Ends the section that was begun with the same group. */
  static void leave(MemCgroup group) {
    int depth = DEPTH.get() - 1;
    if (depth > 0) {
      DEPTH.set(depth);
    } else {
      DEPTH.remove();
      group.tree().stalledThreads().remove(Thread.currentThread());
      group.pressureAccount().stall(-1, nrAtWork(group));
    }
  }

  /** By level, the group first. */
  private static int[] nrAtWork(MemCgroup group) {
    GroupTree tree = group.tree();
    int nrLevels = 0;
    for (MemCgroup level = group; level != null; level = level.parent()) {
      nrLevels++;
    }
    int[] nrAtWork = new int[nrLevels];
    CpuSlots slots = tree.slots();
    for (int i = 0; i < slots.nrScopeSlots(); i++) {
      CpuSlot slot = slots.slot(i);
      Thread owner = slot.ownerRacy();
      if (owner != null
          && owner.getState() == Thread.State.RUNNABLE
          && !tree.stalledThreads().contains(owner)) {
        MemCgroup payer = tree.payerOf(owner);
        int index = 0;
        for (MemCgroup level = group; level != null; level = level.parent()) {
          nrAtWork[index++] += payer != null && payer.isDescendantOf(level) ? 1 : 0;
        }
      }
    }
    return nrAtWork;
  }
}
