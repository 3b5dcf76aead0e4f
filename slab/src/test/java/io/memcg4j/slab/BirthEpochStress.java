package io.memcg4j.slab;

import io.memcg4j.testkit.Jcstress;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.I_Result;

/** A word becomes active while an epoch begins: what it hands out later must count as young. */
public class BirthEpochStress {
  @Test
  void epochBeginsWhileAWordBecomesActive_itsObjectsAreYoung() {
    Jcstress.assertHolds(BeginVsActivate.class);
  }

  @Test
  void epochReadWithoutFence_breaks() {
    Jcstress.assertBreaks(NoFence.class);
  }

  /** A word with two free objects, in epoch 1. */
  abstract static class World {
    static final int EPOCH = 2;
    static final long BOTH = 3;
    static final SlabGeometry GEOMETRY = new SlabGeometry(0, 1024, 1, 1, 1, 1L << 22, 1100);

    final Slab slab = new Slab(GEOMETRY, 0, 1, 1L << 40, false);
    final Word word = slab.words[0];
    final Magazine magazine = new Magazine(1024);
    final BirthEpoch births = new BirthEpoch();

    World() {
      births.begin(EPOCH - 1, List::of);
      slab.trackOrMake();
      word.setFree(BOTH);
    }

    final void begin() {
      births.begin(EPOCH, () -> List.of(slab));
    }

    /** Both objects are still to be handed out, so both will be born in the new epoch. */
    final int nrOld() {
      return Long.bitCount(BOTH & ~slab.trackOrMake().youngSince(0, EPOCH));
    }
  }

  /** The product's order: active, fence, epoch, stamp. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "both are young")
  @Outcome(expect = Expect.FORBIDDEN, desc = "old before it is born")
  @State
  public static class BeginVsActivate extends World {
    @Actor
    public void owner() {
      magazine.activate(word, BOTH, 0);
      births.activated(word, BOTH);
    }

    @Actor
    public void scanner() {
      begin();
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = nrOld();
    }
  }

  /** The epoch may be read before anybody can see that the word is active. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "both are young")
  @Outcome(
      id = {"1", "2"},
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "old before it is born")
  @State
  public static class NoFence extends World {
    @Actor
    public void owner() {
      magazine.activate(word, BOTH, 0);
      births.deactivating(word, BOTH); // the same stamp without the fence
    }

    @Actor
    public void scanner() {
      begin();
    }

    @Arbiter
    public void result(I_Result r) {
      r.r1 = nrOld();
    }
  }
}
