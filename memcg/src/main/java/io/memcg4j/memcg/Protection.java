package io.memcg4j.memcg;

/**
 * How much of a group is protected from reclaim that was started further up: the arithmetic alone,
 * the same for {@code min} and {@code low}. Pages.
 *
 * <p>Origin: effective protection of cgroup v2, with recursive protection on.
 */
final class Protection {
  private Protection() {}

  /**
   * The protection of a child of a protected group.
   *
   * @param usage what the group uses
   * @param parentUsage what its parent uses
   * @param setting what it asks for
   * @param parentEffective what its parent is protected for
   * @param siblingsProtected sum over the parent's children, it among them, of the smaller one of
   *     their usage and their setting
   */
  static long effective(
      long usage, long parentUsage, long setting, long parentEffective, long siblingsProtected) {
    long claimed = Math.min(usage, setting);
    if (siblingsProtected > parentEffective) {
      // More is claimed than there is: each gets its part of what is claimed and used.
      return share(claimed, parentEffective, siblingsProtected);
    }
    long effective = claimed;
    if (parentEffective > siblingsProtected && parentUsage > siblingsProtected && usage > claimed) {
      // What nobody claims goes to those who use more than they claim.
      effective +=
          share(
              parentEffective - siblingsProtected,
              usage - claimed,
              parentUsage - siblingsProtected);
    }
    return effective;
  }

  /** {@code amount * part / whole}, without overflow. */
  private static long share(long amount, long part, long whole) {
    return whole == 0
        ? 0
        : Math.multiplyHigh(amount, part) == 0
            ? Long.divideUnsigned(amount * part, whole)
            : (long) ((double) amount * part / whole);
  }

  /** How much is to be asked of a group that is protected in part; at least {@code floor}. */
  static long scanAmount(long wanted, long usage, long effective, long floor) {
    if (effective <= 0) {
      return wanted;
    }
    long reduced = wanted - share(wanted, effective, Math.max(usage, effective) + 1);
    return Math.max(Math.min(wanted, floor), reduced);
  }
}
