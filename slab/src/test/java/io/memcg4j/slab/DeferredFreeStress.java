package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/**
 * An object whose free is deferred, while the owner of its home slot collects what others freed.
 */
final class DeferredFreeStress {
  @Test
  void begin_whileCollected_holds() {
    Jcstress.assertHolds(Begin.class);
  }

  @Test
  void begin_remoteBitFirst_breaks() {
    Jcstress.assertBreaks(RemoteBitFirst.class);
  }

  @Test
  void end_whileCollected_holds() {
    Jcstress.assertHolds(End.class);
  }

  @Test
  void begin_twice_holds() {
    Jcstress.assertHolds(Twice.class);
  }

  /** A slab with one word of four objects, all allocated, on a slot of its own. */
  abstract static class World {
    static final long FIRST = 1;
    static final long SECOND = 2;
    static final SlabAllocator ALLOCATOR;
    static final CpuSlot SLOT;
    static final ObjStock STOCK;
    static final SlabGeometry GEOMETRY = new SlabGeometry(0, 1024, 2, 1, 1, 1L << 22, 1100);

    static {
      MemCgroup root = MemCgroup.root(CpuSlots.create(1, 1));
      Kmalloc kmalloc = Kmalloc.builder(root).rangeBytes(1 << 22).build();
      ALLOCATOR = kmalloc.allocator();
      SLOT = root.slots().slot(0);
      STOCK = ObjCgroups.of(root).noStock();
      kmalloc.close(); // no purge thread shall run
    }

    final SlotSlabs home = new SlotSlabs(ALLOCATOR, SLOT);
    final Slab slab = new Slab(GEOMETRY, 0, 1, 1L << 40, false);
    final Word word = slab.words[0];

    World() {
      Magazines magazines = new Magazines(home, STOCK, false);
      magazines.getOrMake(GEOMETRY); // else words would gather in the one that stands for none
      word.setOwner(magazines);
      word.setFree(0);
      slab.emptyWords = 0;
      slab.home = home;
      slab.makeDeferred();
      // Another object was freed elsewhere, so there is something to collect.
      word.freeRemotely(SECOND);
      home.noteRemoteFree(slab);
    }
  }

  /** It must stay out of the free bits until the deferral ends. */
  @JCStressTest
  @Outcome(id = "1, 2, 1", expect = Expect.ACCEPTABLE, desc = "deferred, and kept")
  @Outcome(expect = Expect.FORBIDDEN, desc = "free under its readers, or the other one lost")
  @State
  public static class Begin extends World {
    @Actor
    public void defer(III_Result r) {
      r.r1 = DeferredFrees.begin(slab, word, FIRST) ? 1 : 0;
    }

    @Actor
    public void owner() {
      home.collectRemoteFrees();
    }

    @Arbiter
    public void result(III_Result r) {
      home.collectRemoteFrees();
      r.r2 = (int) word.allFree();
      r.r3 = (int) word.remote();
    }
  }

  /** The object is marked as freed before it is marked as deferred. */
  @JCStressTest
  @Outcome(id = "1, 2, 1", expect = Expect.ACCEPTABLE, desc = "deferred, and kept")
  @Outcome(
      id = "1, 3, 0",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "collected, and free under its readers")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class RemoteBitFirst extends World {
    @Actor
    public void defer(III_Result r) {
      word.freeRemotely(FIRST);
      slab.makeDeferred().set(0, FIRST);
      r.r1 = 1;
    }

    @Actor
    public void owner() {
      home.collectRemoteFrees();
    }

    @Arbiter
    public void result(III_Result r) {
      home.collectRemoteFrees();
      r.r2 = (int) word.allFree();
      r.r3 = (int) word.remote();
    }
  }

  /** When the deferral has ended it is collected, by the running collection or the next one. */
  @JCStressTest
  @Outcome(id = "0, 3, 0", expect = Expect.ACCEPTABLE, desc = "both are free once")
  @Outcome(expect = Expect.FORBIDDEN, desc = "lost, or free twice")
  @State
  public static class End extends World {
    public End() {
      DeferredFrees.begin(slab, word, FIRST);
    }

    @Actor
    public void end() {
      DeferredFrees.end(slab, word, FIRST);
    }

    @Actor
    public void owner() {
      home.collectRemoteFrees();
    }

    @Arbiter
    public void result(III_Result r) {
      home.collectRemoteFrees();
      r.r1 = (int) home.nrBadFrees();
      r.r2 = (int) word.allFree();
      r.r3 = (int) word.remote();
    }
  }

  /** Two threads defer the same object: one is told that it must not. */
  @JCStressTest
  @Outcome(id = "1, 0, 1", expect = Expect.ACCEPTABLE, desc = "the first")
  @Outcome(id = "0, 1, 1", expect = Expect.ACCEPTABLE, desc = "the second")
  @Outcome(expect = Expect.FORBIDDEN, desc = "both, none, or collected")
  @State
  public static class Twice extends World {
    @Actor
    public void first(III_Result r) {
      r.r1 = DeferredFrees.begin(slab, word, FIRST) ? 1 : 0;
    }

    @Actor
    public void second(III_Result r) {
      r.r2 = DeferredFrees.begin(slab, word, FIRST) ? 1 : 0;
    }

    @Arbiter
    public void result(III_Result r) {
      home.collectRemoteFrees();
      r.r3 = (int) (word.remote() & FIRST);
    }
  }
}
