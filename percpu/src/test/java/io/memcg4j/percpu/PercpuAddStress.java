package io.memcg4j.percpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.JJ_Result;

/**
 * Two threads add to one copy, one after the other as the claim of its slot has it, while a third
 * sums: no addition is lost, and none is seen in part or twice.
 */
final class PercpuAddStress {
  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void noClaim_breaks() {
    Jcstress.assertBreaks(NoClaim.class);
  }

  /** A counter of an allocator that all states share; only its value is new for each. */
  abstract static class World {
    static final CpuSlots SLOTS = CpuSlots.create(0, 1);
    static final PercpuAllocator ALLOCATOR =
        new PercpuAllocator(SLOTS, new TestPages(), new TestCharger(), 16 << 20);

    final long counter = ALLOCATOR.allocate(8);

    /** Both halves of the word change, so a torn read shows. */
    static final long AMOUNT = (1L << 32) + 1;

    final void result(JJ_Result r) {
      r.r2 = ALLOCATOR.sum(counter) / AMOUNT;
      r.r1 = r.r1 % AMOUNT == 0 ? r.r1 / AMOUNT : -1;
      ALLOCATOR.free(counter);
    }
  }

  @JCStressTest
  @Outcome(id = "0, 2", expect = Expect.ACCEPTABLE, desc = "summed before both")
  @Outcome(id = "1, 2", expect = Expect.ACCEPTABLE, desc = "summed between")
  @Outcome(id = "2, 2", expect = Expect.ACCEPTABLE, desc = "summed after both")
  @Outcome(expect = Expect.FORBIDDEN, desc = "lost, torn or invented")
  @State
  public static class Actual extends World {
    @Actor
    public void one() {
      ALLOCATOR.add(counter, SLOTS.overflow(), AMOUNT);
    }

    @Actor
    public void other() {
      ALLOCATOR.add(counter, SLOTS.overflow(), AMOUNT);
    }

    @Actor
    public void reader(JJ_Result r) {
      r.r1 = ALLOCATOR.sum(counter);
    }

    @Arbiter
    public void arbiter(JJ_Result r) {
      result(r);
    }
  }

  /** The same steps without the claim. */
  @JCStressTest
  @Outcome(
      id = {"0, 2", "1, 2", "2, 2"},
      expect = Expect.ACCEPTABLE,
      desc = "both there")
  @Outcome(
      id = {"0, 1", "1, 1"},
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "an addition is lost")
  @Outcome(expect = Expect.FORBIDDEN, desc = "torn or invented")
  @State
  public static class NoClaim extends World {
    private void add() {
      long address = ALLOCATOR.address(counter, 0);
      long value = ALLOCATOR.value(counter, 0) + AMOUNT;
      TestPages.MEMORY.set(JAVA_LONG, address, value);
    }

    @Actor
    public void one() {
      add();
    }

    @Actor
    public void other() {
      add();
    }

    @Actor
    public void reader(JJ_Result r) {
      r.r1 = ALLOCATOR.sum(counter);
    }

    @Arbiter
    public void arbiter(JJ_Result r) {
      result(r);
    }
  }
}
