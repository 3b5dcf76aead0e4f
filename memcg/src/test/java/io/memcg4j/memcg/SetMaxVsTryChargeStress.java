package io.memcg4j.memcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE_INTERESTING;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.memcg4j.testkit.Jcstress;
import java.lang.invoke.VarHandle;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * A charge against a limit that is lowered to 0. r1: 1 if charged. r2: the usage that setMax
 * reports. Whoever lowers the limit must learn of every charge that was granted under the old one.
 */
public class SetMaxVsTryChargeStress {
  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void level_holds() {
    Jcstress.assertHolds(Level.class);
  }

  @Test
  void noSecondLook_breaks() {
    Jcstress.assertBreaks(NoSecondLook.class);
  }

  @Test
  void opaqueMax_breaks() {
    Jcstress.assertBreaks(OpaqueMax.class);
  }

  /** The counter of the product. */
  @JCStressTest
  @State
  @Outcome(id = "0, 0", expect = ACCEPTABLE, desc = "Refused; setMax saw nothing.")
  @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "setMax saw a reservation that undid itself.")
  @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "Charged first; setMax saw it.")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "Both succeeded: usage is above max, unseen.")
  public static class Actual {
    private final PageCounter counter = new PageCounter(null);

    /** Charges a page. */
    @Actor
    public void charger(II_Result r) {
      r.r1 = counter.tryCharge(1) == null ? 1 : 0;
    }

    /** Lowers the limit. */
    @Actor
    public void limiter(II_Result r) {
      r.r2 = (int) counter.setMax(0);
    }
  }

  /** The counter of the product, charged with pages that its parent has been charged already. */
  @JCStressTest
  @State
  @Outcome(id = "0, 0", expect = ACCEPTABLE, desc = "Refused; setMax saw nothing.")
  @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "setMax saw a reservation that undid itself.")
  @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "Charged first; setMax saw it.")
  @Outcome(id = "1, 0", expect = FORBIDDEN, desc = "Both succeeded: usage is above max, unseen.")
  public static class Level {
    private final PageCounter parent = new PageCounter(null);
    private final PageCounter counter = new PageCounter(parent);

    /** Charges a page. */
    @Actor
    public void charger(II_Result r) {
      r.r1 = counter.tryChargeLevelAtOnce(1) ? 1 : 0;
    }

    /** Lowers the limit. */
    @Actor
    public void limiter(II_Result r) {
      r.r2 = (int) counter.setMax(0);
    }
  }

  /** Twin: does not look at max again after the reservation. */
  @JCStressTest
  @State
  @Outcome(id = "0, 0", expect = ACCEPTABLE, desc = "Refused; setMax saw nothing.")
  @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "Charged first; setMax saw it.")
  @Outcome(id = "1, 0", expect = ACCEPTABLE_INTERESTING, desc = "The bug: both succeeded.")
  public static class NoSecondLook {
    private final Twin counter = new Twin();

    /** Charges a page. */
    @Actor
    public void charger(II_Result r) {
      r.r1 = counter.tryChargeWithoutSecondLook(1) ? 1 : 0;
    }

    /** Lowers the limit. */
    @Actor
    public void limiter(II_Result r) {
      r.r2 = (int) counter.setMaxVolatile(0);
    }
  }

  /** Twin: looks again, but max is written and usage is read with opaque access. */
  @JCStressTest
  @State
  @Outcome(id = "0, 0", expect = ACCEPTABLE, desc = "Refused; setMax saw nothing.")
  @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "setMax saw a reservation that undid itself.")
  @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "Charged first; setMax saw it.")
  @Outcome(id = "1, 0", expect = ACCEPTABLE_INTERESTING, desc = "The bug: both succeeded.")
  public static class OpaqueMax {
    private final Twin counter = new Twin();

    /** Charges a page. */
    @Actor
    public void charger(II_Result r) {
      r.r1 = counter.tryCharge(1) ? 1 : 0;
    }

    /** Lowers the limit. */
    @Actor
    public void limiter(II_Result r) {
      r.r2 = (int) counter.setMaxOpaque(0);
    }
  }

  /** One level of a counter, with the accesses to choose from. */
  private static final class Twin {
    private static final VarHandle WORD =
        fieldVarHandle(lookup(), "word", VarHandle.class, Twin.class, long.class);
    private static final VarHandle MAX =
        fieldVarHandle(lookup(), "max", VarHandle.class, Twin.class, long.class);

    private volatile long word;
    private volatile long max = Long.MAX_VALUE;

    boolean tryChargeWithoutSecondLook(long nrPages) {
      while (true) {
        long limit = max;
        long seen = word;
        if (seen + nrPages > limit) {
          return false;
        }
        if (WORD.compareAndSet(this, seen, seen + nrPages)) {
          return true;
        }
      }
    }

    boolean tryCharge(long nrPages) {
      if (!tryChargeWithoutSecondLook(nrPages)) {
        return false;
      }
      if ((long) WORD.getOpaque(this) <= (long) MAX.getOpaque(this)) {
        return true;
      }
      WORD.getAndAdd(this, -nrPages);
      return false;
    }

    long setMaxVolatile(long nrPages) {
      max = nrPages;
      return word;
    }

    long setMaxOpaque(long nrPages) {
      MAX.setOpaque(this, nrPages);
      return (long) WORD.getOpaque(this);
    }
  }
}
