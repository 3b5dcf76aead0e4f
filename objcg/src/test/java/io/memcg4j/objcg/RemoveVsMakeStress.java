package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlots;
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

/** No handle is made for a group behind the back of its removal: nobody would ever release it. */
final class RemoveVsMakeStress {
  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void noSecondLook_breaks() {
    Jcstress.assertBreaks(NoSecondLook.class);
  }

  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "made and released, or the parent's")
  @Outcome(expect = Expect.FORBIDDEN, desc = "a handle is left, or the group pays")
  @State
  public static class Actual {
    private final MemCgroup root = MemCgroup.root(CpuSlots.create(1, 1));
    private final ObjCgroups registry = ObjCgroups.of(root);
    private final MemCgroup group = root.create("a");

    @Actor
    public void maker() {
      ObjCgroup.of(group);
    }

    @Actor
    public void remover() {
      group.remove();
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = registry.nrHandles();
      r.r2 = ObjCgroup.of(group).id();
    }
  }

  /** Whether the group is there is only asked before the lock is taken. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "made and released, or not made")
  @Outcome(id = "1", expect = Expect.ACCEPTABLE_INTERESTING, desc = "a handle is left")
  @State
  public static class NoSecondLook {
    private final Object lock = new Object();
    private volatile boolean online = true;
    private int nrHandles;

    @Actor
    public void maker() {
      if (online) {
        synchronized (lock) {
          nrHandles = 1;
        }
      }
    }

    @Actor
    public void remover() {
      online = false;
      synchronized (lock) {
        nrHandles = 0;
      }
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = nrHandles;
    }
  }
}
