package io.memcg4j.percpu;

import io.memcg4j.testkit.Jcstress;
import java.lang.invoke.ConstantBootstraps;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.I_Result;

/** Work that is submitted while a slot is being released is done by one side or the other. */
final class ReleaseVsSubmitStress {
  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void releaseStore_breaks() {
    Jcstress.assertBreaks(ReleaseStore.class);
  }

  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "done once")
  @Outcome(expect = Expect.FORBIDDEN, desc = "left behind on an idle slot, or done twice")
  @State
  public static class Actual {
    private final CpuSlots slots = CpuSlots.create(0, 1);
    private int nrRuns;
    private final SlotWork work =
        new SlotWork(slots) {
          @Override
          protected void run(CpuSlot slot) {
            nrRuns++;
          }
        };

    @Actor
    public void owner() {
      slots.claimShared().release();
    }

    @Actor
    public void submitter() {
      slots.submit(work);
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = nrRuns;
    }
  }

  /** The same steps with a release store instead of a volatile one. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "done once")
  @Outcome(id = "0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "left behind on an idle slot")
  @Outcome(expect = Expect.FORBIDDEN, desc = "done twice")
  @State
  public static class ReleaseStore {
    private static final VarHandle OWNED =
        ConstantBootstraps.fieldVarHandle(
            MethodHandles.lookup(), "owned", VarHandle.class, ReleaseStore.class, boolean.class);
    private static final VarHandle WORK =
        ConstantBootstraps.fieldVarHandle(
            MethodHandles.lookup(), "work", VarHandle.class, ReleaseStore.class, boolean.class);

    private volatile boolean owned = true;
    private volatile boolean work;
    private int nrRuns;

    private void release() {
      do {
        if (work && (boolean) WORK.getAndSet(this, false)) {
          nrRuns++;
        }
        OWNED.setRelease(this, false);
      } while (work && tryOwn());
    }

    private boolean tryOwn() {
      return !owned && OWNED.compareAndSet(this, false, true);
    }

    @Actor
    public void owner() {
      release();
    }

    @Actor
    public void submitter() {
      WORK.getAndSet(this, true);
      if (tryOwn()) {
        release();
      }
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = nrRuns;
    }
  }
}
