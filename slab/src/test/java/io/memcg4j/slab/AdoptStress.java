package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/** A free elsewhere while the slab goes from one slot to another. */
final class AdoptStress {
  @Test
  void free_whileSlabMoves_holds() {
    Jcstress.assertHolds(Moves.class);
  }

  @Test
  void freeInScopeOfThePayer_whileSlabMoves_holds() {
    Jcstress.assertHolds(MovesInScope.class);
  }

  @Test
  void freeInScopeAndElsewhere_isOneFree_holds() {
    Jcstress.assertHolds(FreedByTwo.class);
  }

  @Test
  void free_ownerClearedFirst_breaks() {
    Jcstress.assertBreaks(OwnerCleared.class);
  }

  @Test
  void free_oneLookAtHome_breaks() {
    Jcstress.assertBreaks(OneLook.class);
  }

  /** A slab with one word of four objects: two are allocated, two are free. */
  abstract static class World {
    static final long FIRST = 1;
    static final long OTHERS = 0b110;
    static final SlabAllocator ALLOCATOR;
    static final CpuSlots SLOTS = CpuSlots.create(2, 1);
    static final ObjStock STOCK;
    static final RemoteFree REMOTE_FREE;
    static final SlabGeometry GEOMETRY = new SlabGeometry(0, 1024, 2, 1, 1, 1L << 22, 1100);

    static {
      MemCgroup root = MemCgroup.root(SLOTS);
      Kmalloc kmalloc = Kmalloc.builder(root).rangeBytes(1 << 22).build();
      ALLOCATOR = kmalloc.allocator();
      ObjCgroups registry = ObjCgroups.of(root);
      REMOTE_FREE = new RemoteFree(registry, ALLOCATOR.profile());
      STOCK = registry.noStock();
      kmalloc.close(); // no purge thread shall run
    }

    final SlotSlabs donor = new SlotSlabs(ALLOCATOR, SLOTS.slot(0));
    final SlotSlabs heir = new SlotSlabs(ALLOCATOR, SLOTS.slot(1));
    final Slab slab = new Slab(GEOMETRY, 0, 1, 1L << 40, false);
    final Word word = slab.words[0];
    final Magazines mine = new Magazines(donor, STOCK, false);
    final Magazines theirs = new Magazines(new SlotSlabs(ALLOCATOR, SLOTS.slot(2)), STOCK, false);
    final @Nullable Magazines[] heirs = {new Magazines(heir, STOCK, false)};

    World() {
      word.setOwner(mine);
      word.setFree(OTHERS);
      mine.getOrMake(GEOMETRY).pushPartial(word);
      slab.emptyWords = 0;
      slab.home = donor;
    }

    static boolean freeElsewhere(Word word) {
      CpuSlot slot = SLOTS.slot(2);
      return REMOTE_FREE.free(slot, word, FIRST);
    }

    /** As a thread does that is in a scope of the same payer, on a slot of its own. */
    final boolean freeInScope() {
      return REMOTE_FREE.freeOwn(theirs, word, FIRST);
    }

    final void moveToHeir() {
      SlabAdoption.move(slab, donor, heir, heirs);
      donor.passOnRemoteFrees();
    }

    final void collectedBy(SlotSlabs slabs, III_Result r) {
      slabs.collectRemoteFrees();
      result(r);
    }

    final void result(III_Result r) {
      r.r2 = (int) word.allFree();
      r.r3 = (int) word.remote();
    }
  }

  /** The new home finds the object, whenever it was freed. */
  @JCStressTest
  @Outcome(id = "1, 7, 0", expect = Expect.ACCEPTABLE, desc = "freed, and collected")
  @Outcome(expect = Expect.FORBIDDEN, desc = "refused, or lost")
  @State
  public static class Moves extends World {
    @Actor
    public void other(III_Result r) {
      r.r1 = freeElsewhere(word) ? 1 : 0;
    }

    @Actor
    public void mover() {
      moveToHeir();
    }

    @Arbiter
    public void arbiter(III_Result r) {
      collectedBy(heir, r);
    }
  }

  /** As {@link Moves}, by the short way of a scope. */
  @JCStressTest
  @Outcome(id = "1, 7, 0", expect = Expect.ACCEPTABLE, desc = "freed, and collected")
  @Outcome(expect = Expect.FORBIDDEN, desc = "refused, or lost")
  @State
  public static class MovesInScope extends World {
    @Actor
    public void other(III_Result r) {
      r.r1 = freeInScope() ? 1 : 0;
    }

    @Actor
    public void mover() {
      moveToHeir();
    }

    @Arbiter
    public void arbiter(III_Result r) {
      collectedBy(heir, r);
    }
  }

  /** An object is freed twice at once, by either way. */
  @JCStressTest
  @Outcome(id = "1, 7, 0", expect = Expect.ACCEPTABLE, desc = "freed once, and collected")
  @Outcome(expect = Expect.FORBIDDEN, desc = "freed twice, or lost")
  @State
  public static class FreedByTwo extends World {
    private boolean inScope;
    private boolean elsewhere;

    @Actor
    public void scope() {
      inScope = freeInScope();
    }

    @Actor
    public void other() {
      elsewhere = freeElsewhere(word);
    }

    @Arbiter
    public void arbiter(III_Result r) {
      r.r1 = (inScope ? 1 : 0) + (elsewhere ? 1 : 0);
      collectedBy(donor, r);
    }
  }

  /** The word has no owner while it is on its way. */
  @JCStressTest
  @Outcome(id = "1, 6, 1", expect = Expect.ACCEPTABLE, desc = "freed")
  @Outcome(
      id = "0, 6, 0",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "refused: nobody seemed to own it")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class OwnerCleared extends World {
    @Actor
    public void other(III_Result r) {
      r.r1 = freeElsewhere(word) ? 1 : 0;
    }

    @Actor
    public void mover() {
      word.setOwner(null);
      word.setOwner(heirs[0]);
    }

    @Arbiter
    public void arbiter(III_Result r) {
      result(r);
    }
  }

  /** Who frees queues the slab where it was at home, and looks no more. */
  @JCStressTest
  @Outcome(id = "1, 7, 0", expect = Expect.ACCEPTABLE, desc = "freed, and collected")
  @Outcome(
      id = "1, 6, 1",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "queued at the old home, where nobody looks")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class OneLook extends World {
    private final AtomicReference<@Nullable Slab> donorQueue = new AtomicReference<>();
    private final AtomicReference<@Nullable Slab> heirQueue = new AtomicReference<>();

    @Actor
    public void other(III_Result r) {
      AtomicReference<@Nullable Slab> queue = slab.home == donor ? donorQueue : heirQueue;
      r.r1 = word.freeRemotely(FIRST) ? 1 : 0;
      queue.set(slab);
    }

    @Actor
    public void mover() {
      slab.home = heir;
      Slab queued = donorQueue.getAndSet(null);
      if (queued != null) {
        heirQueue.set(queued);
      }
    }

    @Arbiter
    public void arbiter(III_Result r) {
      if (heirQueue.get() != null) {
        word.collect(FIRST);
      }
      result(r);
    }
  }
}
