package io.memcg4j.slab;

import io.memcg4j.testkit.Jcstress;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.ZZ_Result;

/** A watched object is freed, and another one takes its place: it must not count as watched. */
public class WatchStress {
  @Test
  void objectIsReplaced_theOtherOneIsNotWatched() {
    Jcstress.assertHolds(ReplaceVsLook.class);
  }

  @Test
  void bitBeforeMagazine_breaks() {
    Jcstress.assertBreaks(BitFirst.class);
  }

  /** An active word with one object, which is watched, and an idle one. */
  abstract static class World {
    static final SlabGeometry GEOMETRY = new SlabGeometry(0, 1024, 1, 2, 1, 1L << 22, 1100);

    final Slab slab = new Slab(GEOMETRY, 0, 1, 1L << 40, false);
    final Word word = slab.words[0];
    final Word other = slab.words[1];
    final Magazine magazine = new Magazine(1024);
    final BirthEpoch births = new BirthEpoch();
    volatile boolean isReplaced;

    World() {
      births.begin(1, List::of);
      word.setFree(1);
      other.setFree(1);
      magazine.activate(word, 1, 0);
      births.activated(word, 1);
      long _ = magazine.allocate();
      slab.trackOrMake().watch(0, 1);
    }

    /** Frees it, allocates again, and leaves the word for another one. */
    final void replace() {
      boolean _ = magazine.putBack(1);
      long _ = magazine.allocate();
      isReplaced = true;
      births.deactivating(word, magazine.returned());
      magazine.deactivate(word);
      magazine.activate(other, 1, 0);
      births.activated(other, 1);
    }
  }

  /** The product's order: the magazine, then the bit. */
  @JCStressTest
  @Outcome(id = "true, false", expect = Expect.ACCEPTABLE, desc = "another object")
  @Outcome(id = "false, .*", expect = Expect.ACCEPTABLE, desc = "it may be there yet")
  @Outcome(expect = Expect.FORBIDDEN, desc = "the other one counts as watched")
  @State
  public static class ReplaceVsLook extends World {
    @Actor
    public void owner() {
      replace();
    }

    @Actor
    public void scanner(ZZ_Result r) {
      r.r1 = isReplaced;
      r.r2 = BirthEpoch.isWatched(word, 1);
    }
  }

  /** The bit is seen before it is cleared, the magazine when it has left the word. */
  @JCStressTest
  @Outcome(id = "true, false", expect = Expect.ACCEPTABLE, desc = "another object")
  @Outcome(id = "false, .*", expect = Expect.ACCEPTABLE, desc = "it may be there yet")
  @Outcome(
      id = "true, true",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "the other one counts as watched")
  @State
  public static class BitFirst extends World {
    @Actor
    public void owner() {
      replace();
    }

    @Actor
    public void scanner(ZZ_Result r) {
      r.r1 = isReplaced;
      boolean bit = (slab.trackOrMake().watched(0) & 1) != 0;
      r.r2 = bit && (BirthEpoch.backInMagazine(word) & 1) == 0;
    }
  }
}
