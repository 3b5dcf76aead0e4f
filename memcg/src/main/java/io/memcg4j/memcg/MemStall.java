package io.memcg4j.memcg;

/** A section in which the calling thread waits for memory. Nested sections count as one. */
final class MemStall {
  /*
   * Origin     psi_memstall_enter and psi_memstall_leave of Linux.
   */
  private static final ThreadLocal<Integer> DEPTH = ThreadLocal.withInitial(() -> 0);

  private MemStall() {}

  static void enter(MemCgroup group) {
    int depth = DEPTH.get();
    DEPTH.set(depth + 1);
    if (depth == 0) {
      group.pressureAccount().stallStart();
    }
  }

  /** Ends the section that was begun with the same group. */
  static void leave(MemCgroup group) {
    int depth = DEPTH.get() - 1;
    if (depth > 0) {
      DEPTH.set(depth);
    } else {
      DEPTH.remove();
      group.pressureAccount().stallEnd();
    }
  }
}
