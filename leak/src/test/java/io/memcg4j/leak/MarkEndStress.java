package io.memcg4j.leak;

import io.memcg4j.testkit.Jcstress;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** A worker passes its last object on to another share while a third one looks for the end. */
final class MarkEndStress {
  @Test
  void end_whileAnObjectIsPassedOn_isNotSeen() {
    Jcstress.assertHolds(PassedOn.class);
  }

  @Test
  void end_whileAnObjectIsPassedOnAfterTheRelease_breaks() {
    Jcstress.assertBreaks(ReleasedFirst.class);
  }

  /** Two shares: the first one is held, its holder has found an object of the second one. */
  abstract static class World {
    private static final int OTHER_SLAB = 64; // the first of the second group
    private static final int NR_SLABS = OTHER_SLAB + 1;
    private static final long SLAB_BYTES = 1L << 15;
    private static final long BASE = 0x100000;

    final Marker marker = new Marker(map(), RangeMap.EMPTY, Marker.Specials.NONE, 2);
    volatile int visited;

    World() {
      marker.startWorkers();
      marker.shares[1].claim();
      marker.shares[1].release();
      marker.shares[0].claim();
    }

    private static HeapMap map() {
      long[] geometry = new long[NR_SLABS * HeapMap.GEOMETRY];
      int[] slabs = new int[NR_SLABS];
      for (int slab = 0; slab < NR_SLABS; slab++) {
        slabs[slab] = slab;
        geometry[slab * HeapMap.GEOMETRY + HeapMap.BASE] = BASE + slab * SLAB_BYTES;
        geometry[slab * HeapMap.GEOMETRY + HeapMap.USABLE] = 64;
        geometry[slab * HeapMap.GEOMETRY + HeapMap.MAGIC] = 1L << 26;
        geometry[slab * HeapMap.GEOMETRY + HeapMap.FIRST] = HeapMap.object(slab, slab, 0);
      }
      long[] sizes = new long[NR_SLABS];
      Arrays.fill(sizes, 64);
      int[] nrWords = new int[NR_SLABS];
      Arrays.fill(nrWords, 1);
      long[] live = new long[NR_SLABS];
      live[OTHER_SLAB] = 1;
      return new HeapMap(BASE, 15, slabs, geometry, sizes, nrWords, live, new long[NR_SLABS]);
    }

    void find() {
      marker.shares[0].mark(new long[] {HeapMap.object(OTHER_SLAB, OTHER_SLAB, 0)}, 1);
    }

    void visit() {
      MarkShare share = marker.shares[1];
      if (share.claim()) {
        share.receive();
        if (share.gray[OTHER_SLAB] != 0) {
          visited = 1;
        }
        share.release();
      }
    }

    /** Whether all is thought to be done, and whether it is. */
    void look(II_Result r) {
      r.r1 = marker.nrUnderWay.get() == 0 ? 1 : 0;
      r.r2 = r.r1 == 1 ? visited : 1;
    }
  }

  @JCStressTest
  @Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "under way")
  @Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "done")
  @State
  public static class PassedOn extends World {
    @Actor
    public void passOn() {
      find();
      marker.shares[0].flush(true);
      marker.shares[0].release();
    }

    @Actor
    public void visitOther() {
      visit();
    }

    @Actor
    public void end(II_Result r) {
      look(r);
    }
  }

  @JCStressTest
  @Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "under way")
  @Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "done")
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "thought to be done")
  @State
  public static class ReleasedFirst extends World {
    @Actor
    public void passOn() {
      find();
      marker.shares[0].release();
      marker.shares[0].flush(true);
    }

    @Actor
    public void visitOther() {
      visit();
    }

    @Actor
    public void end(II_Result r) {
      look(r);
    }
  }
}
