package io.memcg4j.percpu;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.testkit.Jcstress;
import java.lang.invoke.VarHandle;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** A reader that still found the object sees it whole until its section ends. */
final class SrcuStress {
  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void releaseStore_breaks() {
    Jcstress.assertBreaks(ReleaseStore.class);
  }

  /**
   * Unlink with a plain store, wait for a grace period, spoil; beside a reader with plain loads.
   */
  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "found, and whole")
  @Outcome(id = "0, .*", expect = Expect.ACCEPTABLE, desc = "not found")
  @Outcome(id = "1, 1", expect = Expect.FORBIDDEN, desc = "found, and spoilt in the section")
  @State
  public static class Actual {
    private final Srcu srcu = new Srcu();
    private int linked = 1;
    private int spoilt;

    @Actor
    public void reader(II_Result r) {
      int token = srcu.readLock();
      r.r1 = linked;
      r.r2 = spoilt;
      srcu.readUnlock(token);
    }

    @Actor
    public void writer() {
      linked = 0;
      if (srcu.poll(srcu.startPoll())) {
        spoilt = 1;
      }
    }
  }

  /** The reader counts itself with a store that its loads may overtake. */
  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "found, and whole")
  @Outcome(id = "0, .*", expect = Expect.ACCEPTABLE, desc = "not found")
  @Outcome(
      id = "1, 1",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "found, and spoilt in the section")
  @State
  public static class ReleaseStore {
    private static final VarHandle READERS =
        fieldVarHandle(lookup(), "readers", VarHandle.class, ReleaseStore.class, int.class);

    private volatile int readers;
    private int linked = 1;
    private int spoilt;

    @Actor
    public void reader(II_Result r) {
      READERS.setRelease(this, 1);
      r.r1 = linked;
      r.r2 = spoilt;
      READERS.setRelease(this, 0);
    }

    @Actor
    public void writer() {
      linked = 0;
      VarHandle.fullFence();
      if (readers == 0) {
        spoilt = 1;
      }
    }
  }
}
