package io.memcg4j.memcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The memory pressure of one group and everything below it: who waits for memory, for how long.
 * Lock-free; any thread.
 *
 * <p>A thread that waits says so at its group, which counts at all ancestors too. Nested waits of
 * one thread are the caller's to merge.
 */
final class PressureAccount {
  /*
   * Layout     word: how many threads wait, and how many are productive, here and below.
   *
   *   63                             32 31                              0
   *  +---------------------------------+---------------------------------+
   *  |            stalled              |           productive            |
   *  +---------------------------------+---------------------------------+
   *
   *            state: totals and averages at the last change; null until somebody waits, so that
   *            an unused account is five words.
   * Invariant  some = stalled > 0; full = stalled > 0 and productive == 0. A productive thread that
   *            waits is not counted as productive meanwhile.
   * Ordering   change: add to word, and if that switched some or full, publish: read state, read
   *            word, CAS state. A CAS that succeeds read the word after the state it replaces. So
   *            after the last switch its thread publishes what the word says, and a slower one,
   *            with an older word, replaces an older state and fails. All volatile.
   * Totals     never fall, although threads read the clock before they publish: a reader that counted
   *            a wait that still goes on publishes its instant, and a state never goes back in time.
   * Locks      none but for triggers, whose list changes under the timer's lock.
   * Not        exact to less than the time between a thread's clock and its CAS. Free: enter and
   * guaranteed leave cost an atomic add at each level, and the root's word is everybody's.
   * Origin     the idea of Linux kernel/sched/psi.c, one word instead of counts per CPU.
   */

  private static final long ONE_STALLED = 1L << 32;
  private static final long ONE_PRODUCTIVE = 1;
  private static final PressureTrigger[] NO_TRIGGERS = {};

  private static final VarHandle WORD =
      fieldVarHandle(lookup(), "word", VarHandle.class, PressureAccount.class, long.class);
  private static final VarHandle STATE =
      fieldVarHandle(
          lookup(), "state", VarHandle.class, PressureAccount.class, PressureState.class);

  private final PressureTimer timer;
  private final @Nullable PressureAccount parent;
  private volatile long word;
  private volatile @Nullable PressureState state;
  private volatile PressureTrigger[] triggers = NO_TRIGGERS; // copied on change
  private boolean closed; // under the timer's lock

  /**
   * @param timer one for the tree; its clock is that of the account
   */
  PressureAccount(PressureTimer timer, @Nullable PressureAccount parent) {
    this.timer = timer;
    this.parent = parent;
  }

  // ---- changes

  /** A thread that is productive nowhere begins to wait for memory of this group. */
  void stallStart() {
    change(ONE_STALLED);
  }

  /** The end of {@link #stallStart()}. */
  void stallEnd() {
    change(-ONE_STALLED);
  }

  /**
   * A thread begins to wait for memory of this group.
   *
   * @param scope where the thread has entered, and is not productive until {@link
   *     #stallEnd(PressureAccount)}; null if nowhere
   */
  void stallStart(@Nullable PressureAccount scope) {
    stallStart();
    if (scope != null) {
      scope.leave();
    }
  }

  /** The end of {@link #stallStart(PressureAccount)}, with the same scope. */
  void stallEnd(@Nullable PressureAccount scope) {
    if (scope != null) {
      scope.enter();
    }
    stallEnd();
  }

  /**
   * So many threads more wait for memory of this group, and what a look at who gets on has found.
   * Not to be used together with {@link #enter}.
   *
   * @param nrStalled more or, negative, less
   * @param nrProductive by level, this one first
   */
  void stall(int nrStalled, int[] nrProductive) {
    long now = 0;
    boolean timed = false;
    int index = 0;
    for (PressureAccount level = this; level != null; level = level.parent) {
      long before;
      long after;
      do {
        before = level.word;
        after = ((long) (stalled(before) + nrStalled) << 32) + nrProductive[index];
      } while (before != after && !WORD.compareAndSet(level, before, after));
      assert stalled(after) >= 0 : "ended more often than begun";
      index++;
      if (some(before) != some(after) || full(before) != full(after)) {
        now = timed ? now : timer.now(); // one instant for all levels
        timed = true;
        level.switched(now);
      }
    }
  }

  private void switched(long now) {
    publish(now);
    if (triggers.length > 0) {
      timer.wake();
    }
  }

  /** A thread does work for this group from now on. */
  void enter() {
    change(ONE_PRODUCTIVE);
  }

  /** The end of {@link #enter}. */
  void leave() {
    change(-ONE_PRODUCTIVE);
  }

  private void change(long delta) {
    boolean timed = false;
    long now = 0;
    for (PressureAccount level = this; level != null; level = level.parent) {
      long before = (long) WORD.getAndAdd(level, delta);
      long after = before + delta;
      assert stalled(after) >= 0 && productive(after) >= 0 : "ended more often than begun";
      if (some(before) != some(after) || full(before) != full(after)) {
        if (!timed) { // one instant for all levels
          now = timer.now();
          timed = true;
        }
        level.switched(now);
      }
    }
  }

  private void publish(long now) {
    while (true) {
      PressureState seen = state;
      long counts = word; // after state, see Ordering
      PressureState next =
          (seen == null ? PressureState.begin(now) : seen.at(now))
              .switched(some(counts), full(counts));
      if (STATE.compareAndSet(this, seen, next)) {
        return;
      }
    }
  }

  // ---- figures

  /** Totals and averages up to now, also of a wait that goes on. */
  Pressure pressure() {
    return pressure(timer.now());
  }

  /** {@link #pressure()} at an instant; one that lies before the last change reads as that. */
  Pressure pressure(long now) {
    while (true) {
      PressureState seen = state;
      if (seen == null) {
        return Pressure.NONE;
      }
      PressureState next = seen.at(now);
      if (next == seen || !seen.some().on() || STATE.compareAndSet(this, seen, next)) {
        return next.pressure();
      }
    }
  }

  /** Threads that wait, here and below; racy. */
  int nrStalled() {
    return stalled(word);
  }

  // ---- triggers

  /**
   * Adds a trigger. Its callbacks are run by the timer's thread, one after the other.
   *
   * @param text {@code some|full THRESHOLD_US WINDOW_US}
   * @param onPressure gets the figures at the time of the event
   * @param onClosed is told when the group goes, by the thread that removes it
   * @throws IllegalArgumentException if the text is not of that form, or out of range
   * @throws IllegalStateException if the account is closed
   */
  PressureTrigger addTrigger(String text, Consumer<Pressure> onPressure, Runnable onClosed) {
    PressureTrigger trigger =
        new PressureTrigger(this, StallThreshold.parse(text), onPressure, onClosed);
    timer.lock();
    try {
      if (closed) {
        throw new IllegalStateException("group was removed: trigger=\"" + trigger + "\"");
      }
      trigger.begin(timer.now());
      PressureTrigger[] longer = Arrays.copyOf(triggers, triggers.length + 1);
      longer[longer.length - 1] = trigger;
      triggers = longer;
      timer.watch(this);
    } finally {
      timer.unlock();
    }
    return trigger;
  }

  /** Does nothing if it is not there any more. */
  void removeTrigger(PressureTrigger trigger) {
    timer.lock();
    try {
      triggers =
          Arrays.stream(triggers).filter(t -> !t.equals(trigger)).toArray(PressureTrigger[]::new);
      if (triggers.length == 0) {
        timer.unwatch(this);
      }
    } finally {
      timer.unlock();
    }
  }

  /**
   * Lets the triggers have a look. By one thread at a time: the timer's.
   *
   * @return whether there is something to look at again soon
   */
  boolean poll(long now) {
    boolean active = nrStalled() > 0;
    PressureTrigger[] seen = triggers;
    if (seen.length > 0) {
      Pressure pressure = pressure(now);
      for (PressureTrigger trigger : seen) {
        active |= trigger.poll(now, pressure);
      }
    }
    return active;
  }

  /** Whether {@link #poll} would find something. By the one thread that polls. */
  boolean hasNews() {
    if (nrStalled() > 0) {
      return true;
    }
    Pressure pressure = pressure();
    return Arrays.stream(triggers).anyMatch(trigger -> trigger.hasNews(pressure));
  }

  /** How often the timer is to poll; the longest if there is no trigger. */
  long pollPeriodNanos() {
    long shortest = Long.MAX_VALUE;
    for (PressureTrigger trigger : triggers) {
      shortest = Math.min(shortest, trigger.pollPeriodNanos());
    }
    return shortest;
  }

  /**
   * The group was removed: ends the triggers and tells them. Waits that go on may still end. Calls
   * out, so the caller holds no lock.
   */
  void close() {
    PressureTrigger[] ended;
    timer.lock();
    try {
      closed = true;
      ended = triggers;
      triggers = NO_TRIGGERS;
      timer.unwatch(this);
    } finally {
      timer.unlock();
    }
    for (PressureTrigger trigger : ended) {
      trigger.groupRemoved();
    }
  }

  @Override
  public String toString() {
    long counts = word;
    return "PressureAccount[stalled="
        + stalled(counts)
        + ", productive="
        + productive(counts)
        + "]";
  }

  // ---- the word

  private static int stalled(long word) {
    return (int) (word >> 32);
  }

  private static int productive(long word) {
    return (int) word;
  }

  private static boolean some(long word) {
    return stalled(word) > 0;
  }

  private static boolean full(long word) {
    return some(word) && productive(word) == 0;
  }
}
