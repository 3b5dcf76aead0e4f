package io.memcg4j.percpu;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.JJ_Result;

/** A delta that moves from a slot to the total is neither missed by a sum nor counted twice. */
final class CounterSumStress {
  private static final int BATCH = 4;

  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void noLock_breaks() {
    Jcstress.assertBreaks(NoLock.class);
  }

  @JCStressTest
  @Outcome(id = "3, 4", expect = Expect.ACCEPTABLE, desc = "before the last addition")
  @Outcome(id = "4, 4", expect = Expect.ACCEPTABLE, desc = "after it")
  @Outcome(expect = Expect.FORBIDDEN, desc = "the delta was missed or counted twice")
  @State
  public static class Actual {
    private final CpuSlots slots = CpuSlots.create(1, 1);
    private final PercpuCounter counter = new PercpuCounter(slots, BATCH);

    public Actual() {
      add(BATCH - 1);
    }

    private void add(long amount) {
      CpuSlot slot = slots.claimShared();
      counter.add(slot, amount);
      slot.release();
    }

    @Actor
    public void adder() {
      add(1); // folds
    }

    @Actor
    public void reader(JJ_Result r) {
      r.r1 = counter.sum();
    }

    @Arbiter
    public void result(JJ_Result r) {
      r.r2 = counter.sum();
    }
  }

  /** The same steps without the lock. */
  @JCStressTest
  @Outcome(id = "3, 4", expect = Expect.ACCEPTABLE, desc = "before the last addition")
  @Outcome(id = "4, 4", expect = Expect.ACCEPTABLE, desc = "after it")
  @Outcome(id = "0, 4", expect = Expect.ACCEPTABLE_INTERESTING, desc = "the delta was missed")
  @Outcome(id = "7, 4", expect = Expect.ACCEPTABLE_INTERESTING, desc = "counted twice")
  @Outcome(expect = Expect.FORBIDDEN, desc = "something else")
  @State
  public static class NoLock {
    private volatile long total;
    private volatile long delta = BATCH - 1;

    @Actor
    public void adder() {
      total = BATCH;
      delta = 0;
    }

    @Actor
    public void reader(JJ_Result r) {
      r.r1 = total + delta;
    }

    @Arbiter
    public void result(JJ_Result r) {
      r.r2 = total + delta;
    }
  }
}
