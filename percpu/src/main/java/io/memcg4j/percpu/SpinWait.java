package io.memcg4j.percpu;

import java.util.concurrent.locks.LockSupport;

/**
 * For the floors above: how to wait for what another thread does within a few instructions, and
 * which may have been interrupted in the middle of them.
 *
 * <p>Origin: the spin loops of Linux with {@code cpu_relax}; in user space whoever is waited for
 * may have lost its processor.
 */
public final class SpinWait {
  private static final int SPINS = 64;
  private static final long MIN_PARK_NANOS = 20_000;
  private static final int MAX_PARK_SHIFT = 6; // 1.3 ms

  private SpinWait() {}

  /**
   * Waits for a moment: spins at first, then leaves the processor to others. Keeps the caller's
   * interrupt.
   *
   * @param nrPauses how often the caller has waited for the same thing before
   */
  public static void pause(int nrPauses) {
    if (nrPauses >= SPINS && !Thread.currentThread().isVirtual()) {
      Thread.yield();
    } else {
      pauseLong(nrPauses);
    }
  }

  /** As {@link #pause} for what may take longer, so that platform threads sleep as well. */
  static void pauseLong(int nrPauses) {
    if (nrPauses < SPINS) {
      Thread.onSpinWait();
    } else {
      park(MIN_PARK_NANOS << Math.min(nrPauses - SPINS, MAX_PARK_SHIFT));
    }
  }

  /**
   * No yield: virtual threads that yield go round in their carriers' own queues, and one that is
   * queued outside, which may be the one they wait for, would never run. Nor always so short that
   * the time is over before the thread has left its carrier, as then it goes round as well.
   */
  private static void park(long nanos) {
    boolean interrupted = false;
    long end = System.nanoTime() + nanos;
    // More than once: an interrupt, be it one that was given back here, lets the first one return.
    for (long left = nanos; left > 0; left = end - System.nanoTime()) {
      interrupted |= Thread.interrupted();
      LockSupport.parkNanos(left);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
