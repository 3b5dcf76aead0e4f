package io.memcg4j.leak;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** A worker marks an object in a slab while another one begins to visit it: no mark is lost. */
final class VisitStress {
  @Test
  void mark_whileVisitBegins_holds() {
    Jcstress.assertHolds(MarkAndVisit.class);
  }

  @Test
  void mark_whileVisitTakesBeforeItClaims_breaks() {
    Jcstress.assertBreaks(TakenFirst.class);
  }

  /** One slab with two objects, the first one gray and the slab pending. */
  abstract static class World {
    static final long FIRST = 1;
    static final long SECOND = 2;

    final Marker marker =
        new Marker(
            new HeapMap(
                0x10000,
                15,
                new int[] {0},
                new long[] {0x10000, 128, 1L << 26, 6},
                new long[] {64},
                new int[] {1},
                new long[] {FIRST | SECOND},
                new long[1]),
            RangeMap.EMPTY,
            Marker.Specials.NONE,
            true);

    World() {
      marker.markObject(0, 0, FIRST);
    }

    void mark() {
      marker.mark(0x10000 + 64, 0, 0);
    }

    /** Whether the second object was taken, and whether somebody will still come. */
    void result(II_Result r) {
      r.r2 = (marker.pendingVolatile(0) & 1) != 0 ? 1 : 0;
    }
  }

  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "taken by this visit")
  @Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "left to the next visit")
  @Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "taken, and a visit for nothing")
  @State
  public static class MarkAndVisit extends World {
    @Actor
    public void marker() {
      mark();
    }

    @Actor
    public void visitor(II_Result r) {
      r.r1 = marker.claim(0) && (marker.takeGray(0) & SECOND) != 0 ? 1 : 0;
    }

    @Arbiter
    public void arbiter(II_Result r) {
      result(r);
    }
  }

  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "taken by this visit")
  @Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "left to the next visit")
  @Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "taken, and a visit for nothing")
  @Outcome(id = "0, 0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "the mark is lost")
  @State
  public static class TakenFirst extends World {
    @Actor
    public void marker() {
      mark();
    }

    @Actor
    public void visitor(II_Result r) {
      r.r1 = (marker.takeGray(0) & SECOND) != 0 ? 1 : 0;
      marker.claim(0);
    }

    @Arbiter
    public void arbiter(II_Result r) {
      result(r);
    }
  }
}
