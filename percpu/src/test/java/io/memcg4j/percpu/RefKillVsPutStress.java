package io.memcg4j.percpu;

import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/** Zero is found once, and never while somebody holds a reference. */
final class RefKillVsPutStress {
  @Test
  void lastPut_holds() {
    Jcstress.assertHolds(LastPut.class);
  }

  @Test
  void heldReference_holds() {
    Jcstress.assertHolds(HeldReference.class);
  }

  @Test
  void tryGetLive_holds() {
    Jcstress.assertHolds(TryGetLive.class);
  }

  @Test
  void noBias_breaks() {
    Jcstress.assertBreaks(NoBias.class);
  }

  /** A reference and a slot for each of two actors. */
  static class Ref {
    final CpuSlots slots = CpuSlots.create(2, 1);
    final AtomicInteger nrZeros = new AtomicInteger();
    final PercpuRef ref = new PercpuRef(slots, nrZeros::incrementAndGet);

    final CpuSlot claim() {
      CpuSlot slot = slots.tryClaim(0);
      return slot == null ? slots.claimShared() : slot;
    }

    final void take() {
      CpuSlot slot = claim();
      ref.get(slot);
      slot.release();
    }

    final void put() {
      CpuSlot slot = claim();
      ref.put(slot);
      slot.release();
    }
  }

  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "zero was found once")
  @Outcome(expect = Expect.FORBIDDEN, desc = "zero was missed, or found twice")
  @State
  public static class LastPut extends Ref {
    public LastPut() {
      take();
    }

    @Actor
    public void holder() {
      put();
    }

    @Actor
    public void killer() {
      ref.kill();
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = nrZeros.get();
      r.r2 = (int) ref.count();
    }
  }

  /** Moves a reference between slots, which makes one slot's count negative, and keeps it. */
  @JCStressTest
  @Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "one reference is left")
  @Outcome(expect = Expect.FORBIDDEN, desc = "zero was found while a reference was held")
  @State
  public static class HeldReference extends Ref {
    public HeldReference() {
      take();
    }

    @Actor
    public void holder() {
      CpuSlot left = claim();
      CpuSlot right = claim();
      ref.get(right);
      ref.put(left);
      right.release();
      left.release();
    }

    @Actor
    public void killer() {
      ref.kill();
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = nrZeros.get();
      r.r2 = (int) ref.count();
    }
  }

  @JCStressTest
  @Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "killed first: nothing taken")
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "taken: no zero yet")
  @Outcome(expect = Expect.FORBIDDEN, desc = "taken and zero, or neither")
  @State
  public static class TryGetLive extends Ref {
    public TryGetLive() {
      take();
      put();
    }

    @Actor
    public void taker(II_Result r) {
      CpuSlot slot = claim();
      r.r1 = ref.tryGetLive(slot) ? 1 : 0;
      slot.release();
    }

    @Actor
    public void killer() {
      ref.kill();
    }

    @Arbiter
    public void result(II_Result r) {
      r.r2 = nrZeros.get();
    }
  }

  /** The same steps on a shared count that carries no bias while the slot is not folded. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "zero was found once")
  @Outcome(
      id = "2",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "zero was found before the slot was folded, and again after it")
  @Outcome(expect = Expect.FORBIDDEN, desc = "zero was missed")
  @State
  public static class NoBias {
    // Several slots, of which the last to be folded is used: the bug shows sooner.
    private static final int USED = 7;

    private final CpuSlots slots = CpuSlots.create(USED + 1, 1);
    private final AtomicInteger count = new AtomicInteger(1);
    private final AtomicInteger nrZeros = new AtomicInteger();
    private volatile boolean atomic;
    private int perSlot = 1;
    private final SlotWork fold =
        new SlotWork(slots) {
          @Override
          protected void run(CpuSlot slot) {
            if (slot.index() == USED) {
              add(perSlot);
              perSlot = 0;
            }
          }
        };

    private void add(int nrRefs) {
      if (nrRefs != 0 && count.addAndGet(nrRefs) == 0) {
        nrZeros.incrementAndGet();
      }
    }

    @Actor
    public void holder() {
      CpuSlot slot = slots.slot(USED);
      while (!slot.tryOwn(Thread.currentThread())) {
        Thread.onSpinWait();
      }
      if (atomic) {
        add(-1);
      } else {
        perSlot--;
      }
      slot.release();
    }

    @Actor
    public void killer() {
      atomic = true;
      slots.submit(fold);
      add(-1);
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = nrZeros.get();
    }
  }
}
