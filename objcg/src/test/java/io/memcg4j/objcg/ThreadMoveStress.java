package io.memcg4j.objcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.I_Result;

/**
 * A thread that is moved acts on it at its next operation: no move is lost, and the last one wins.
 * At the end either the last target pays, or it is still to be taken and the gate is closed.
 */
final class ThreadMoveStress {
  private static final int MAX_SPINS = 500;
  private static final int NR_OPERATIONS = 200;

  @Test
  void resync_holds() {
    Jcstress.assertHolds(Resync.class);
  }

  @Test
  void plainReadAndClear_breaks() {
    Jcstress.assertBreaks(PlainReadAndClear.class);
  }

  @Test
  void closeOfInnerScope_holds() {
    Jcstress.assertHolds(CloseOfInnerScope.class);
  }

  @Test
  void lookThenArm_breaks() {
    Jcstress.assertBreaks(LookThenArm.class);
  }

  /** A tree with three groups, and a thread's scope that somebody else can reach. */
  static class Tree {
    private final MemCgroup root = MemCgroup.root(CpuSlots.create(1, 1));
    final ObjCgroup first = ObjCgroup.of(root.create("a"));
    final ObjCgroup second = ObjCgroup.of(root.create("b"));
    final ObjCgroup third = ObjCgroup.of(root.create("c"));
    volatile @Nullable Scope scope;
    boolean late;

    /** What every operation of an allocator begins with. */
    static void operate(Scope scope) {
      ScopeFrame frame = scope.frame();
      if (!frame.slot().isArmed(frame.token())) {
        scope.resync();
      }
    }

    /** The owner's scope once it is open; null if that takes too long. */
    final @Nullable Scope awaitScope() {
      for (int spins = 0; spins < MAX_SPINS; spins++) {
        if (scope != null) {
          return scope;
        }
        Thread.onSpinWait();
      }
      late = true;
      return null;
    }

    /** 1 if {@code last} pays, 2 if it will with the next operation, 0 if it was lost. */
    final int outcome(ObjCgroup last) {
      Scope of = scope;
      if (late || of == null) {
        return -1;
      }
      ScopeFrame frame = of.frame();
      ObjCgroup target = frame.moveTarget();
      if (target == null) {
        return frame.stock().handle() == last && of.current() == last ? 1 : 0;
      }
      return target == last && !frame.slot().isArmed(frame.token()) ? 2 : 0;
    }
  }

  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "the last target pays")
  @Outcome(id = "2", expect = Expect.ACCEPTABLE, desc = "it will with the next operation")
  @Outcome(id = "-1", expect = Expect.ACCEPTABLE, desc = "not moved, the scope came too late")
  @Outcome(expect = Expect.FORBIDDEN, desc = "the last move was lost")
  @State
  public static class Resync extends Tree {
    @Actor
    public void owner() {
      Scope mine = first.enter();
      scope = mine;
      for (int i = 0; i < NR_OPERATIONS; i++) {
        operate(mine);
      }
    }

    @Actor
    public void mover() {
      Scope other = awaitScope();
      if (other != null) {
        other.moveTo(second);
        other.moveTo(third);
      }
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = outcome(third);
    }
  }

  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "the target pays")
  @Outcome(id = "2", expect = Expect.ACCEPTABLE, desc = "it will with the next operation")
  @Outcome(id = "-1", expect = Expect.ACCEPTABLE, desc = "not moved, the scope came too late")
  @Outcome(expect = Expect.FORBIDDEN, desc = "the move was lost")
  @State
  public static class CloseOfInnerScope extends Tree {
    @Actor
    public void owner() {
      Scope mine = first.enter();
      operate(mine);
      Scope inner = first.enter();
      operate(inner);
      scope = mine;
      inner.close();
      operate(mine);
    }

    @Actor
    public void mover() {
      Scope other = awaitScope();
      if (other != null) {
        other.moveTo(second);
      }
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = outcome(second);
    }
  }

  /** The words of a scope, and how a mover writes them. */
  static class Words {
    volatile int moveTarget;
    volatile boolean armed;
    int payer = 1;

    final void moveTo(int target) {
      moveTarget = target;
      armed = false;
    }

    final int outcome(int last) {
      if (moveTarget == 0) {
        return payer == last ? 1 : 0;
      }
      return moveTarget == last && !armed ? 2 : 0;
    }
  }

  /** The target is read and then cleared, instead of taken by one exchange. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "the last target pays")
  @Outcome(id = "2", expect = Expect.ACCEPTABLE, desc = "it will with the next operation")
  @Outcome(id = "0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "the last move was lost")
  @State
  public static class PlainReadAndClear extends Words {
    private void operate() {
      if (armed) {
        return;
      }
      do {
        int target = moveTarget;
        if (target != 0) {
          moveTarget = 0;
          payer = target;
        }
        armed = true;
      } while (moveTarget != 0);
    }

    @Actor
    public void owner() {
      operate();
      operate();
      operate();
    }

    @Actor
    public void mover() {
      moveTo(2);
      moveTo(3);
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = outcome(3);
    }
  }

  /** The inner scope's close looks for a move and then opens the gate, without a second look. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "the target pays")
  @Outcome(id = "2", expect = Expect.ACCEPTABLE, desc = "it will with the next operation")
  @Outcome(id = "0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "the move was lost")
  @State
  public static class LookThenArm extends Words {
    private static final VarHandle ARMED =
        fieldVarHandle(lookup(), "armed", VarHandle.class, Words.class, boolean.class);

    @Actor
    public void owner() {
      if (moveTarget == 0) {
        ARMED.setRelease(this, true);
      } else {
        armed = false;
      }
    }

    @Actor
    public void mover() {
      moveTo(2);
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = outcome(2);
    }
  }
}
