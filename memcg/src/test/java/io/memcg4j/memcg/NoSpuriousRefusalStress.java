package io.memcg4j.memcg;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE_INTERESTING;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/**
 * A large request that fits the parent and never the root, beside a small one that always fits
 * both, but not beside the large one. r1, r2: 1 if the large, the small one was charged. r3: usage
 * of the root afterwards.
 */
public class NoSpuriousRefusalStress {
  private static final int LARGE = 4;
  private static final int SMALL = 2;
  private static final int PARENT_MAX = 5;
  private static final int ROOT_MAX = 3;

  @Test
  void reserving_holds() {
    Jcstress.assertHolds(Reserving.class);
  }

  @Test
  void batching_holds() {
    Jcstress.assertHolds(Batching.class);
  }

  @Test
  void addThenUndo_breaks() {
    Jcstress.assertBreaks(AddThenUndo.class);
  }

  /** The counters of the product. */
  public static class Counters {
    final PageCounter root = new PageCounter(null);
    final PageCounter parent = new PageCounter(root);
    final PageCounter large = new PageCounter(parent);
    final PageCounter small = new PageCounter(parent);

    Counters() {
      root.setMax(ROOT_MAX);
      parent.setMax(PARENT_MAX);
    }
  }

  /** Without the look ahead, so that the large request gets as far as the parent. */
  @JCStressTest
  @State
  @Outcome(id = "0, 1, 2", expect = ACCEPTABLE, desc = "Only the small one was charged.")
  @Outcome(expect = FORBIDDEN, desc = "The small one was refused, or something was left behind.")
  public static class Reserving extends Counters {
    /** Never fits. */
    @Actor
    public void large(III_Result r) {
      r.r1 = large.reserveAndCommit(LARGE) == null ? 1 : 0;
    }

    /** Always fits. */
    @Actor
    public void small(III_Result r) {
      r.r2 = small.reserveAndCommit(SMALL) == null ? 1 : 0;
    }

    /** What is left. */
    @Arbiter
    public void afterwards(III_Result r) {
      r.r3 = (int) (root.usage() + root.pending() + parent.pending() + large.usage());
    }
  }

  /** The large one is an attempt to charge in advance. */
  @JCStressTest
  @State
  @Outcome(id = "0, 1, 2", expect = ACCEPTABLE, desc = "Only the small one was charged.")
  @Outcome(expect = FORBIDDEN, desc = "The small one was refused, or something was left behind.")
  public static class Batching extends Counters {
    /** Never fits. */
    @Actor
    public void large(III_Result r) {
      r.r1 = large.tryChargeAtOnce(LARGE) ? 1 : 0;
    }

    /** Always fits. */
    @Actor
    public void small(III_Result r) {
      r.r2 = small.tryCharge(SMALL) == null ? 1 : 0;
    }

    /** What is left. */
    @Arbiter
    public void afterwards(III_Result r) {
      r.r3 = (int) (root.usage() + root.pending() + parent.pending() + large.usage());
    }
  }

  /** Twin: adds first and takes it back where it does not fit, as the kernel does. */
  @JCStressTest
  @State
  @Outcome(id = "0, 1, 2", expect = ACCEPTABLE, desc = "Only the small one was charged.")
  @Outcome(
      id = "0, 0, 0",
      expect = ACCEPTABLE_INTERESTING,
      desc = "The bug: refused though it fits.")
  public static class AddThenUndo {
    private final AtomicLong root = new AtomicLong();
    private final AtomicLong parent = new AtomicLong();

    private boolean tryCharge(long nrPages) {
      if (parent.addAndGet(nrPages) > PARENT_MAX) {
        parent.addAndGet(-nrPages);
        return false;
      }
      if (root.addAndGet(nrPages) > ROOT_MAX) {
        root.addAndGet(-nrPages);
        parent.addAndGet(-nrPages);
        return false;
      }
      return true;
    }

    /** Never fits. */
    @Actor
    public void large(III_Result r) {
      r.r1 = tryCharge(LARGE) ? 1 : 0;
    }

    /** Always fits. */
    @Actor
    public void small(III_Result r) {
      r.r2 = tryCharge(SMALL) ? 1 : 0;
    }

    /** What is left. */
    @Arbiter
    public void afterwards(III_Result r) {
      r.r3 = (int) root.get();
    }
  }
}
