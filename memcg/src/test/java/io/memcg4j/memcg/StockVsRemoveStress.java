package io.memcg4j.memcg;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE_INTERESTING;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * A group is removed while a page of it comes back to a slot. r1: pages still charged to the root
 * of the two that were. r2: pages that the slot holds after its next owner has left.
 */
public class StockVsRemoveStress {
  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void drainThenOffline_breaks() {
    Jcstress.assertBreaks(DrainThenOffline.class);
  }

  /** The product: offline first, then the drain. */
  @JCStressTest
  @State
  @Outcome(id = "1, 0", expect = ACCEPTABLE, desc = "The page went back, once.")
  @Outcome(expect = FORBIDDEN, desc = "Parked for a removed group, or lost, or given back twice.")
  public static class Actual {
    private final CpuSlots slots = CpuSlots.create(1, 1);
    private final MemCgroup root = MemCgroup.root(slots);
    private final MemCgroup group = root.create("g");

    /** Two pages, charged past the stock. */
    public Actual() {
      group.forceCharge(2);
    }

    /** Parks a page if it may. */
    @Actor
    public void owner() {
      CpuSlot slot = slots.tryClaim(0);
      if (slot == null) {
        group.unchargeNow(1);
        return;
      }
      group.uncharge(slot, 1);
      slot.release();
    }

    /** Takes the group away. */
    @Actor
    public void remover() {
      group.remove();
    }

    /** What is left. */
    @Arbiter
    public void afterwards(II_Result r) {
      CpuSlot slot = slots.tryClaim(0);
      if (slot != null) {
        slot.release();
      }
      r.r1 = (int) root.counter().usage();
      r.r2 = (int) root.tree().nrStockPages();
    }
  }

  /** Twin, as a model: drains before the group is offline. */
  @JCStressTest
  @State
  @Outcome(id = "1, 0", expect = ACCEPTABLE, desc = "The page went back, once.")
  @Outcome(id = "2, 1", expect = ACCEPTABLE_INTERESTING, desc = "The bug: parked, and forgotten.")
  public static class DrainThenOffline {
    private final AtomicBoolean slotOwned = new AtomicBoolean();
    private volatile boolean online = true;
    private volatile boolean workPending;
    private int parked;
    private int charged = 2;

    private void release() {
      if (workPending) {
        drain();
      }
      slotOwned.setRelease(false);
    }

    private void drain() {
      charged -= parked;
      parked = 0;
    }

    /** Parks a page if it may. */
    @Actor
    public void owner() {
      while (!slotOwned.compareAndSet(false, true)) {
        Thread.onSpinWait();
      }
      if (online) {
        parked++;
      } else {
        charged--;
      }
      release();
    }

    /** Takes the group away. */
    @Actor
    public void remover() {
      if (slotOwned.compareAndSet(false, true)) {
        drain();
        release();
      } else {
        workPending = true;
      }
      online = false;
    }

    /** What is left. */
    @Arbiter
    public void afterwards(II_Result r) {
      release();
      r.r1 = charged;
      r.r2 = parked;
    }
  }
}
