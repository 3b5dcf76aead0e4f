package io.memcg4j.memcg;

/**
 * What the pressure of one group has come to at one instant. Immutable: time is added by making the
 * next one, so that a reader can look ahead to now without writing.
 *
 * @param nanos the instant, of the tree's clock
 * @param periodStart when the running period began
 */
record PressureState(long nanos, long periodStart, Stall some, Stall full) {
  /*
   * Layout     two lines of the same form. From one state to the next a line is on or off all the
   *            time, so everything between them is known without having been watched.
   * Invariant  full is on only while some is; total and averages never depend on how often they
   *            are read.
   * Averages   Every 2 s: avg = avg * f + share * (1 - f), share in percent of that period. n whole
   *            periods without a change are one step with f^n. The kernel's sampler runs a bit
   *            late and carries what exceeds a period over to the next; here each period gets
   *            exactly its own, so that nothing exceeds and no timer is needed.
   * Origin     the figures of Linux kernel/sched/psi.c; none of its text or code. Deliberate
   *            difference: threads are not weighted by CPU; one waiting thread is "some".
   */

  static final long PERIOD_NANOS = 2_000_000_000L;

  private static final double DECAY_10 = 1677 / 2048.0;
  private static final double DECAY_60 = 1981 / 2048.0;
  private static final double DECAY_300 = 2034 / 2048.0;

  /** One line; {@code before} is the total at the start of the period. */
  record Stall(boolean on, long total, long before, double avg10, double avg60, double avg300) {
    static final Stall NONE = new Stall(false, 0, 0, 0, 0, 0);

    Stall switched(boolean nowOn) {
      return nowOn == on ? this : new Stall(nowOn, total, before, avg10, avg60, avg300);
    }

    Stall plus(long nrNanos) {
      return on ? new Stall(true, total + nrNanos, before, avg10, avg60, avg300) : this;
    }

    /** Ends {@code nr} periods that all had this share. */
    Stall periods(double percent, long nr) {
      return new Stall(
          on,
          total,
          total,
          decay(avg10, Math.pow(DECAY_10, (double) nr), percent),
          decay(avg60, Math.pow(DECAY_60, (double) nr), percent),
          decay(avg300, Math.pow(DECAY_300, (double) nr), percent));
    }

    private static double decay(double avg, double factor, double percent) {
      return avg * factor + percent * (1 - factor);
    }

    Stall advance(long nrToPeriodEnd, long nrWholePeriods, long nrRest) {
      Stall next = plus(nrToPeriodEnd);
      next = next.periods(100.0 * (next.total - next.before) / PERIOD_NANOS, 1);
      if (nrWholePeriods > 0) {
        next = next.plus(nrWholePeriods * PERIOD_NANOS).periods(on ? 100 : 0, nrWholePeriods);
      }
      return next.plus(nrRest);
    }

    Pressure.Line line() {
      return new Pressure.Line(avg10, avg60, avg300, total / 1000);
    }
  }

  static PressureState begin(long nanos) {
    return new PressureState(nanos, nanos, Stall.NONE, Stall.NONE);
  }

  /** The state at a later instant if nothing changes; this one if {@code now} is not later. */
  PressureState at(long now) {
    long elapsed = now - nanos;
    if (elapsed <= 0) {
      return this;
    }
    long toPeriodEnd = periodStart + PERIOD_NANOS - nanos;
    if (elapsed < toPeriodEnd) {
      return new PressureState(now, periodStart, some.plus(elapsed), full.plus(elapsed));
    }
    long nrWholePeriods = (elapsed - toPeriodEnd) / PERIOD_NANOS;
    long rest = (elapsed - toPeriodEnd) % PERIOD_NANOS;
    return new PressureState(
        now,
        now - rest,
        some.advance(toPeriodEnd, nrWholePeriods, rest),
        full.advance(toPeriodEnd, nrWholePeriods, rest));
  }

  PressureState switched(boolean someOn, boolean fullOn) {
    return new PressureState(nanos, periodStart, some.switched(someOn), full.switched(fullOn));
  }

  Pressure pressure() {
    return new Pressure(some.line(), full.line());
  }
}
