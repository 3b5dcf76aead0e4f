package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/**
 * A free elsewhere while the owner of the home slot takes freed objects back: each object becomes
 * free once, and a second free of it is seen at every moment.
 */
final class RemoteFreeStress {
  @Test
  void collect_whileOthersFree_holds() {
    Jcstress.assertHolds(FreedOnce.class);
  }

  @Test
  void collect_dequeuesLast_breaks() {
    Jcstress.assertBreaks(DequeuedLast.class);
  }

  @Test
  void secondFree_whileCollected_holds() {
    Jcstress.assertHolds(SecondFree.class);
  }

  @Test
  void secondFree_clearedFirst_breaks() {
    Jcstress.assertBreaks(ClearedFirst.class);
  }

  @Test
  void secondFree_readInTheWrongOrder_breaks() {
    Jcstress.assertBreaks(WrongOrder.class);
  }

  @Test
  void secondFree_whileWordIsMoved_holds() {
    Jcstress.assertHolds(SecondFreeWhileMoved.class);
  }

  @Test
  void secondFree_noLookAtMoves_breaks() {
    Jcstress.assertBreaks(NoLookAtMoves.class);
  }

  @Test
  void secondFree_oneLookAtTheWord_breaks() {
    Jcstress.assertBreaks(OneLook.class);
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
      ObjCgroups registry = ObjCgroups.of(root);
      SLOT = root.slots().slot(0);
      STOCK = registry.noStock();
      kmalloc.close(); // no purge thread shall run
    }

    final SlotSlabs home = new SlotSlabs(ALLOCATOR, SLOT);
    final Slab slab = new Slab(GEOMETRY, 0, 1, 1L << 40, false);
    final Word word = slab.words[0];
    final Magazines magazines = new Magazines(home, STOCK, false);
    final Magazine magazine = magazines.getOrMake(GEOMETRY);

    World() {
      word.setOwner(magazines);
      word.setFree(0);
      slab.emptyWords = 0;
      slab.home = home;
    }

    final boolean freeElsewhere(long bit) {
      boolean freed = !word.isFreed(bit) && word.freeRemotely(bit);
      if (freed) {
        home.noteRemoteFree(slab);
      }
      return freed;
    }
  }

  /** Two objects are freed elsewhere, one before and one while the owner collects. */
  @JCStressTest
  @Outcome(id = "3, 0, 0", expect = Expect.ACCEPTABLE, desc = "both free, nothing left to collect")
  @Outcome(expect = Expect.FORBIDDEN, desc = "lost, or free twice")
  @State
  public static class FreedOnce extends World {
    public FreedOnce() {
      freeElsewhere(FIRST);
    }

    @Actor
    public void other() {
      freeElsewhere(SECOND);
    }

    @Actor
    public void owner() {
      home.collectRemoteFrees();
    }

    @Arbiter
    public void result(III_Result r) {
      home.collectRemoteFrees();
      r.r1 = (int) word.allFree();
      r.r2 = (int) word.remote();
      r.r3 = (int) home.nrBadFrees();
    }
  }

  /** The owner looks at the bits first and marks the slab as not queued afterwards. */
  @JCStressTest
  @Outcome(id = "3, 0, 0", expect = Expect.ACCEPTABLE, desc = "both free, nothing left to collect")
  @Outcome(
      id = "1, 2, 0",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "freed after the look and not queued again: nobody collects it")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class DequeuedLast extends World {
    private volatile boolean queued = true;

    public DequeuedLast() {
      word.freeRemotely(FIRST);
    }

    @Actor
    public void other() {
      word.freeRemotely(SECOND);
      if (!queued) {
        queued = true;
      }
    }

    @Actor
    public void owner() {
      collect();
    }

    private void collect() {
      long bits = word.remote();
      word.collect(bits);
      queued = false;
    }

    @Arbiter
    public void result(III_Result r) {
      if (queued) {
        collect();
      }
      r.r1 = (int) word.allFree();
      r.r2 = (int) word.remote();
      r.r3 = 0;
    }
  }

  /** An object that was freed elsewhere is freed again while the owner collects it. */
  @JCStressTest
  @Outcome(id = "0, 1, 0", expect = Expect.ACCEPTABLE, desc = "refused, and free once")
  @Outcome(expect = Expect.FORBIDDEN, desc = "freed twice")
  @State
  public static class SecondFree extends World {
    public SecondFree() {
      freeElsewhere(FIRST);
    }

    @Actor
    public void other(III_Result r) {
      r.r1 = freeElsewhere(FIRST) ? 1 : 0;
    }

    @Actor
    public void owner() {
      home.collectRemoteFrees();
    }

    @Arbiter
    public void result(III_Result r) {
      home.collectRemoteFrees();
      r.r2 = (int) word.allFree();
      r.r3 = (int) home.nrBadFrees();
    }
  }

  /** Collecting clears the remote bits before it sets the free bits. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "the second free is refused")
  @Outcome(id = "1", expect = Expect.ACCEPTABLE_INTERESTING, desc = "freed twice")
  @State
  public static class ClearedFirst extends World {
    public ClearedFirst() {
      word.freeRemotely(FIRST);
    }

    @Actor
    public void other(I_Result r) {
      r.r1 = word.isFreed(FIRST) ? 0 : 1;
    }

    @Actor
    public void owner() {
      long bits = word.remote();
      word.clearRemote(bits);
      word.setFree(word.free() | bits);
    }
  }

  /** The second free looks at the free bits first, and at the remote bits afterwards. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "the second free is refused")
  @Outcome(id = "1", expect = Expect.ACCEPTABLE_INTERESTING, desc = "freed twice")
  @State
  public static class WrongOrder extends World {
    public WrongOrder() {
      word.freeRemotely(FIRST);
    }

    @Actor
    public void other(I_Result r) {
      r.r1 = word.isFree(FIRST) || (word.remote() & FIRST) != 0 ? 0 : 1;
    }

    @Actor
    public void owner() {
      word.collect(word.remote());
    }
  }

  /** A word with free objects that goes to the magazine and back, again and again. */
  abstract static class MovedWord extends World {
    private static final int NR_LOOKS = 16;

    MovedWord() {
      word.setFree(FIRST | SECOND);
    }

    final void moveAbout() {
      for (int i = 0; i < NR_LOOKS; i++) {
        magazine.activate(word, (i & 1) == 0 ? SECOND : FIRST, 0);
        magazine.deactivate(word);
      }
    }

    final int anyMissed(BooleanSupplier isFreed) {
      int missed = 0;
      for (int i = 0; i < NR_LOOKS; i++) {
        missed |= isFreed.getAsBoolean() ? 0 : 1;
      }
      return missed;
    }
  }

  /** A free object is freed again while its word goes to the magazine and back. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "the second free is refused")
  @Outcome(expect = Expect.FORBIDDEN, desc = "freed twice")
  @State
  public static class SecondFreeWhileMoved extends MovedWord {
    @Actor
    public void other(I_Result r) {
      r.r1 = anyMissed(() -> word.isFreed(FIRST));
    }

    @Actor
    public void owner() {
      moveAbout();
    }
  }

  /** The second free does not notice that the word moved more than once between its looks. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "the second free is refused")
  @Outcome(id = "1", expect = Expect.ACCEPTABLE_INTERESTING, desc = "freed twice")
  @State
  public static class NoLookAtMoves extends MovedWord {
    private static final int NR_SPINS = 4;

    @Actor
    public void other(I_Result r) {
      r.r1 = anyMissed(this::isFreed);
    }

    private boolean isFreed() {
      long first = word.remote() | word.free();
      linger();
      long taken = magazine.takenAcquire();
      linger();
      return ((first | taken | word.free()) & FIRST) != 0;
    }

    /** Gives the owner time to move the word, also on a machine that is busy with other things. */
    private static void linger() {
      for (int i = 0; i < NR_SPINS; i++) {
        Thread.onSpinWait();
      }
    }

    @Actor
    public void owner() {
      moveAbout();
    }
  }

  /** The second free looks at the word once, and then at the magazine that has its objects. */
  @JCStressTest
  @Outcome(id = "0", expect = Expect.ACCEPTABLE, desc = "the second free is refused")
  @Outcome(id = "1", expect = Expect.ACCEPTABLE_INTERESTING, desc = "freed twice")
  @State
  public static class OneLook extends World {
    public OneLook() {
      word.setFree(FIRST | SECOND);
      magazine.activate(word, FIRST, 0);
    }

    @Actor
    public void other(I_Result r) {
      long free = word.free();
      r.r1 = ((free | magazine.takenAcquire()) & FIRST) != 0 ? 0 : 1;
    }

    @Actor
    public void owner() {
      magazine.deactivate(word);
    }
  }
}
