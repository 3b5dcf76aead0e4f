package io.memcg4j.objcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.lang.invoke.VarHandle;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * Two threads take turns in the only slot. Neither, once it has left, takes the other's scope, or
 * what that is armed for, for its own.
 */
final class OccupantStress {
  private static final int NR_ROUNDS = 50;

  @Test
  void oneWord_holds() {
    Jcstress.assertHolds(OneWord.class);
  }

  @Test
  void twoWords_breaks() {
    Jcstress.assertBreaks(TwoWords.class);
  }

  @Test
  void onePlace_holds() {
    Jcstress.assertHolds(OnePlace.class);
  }

  @Test
  void placeBeforeOccupant_breaks() {
    Jcstress.assertBreaks(PlaceBeforeOccupant.class);
  }

  /** A tree with one slot for scopes, and so many places where threads look up theirs. */
  abstract static class Turns {
    private final ObjCgroups registry;
    final ObjCgroup a;
    final ObjCgroup b;

    Turns(int nrPlaces) {
      MemCgroup root = MemCgroup.root(CpuSlots.create(1, 1));
      registry = root.subsystem(ObjCgroups.class, tree -> new ObjCgroups(tree, nrPlaces));
      a = ObjCgroup.of(root.create("a"));
      b = ObjCgroup.of(root.create("b"));
    }

    final int comeAndGo(ObjCgroup handle) {
      int nrWrong = 0;
      for (int i = 0; i < NR_ROUNDS; i++) {
        try (Scope scope = handle.enter()) {
          scope.resync();
          nrWrong += registry.currentScope() == scope.frame() ? 0 : 1;
        }
        nrWrong += registry.currentScope() == null && registry.armedStock() == null ? 0 : 1;
      }
      return nrWrong;
    }
  }

  @JCStressTest
  @Outcome(id = "0, 0", expect = Expect.ACCEPTABLE, desc = "outside is outside")
  @Outcome(expect = Expect.FORBIDDEN, desc = "the other's scope was taken for one's own")
  @State
  public static class OneWord extends Turns {
    public OneWord() {
      super(1 << 10);
    }

    @Actor
    public void first(II_Result r) {
      r.r1 = comeAndGo(a);
    }

    @Actor
    public void second(II_Result r) {
      r.r2 = comeAndGo(b);
    }
  }

  /** All threads' ids collide where they look up their slot. */
  @JCStressTest
  @Outcome(id = "0, 0", expect = Expect.ACCEPTABLE, desc = "each finds its own")
  @Outcome(expect = Expect.FORBIDDEN, desc = "a scope without a slot was not found")
  @State
  public static class OnePlace extends Turns {
    public OnePlace() {
      super(1);
    }

    @Actor
    public void first(II_Result r) {
      r.r1 = comeAndGo(a);
    }

    @Actor
    public void second(II_Result r) {
      r.r2 = comeAndGo(b);
    }
  }

  /** Where a thread is gets known before the slot names it. */
  @JCStressTest
  @Outcome(id = "0, 0", expect = Expect.ACCEPTABLE, desc = "each finds its own")
  @Outcome(expect = Expect.ACCEPTABLE_INTERESTING, desc = "a scope was not found")
  @State
  public static class PlaceBeforeOccupant {
    private static final VarHandle OWNER =
        fieldVarHandle(lookup(), "owner", VarHandle.class, PlaceBeforeOccupant.class, int.class);

    volatile int owner;
    volatile boolean isPlaceKnown;
    volatile int occupant; // id and whether a scope is open

    private int comeAndGo(int id) {
      int nrWrong = 0;
      for (int i = 0; i < NR_ROUNDS; i++) {
        if (OWNER.compareAndSet(this, 0, id)) {
          isPlaceKnown = true;
          occupant = 2 * id + 1;
          occupant = 2 * id;
          owner = 0;
        } else {
          isPlaceKnown = false;
          nrWrong += isPlaceKnown && occupant == 2 * id ? 1 : 0; // in a scope without a slot
        }
      }
      return nrWrong;
    }

    @Actor
    public void first(II_Result r) {
      r.r1 = comeAndGo(1);
    }

    @Actor
    public void second(II_Result r) {
      r.r2 = comeAndGo(2);
    }
  }

  /** The id and the depth stand apart. */
  @JCStressTest
  @Outcome(id = "0, 0", expect = Expect.ACCEPTABLE, desc = "outside is outside")
  @Outcome(expect = Expect.ACCEPTABLE_INTERESTING, desc = "the other's was taken for one's own")
  @State
  public static class TwoWords {
    private static final VarHandle OWNER =
        fieldVarHandle(lookup(), "owner", VarHandle.class, TwoWords.class, int.class);

    volatile int owner;
    volatile int threadId;
    volatile int depth;

    private int comeAndGo(int id) {
      int nrWrong = 0;
      for (int i = 0; i < NR_ROUNDS; i++) {
        if (OWNER.compareAndSet(this, 0, id)) {
          threadId = id;
          depth = 1;
          depth = 0;
          owner = 0;
        }
        nrWrong += threadId == id && depth != 0 ? 1 : 0;
      }
      return nrWrong;
    }

    @Actor
    public void first(II_Result r) {
      r.r1 = comeAndGo(1);
    }

    @Actor
    public void second(II_Result r) {
      r.r2 = comeAndGo(2);
    }
  }
}
