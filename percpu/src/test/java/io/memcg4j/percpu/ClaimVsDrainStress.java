package io.memcg4j.percpu;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/** What the owner of a slot does to plain data, and what a drain does, never overlap. */
final class ClaimVsDrainStress {
  private static final int STOCK = 8;

  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void readThenWriteClaim_breaks() {
    Jcstress.assertBreaks(ReadThenWriteClaim.class);
  }

  /** One thread takes from a slot's plain stock, the other drains the stock into the centre. */
  @JCStressTest
  @Outcome(id = "8, 0", expect = Expect.ACCEPTABLE, desc = "everything drained once")
  @Outcome(id = "8, 1", expect = Expect.ACCEPTABLE, desc = "drained first; one added after that")
  @Outcome(expect = Expect.FORBIDDEN, desc = "something lost, or counted twice")
  @State
  public static class Actual {
    private final CpuSlots slots = CpuSlots.create(0, 1);
    private int stock = STOCK - 1;
    private int drained;
    private final SlotWork drain =
        new SlotWork(slots) {
          @Override
          protected void run(CpuSlot slot) {
            drained += stock;
            stock = 0;
          }
        };

    @Actor
    public void owner() {
      CpuSlot slot = slots.claimShared();
      stock++;
      slot.release();
    }

    @Actor
    public void drainer() {
      slots.submit(drain);
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = drained + stock;
      r.r2 = stock;
    }
  }

  /** The claim reads that nobody owns the slot, and then writes that it does. */
  @JCStressTest
  @Outcome(id = "8", expect = Expect.ACCEPTABLE, desc = "nothing lost")
  @Outcome(expect = Expect.ACCEPTABLE_INTERESTING, desc = "two owners: lost or counted twice")
  @State
  public static class ReadThenWriteClaim {
    private volatile boolean owned;
    private int stock = STOCK - 1;
    private int drained;

    private boolean tryOwn() {
      if (owned) {
        return false;
      }
      owned = true;
      return true;
    }

    @Actor
    public void owner() {
      while (!tryOwn()) {
        Thread.onSpinWait();
      }
      stock++;
      owned = false;
    }

    @Actor
    public void drainer() {
      while (!tryOwn()) {
        Thread.onSpinWait();
      }
      drained += stock;
      stock = 0;
      owned = false;
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = drained + stock;
    }
  }
}
