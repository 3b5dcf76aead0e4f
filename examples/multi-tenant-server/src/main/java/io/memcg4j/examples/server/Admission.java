package io.memcg4j.examples.server;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;

/**
 * Lets a number of requests of one tenant in at a time, until it is closed; and tells when the last
 * one is out after that.
 */
final class Admission {
  /*
   * Layout     one word: CLOSED, and below it the number of requests inside.
   * Ordering   the word changes by atomic read-modify-writes alone. So a request is either in before
   *            the close, which then counts it, or is turned away; and CLOSED with 0 is reached once,
   *            by the close or by one exit (AdmissionStress, twin: the close is looked for first).
   */
  private static final VarHandle STATE =
      fieldVarHandle(lookup(), "state", VarHandle.class, Admission.class, int.class);

  private static final int CLOSED = 1 << 30;

  /** What became of a request. */
  enum Answer {
    /** It is in, and has to exit. */
    ADMITTED,
    /** As many as may be are in. */
    FULL,
    /** Nobody comes in any more. */
    CLOSED
  }

  private final int maxInside;
  private final Runnable onEmpty;
  private volatile int state;

  /**
   * Open, with nobody inside.
   *
   * @param maxInside requests at a time, 1 to 2^29
   * @param onEmpty runs once, when it is closed and nobody is inside, on the thread that does the
   *     last step
   */
  Admission(int maxInside, Runnable onEmpty) {
    this.maxInside = maxInside;
    this.onEmpty = onEmpty;
  }

  Answer enter() {
    int now = state;
    while (true) {
      if ((now & CLOSED) != 0) {
        return Answer.CLOSED;
      }
      if (now >= maxInside) {
        return Answer.FULL;
      }
      int seen = (int) STATE.compareAndExchange(this, now, now + 1);
      if (seen == now) {
        return Answer.ADMITTED;
      }
      now = seen;
    }
  }

  /** For a request that was admitted, once. */
  void exit() {
    if ((int) STATE.getAndAdd(this, -1) == (CLOSED | 1)) {
      onEmpty.run();
    }
  }

  /** Admits nobody from now on. A second time does nothing. */
  void close() {
    if ((int) STATE.getAndBitwiseOr(this, CLOSED) == 0) {
      onEmpty.run();
    }
  }

  boolean isClosed() {
    return (state & CLOSED) != 0;
  }

  int nrInside() {
    return state & (CLOSED - 1);
  }
}
