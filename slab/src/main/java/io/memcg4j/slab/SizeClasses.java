package io.memcg4j.slab;

/**
 * The object sizes of {@link Kmalloc}: every 8 bytes up to 64, then 4 steps a doubling up to 1024,
 * then 8 steps a doubling up to 8192. The kernel's 8, 16, 32, 64, 96, 128, 192, 256 … 8192 are
 * among them.
 *
 * <p>Finer than the kernel's, because real programs ask for a power of two plus a header: with the
 * kernel's 13 classes the traces are charged up to 1.92 times what they request.
 */
final class SizeClasses {
  static final int MAX_SIZE = 8192;
  static final int COUNT = 48;

  private static final int FINE_STEP_SHIFT = 3;
  private static final int FINE_MAX = 64;
  private static final int NR_FINE = FINE_MAX >>> FINE_STEP_SHIFT;
  private static final int NR_MEDIUM = 16;

  // One byte for each doubling from 64 on: how wide its steps are, and the class before its first.
  private static final long STEP_SHIFTS = 0x09_08_07_07_06_05_04_03L;
  private static final long BASES = 0x20_18_10_10_0c_08_04_00L;
  private static final int LOG2_FINE_MAX = 6;

  private SizeClasses() {}

  /**
   * The smallest class that holds {@code size}. No branch, as it could not be foretold where sizes
   * differ, and no table, so that it is a constant where the size is one.
   *
   * @param size {@code 1..MAX_SIZE}
   */
  static int index(int size) {
    int last = size - 1;
    int doubling = Integer.SIZE - LOG2_FINE_MAX - Integer.numberOfLeadingZeros(last | FINE_MAX / 2);
    int at = doubling * Byte.SIZE;
    // An int is shifted by the low five bits of the other long: by this byte, not by those above.
    return ((int) (BASES >>> at) & 0xff) + (last >>> (STEP_SHIFTS >>> at));
  }

  /** Object size of a class, {@code 0..COUNT-1}. */
  static int size(int index) {
    if (index < NR_FINE) {
      return (index + 1) << FINE_STEP_SHIFT;
    }
    int medium = index - NR_FINE;
    if (medium < NR_MEDIUM) {
      return (5 + (medium & 3)) << (4 + (medium >>> 2));
    }
    int coarse = medium - NR_MEDIUM;
    return (9 + (coarse & 7)) << (7 + (coarse >>> 3));
  }
}
