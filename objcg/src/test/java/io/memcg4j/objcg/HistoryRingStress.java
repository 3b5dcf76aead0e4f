package io.memcg4j.objcg;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE_INTERESTING;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.I_Result;

/**
 * Element 0 of a ring of two is asked for while its place is taken by element 2. r1: which element
 * it was; -1 if the ring says that it is too late.
 */
public class HistoryRingStress {
  private static final int LENGTH = 2;

  @Test
  void actual_holds() {
    Jcstress.assertHolds(Actual.class);
  }

  @Test
  void oneMoreTrusted_breaks() {
    Jcstress.assertBreaks(OneMoreTrusted.class);
  }

  /** The ring of the product. */
  @JCStressTest
  @State
  @Outcome(id = "0", expect = ACCEPTABLE, desc = "In time.")
  @Outcome(id = "-1", expect = ACCEPTABLE, desc = "Too late, and told so.")
  @Outcome(id = "2", expect = FORBIDDEN, desc = "Another element passes for it.")
  public static class Actual {
    private final HistoryRing<Integer> ring = new HistoryRing<>(LENGTH);

    /** With an element to ask for. */
    public Actual() {
      ring.add(0);
    }

    /** Adds two more. */
    @Actor
    public void adder() {
      ring.add(1);
      ring.add(2);
    }

    /** Asks for the first one. */
    @Actor
    public void reader(I_Result r) {
      Integer element = ring.get(0);
      r.r1 = element == null ? -1 : element;
    }
  }

  /** Twin: trusts the element that may be overwritten at that moment. */
  @JCStressTest
  @State
  @Outcome(id = "0", expect = ACCEPTABLE, desc = "In time.")
  @Outcome(id = "-1", expect = ACCEPTABLE, desc = "Too late, and told so.")
  @Outcome(id = "2", expect = ACCEPTABLE_INTERESTING, desc = "The bug: another one passes for it.")
  public static class OneMoreTrusted {
    private final AtomicReferenceArray<Integer> elements = new AtomicReferenceArray<>(LENGTH);
    private volatile long nrAdded;

    /** With an element to ask for. */
    public OneMoreTrusted() {
      add(0);
    }

    private void add(int element) {
      long number = nrAdded;
      elements.set((int) number & (LENGTH - 1), element);
      nrAdded = number + 1;
    }

    /** Adds two more. */
    @Actor
    public void adder() {
      add(1);
      add(2);
    }

    /** Asks for the first one. */
    @Actor
    public void reader(I_Result r) {
      Integer element = elements.get(0);
      r.r1 = nrAdded <= LENGTH ? element : -1;
    }
  }
}
