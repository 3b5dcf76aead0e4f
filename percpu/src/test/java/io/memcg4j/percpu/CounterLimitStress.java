package io.memcg4j.percpu;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.ZZJ_Result;

/** An addition without the lock and one with it do not pass the limit together. */
final class CounterLimitStress {
  private static final int NR_SLOTS = 2;
  private static final int BATCH = 4;
  private static final long ERROR_BOUND = NR_SLOTS * BATCH;

  /** Just far enough for the small addition to go without the lock. */
  private static final long LIMIT = ERROR_BOUND + 1;

  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void oneLookAtTheTotal_breaks() {
    Jcstress.assertBreaks(OneLook.class);
  }

  @JCStressTest
  @Outcome(id = "true, false, 1", expect = Expect.ACCEPTABLE, desc = "the small one was first")
  @Outcome(id = "false, true, 9", expect = Expect.ACCEPTABLE, desc = "the large one was first")
  @Outcome(expect = Expect.FORBIDDEN, desc = "past the limit, or refused without need")
  @State
  public static class Actual {
    private final CpuSlots slots = CpuSlots.create(0, NR_SLOTS);
    private final PercpuCounter counter = new PercpuCounter(slots, BATCH);

    private boolean limitedAdd(long amount) {
      CpuSlot slot = slots.claimShared();
      boolean added = counter.limitedAdd(slot, LIMIT, amount);
      slot.release();
      return added;
    }

    @Actor
    public void small(ZZJ_Result r) {
      r.r1 = limitedAdd(1);
    }

    @Actor
    public void large(ZZJ_Result r) {
      r.r2 = limitedAdd(LIMIT);
    }

    @Arbiter
    public void result(ZZJ_Result r) {
      r.r3 = counter.sum();
    }
  }

  /** The small addition looks at the total, then adds, and does not look again. */
  @JCStressTest
  @Outcome(id = "true, false, 1", expect = Expect.ACCEPTABLE, desc = "the small one was first")
  @Outcome(id = "false, true, 9", expect = Expect.ACCEPTABLE, desc = "the large one was first")
  @Outcome(id = "true, true, 10", expect = Expect.ACCEPTABLE_INTERESTING, desc = "past the limit")
  @Outcome(expect = Expect.FORBIDDEN, desc = "something else")
  @State
  public static class OneLook {
    private volatile long total;
    private volatile long delta;

    @Actor
    public void small(ZZJ_Result r) {
      if (total + ERROR_BOUND + 1 <= LIMIT) {
        delta = 1;
        r.r1 = true;
      } else {
        r.r1 = limitedAddLocked(1);
      }
    }

    @Actor
    public void large(ZZJ_Result r) {
      r.r2 = limitedAddLocked(LIMIT);
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // written under the lock alone
    private synchronized boolean limitedAddLocked(long amount) {
      if (total + delta + amount > LIMIT) {
        return false;
      }
      total += amount;
      return true;
    }

    @Arbiter
    public void result(ZZJ_Result r) {
      r.r3 = total + delta;
    }
  }
}
