package io.memcg4j.slab;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/** An object is freed elsewhere, and its place is taken by another with a call site of its own. */
final class CallSiteStress {
  @Test
  void free_whilePlaceIsTaken_leavesTheNewSite_holds() {
    Jcstress.assertHolds(TakenFirst.class);
  }

  @Test
  void free_siteTakenAfterTheBit_breaks() {
    Jcstress.assertBreaks(TakenLast.class);
  }

  /** A free of another object has queued the slab already, so that it is collected at any time. */
  abstract static class World extends AdoptStress.World {
    private static final int OLD_SITE = 1;
    private static final int NEW_SITE = 2;
    private static final long FREED_BEFORE = 0b1000;

    final SlabTrack track = slab.trackOrMake();

    World() {
      track.setSite(0, OLD_SITE, slab.nrObjects());
      word.freeRemotely(FREED_BEFORE);
      donor.noteRemoteFree(slab);
    }

    /** Whether the object was there to be allocated anew. */
    final boolean allocateAnew() {
      donor.collectRemoteFrees();
      boolean isFree = (word.free() & FIRST) != 0;
      if (isFree) {
        track.setSite(0, NEW_SITE, slab.nrObjects());
      }
      return isFree;
    }
  }

  /** The site goes before the bit. */
  @JCStressTest
  @Outcome(id = "1, 1, 2", expect = Expect.ACCEPTABLE, desc = "allocated anew")
  @Outcome(id = "1, 0, 0", expect = Expect.ACCEPTABLE, desc = "free")
  @Outcome(expect = Expect.FORBIDDEN, desc = "the new object's site is gone")
  @State
  public static class TakenFirst extends World {
    @Actor
    public void other(III_Result r) {
      r.r1 = freeElsewhere(word) ? 1 : 0;
    }

    @Actor
    public void owner(III_Result r) {
      r.r2 = allocateAnew() ? 1 : 0;
    }

    @Arbiter
    public void arbiter(III_Result r) {
      r.r3 = track.site(0);
    }
  }

  /** The site is taken once the object is free. */
  @JCStressTest
  @Outcome(id = "1, 1, 2", expect = Expect.ACCEPTABLE, desc = "allocated anew")
  @Outcome(id = "1, 0, 0", expect = Expect.ACCEPTABLE, desc = "free")
  @Outcome(
      id = "1, 1, 0",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "the new object's site is gone")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class TakenLast extends World {
    @Actor
    public void other(III_Result r) {
      r.r1 = word.freeRemotely(FIRST) ? 1 : 0;
      var _ = ALLOCATOR.profile().freed(word, FIRST);
    }

    @Actor
    public void owner(III_Result r) {
      r.r2 = allocateAnew() ? 1 : 0;
    }

    @Arbiter
    public void arbiter(III_Result r) {
      r.r3 = track.site(0);
    }
  }
}
