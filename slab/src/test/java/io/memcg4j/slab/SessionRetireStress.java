package io.memcg4j.slab;

import io.memcg4j.testkit.Jcstress;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/**
 * Arenas of one session are closed while somebody seals it: one thread, and only one, is told to
 * end the session, nobody joins behind it, and it finds all that was left behind.
 */
final class SessionRetireStress {
  @Test
  void retire_whileMembersGo_holds() {
    Jcstress.assertHolds(OnceWithAll.class);
  }

  @Test
  void retire_whileSomebodyJoins_holds() {
    Jcstress.assertHolds(NobodyBehind.class);
  }

  @Test
  void retire_countedFirst_breaks() {
    Jcstress.assertBreaks(CountedFirst.class);
  }

  @Test
  void retire_sealedByReadAndWrite_breaks() {
    Jcstress.assertBreaks(SealedByReadAndWrite.class);
  }

  /** Two arenas with a block each are in the session. */
  abstract static class World {
    final SessionMembers members = members();
    final ArenaBlock first = new ArenaBlock();
    final ArenaBlock second = new ArenaBlock();

    World() {
      members.tryJoin();
      members.tryJoin();
    }

    SessionMembers members() {
      return new SessionMembers();
    }

    boolean go(ArenaBlock block) {
      return members.goes(block, block);
    }

    /** Makes what is broken in a twin likely to show. */
    static void aWhile() {
      for (int i = 0; i < 20; i++) {
        Thread.onSpinWait();
      }
    }

    /** Blocks that the thread which ends the session finds; 10 more per end. */
    final int retireIf(boolean over) {
      return over ? 10 + countBlocks() : 0;
    }

    private int countBlocks() {
      int nrBlocks = 0;
      for (ArenaBlock block = members.takeWaiting(); block != null; block = block.next) {
        nrBlocks++;
      }
      return nrBlocks;
    }
  }

  /** Two are closed and one seals. */
  @JCStressTest
  @Outcome(
      id = {"12, 0, 0", "0, 12, 0", "0, 0, 12"},
      expect = Expect.ACCEPTABLE,
      desc = "ended once, with both blocks")
  @Outcome(expect = Expect.FORBIDDEN, desc = "never, twice, or blocks are left")
  @State
  public static class OnceWithAll extends World {
    @Actor
    public void one(III_Result r) {
      r.r1 = retireIf(go(first));
    }

    @Actor
    public void other(III_Result r) {
      r.r2 = retireIf(go(second));
    }

    @Actor
    public void sealing(III_Result r) {
      r.r3 = retireIf(members.seal());
    }
  }

  /** The last one goes and somebody seals while another wants to join, and goes if it could. */
  @JCStressTest
  @Outcome(
      id = {"12, 0, 0", "0, 12, 0", "0, 0, 12"},
      expect = Expect.ACCEPTABLE,
      desc = "ended once, with all blocks")
  @Outcome(
      id = {"11, 0, 1", "0, 11, 1"},
      expect = Expect.ACCEPTABLE,
      desc = "sealed before it could join")
  @Outcome(expect = Expect.FORBIDDEN, desc = "joined a session that has ended")
  @State
  public static class NobodyBehind extends World {
    public NobodyBehind() {
      members.countDown();
    }

    @Actor
    public void last(III_Result r) {
      r.r1 = retireIf(go(first));
    }

    @Actor
    public void sealing(III_Result r) {
      r.r2 = retireIf(members.seal());
    }

    @Actor
    public void joining(III_Result r) {
      r.r3 = members.tryJoin() ? retireIf(go(second)) : 1;
    }
  }

  /** Whoever goes counts down first and leaves its blocks then. */
  @JCStressTest
  @Outcome(
      id = {"12, 0, 0", "0, 12, 0", "0, 0, 12"},
      expect = Expect.ACCEPTABLE,
      desc = "ended once, with both blocks")
  @Outcome(
      id = {"11, 0, 0", "0, 11, 0", "0, 0, 11", "0, 0, 10"},
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "ended without blocks that come later: their memory is lost")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class CountedFirst extends World {
    @Override
    boolean go(ArenaBlock block) {
      boolean over = members.countDown();
      aWhile();
      members.push(block, block);
      return over;
    }

    @Actor
    public void one(III_Result r) {
      r.r1 = retireIf(go(first));
    }

    @Actor
    public void other(III_Result r) {
      r.r2 = retireIf(go(second));
    }

    @Actor
    public void sealing(III_Result r) {
      r.r3 = retireIf(members.seal());
    }
  }

  /** The mark is set by a read and a write, over what others count meanwhile. */
  @JCStressTest
  @Outcome(
      id = {"12, 0, 0", "0, 12, 0", "0, 0, 12"},
      expect = Expect.ACCEPTABLE,
      desc = "ended once, with both blocks")
  @Outcome(
      id = {"0, 0, 0", "0, 0, 10", "0, 0, 11"},
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "a member that went is counted for ever: the session never ends")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class SealedByReadAndWrite extends World {
    @Override
    SessionMembers members() {
      return new SessionMembers() {
        @Override
        boolean seal() {
          long before = (long) STATE.getVolatile(this);
          aWhile();
          STATE.setVolatile(this, before | SEALED);
          return isOver(before | SEALED);
        }
      };
    }

    @Actor
    public void one(III_Result r) {
      r.r1 = retireIf(go(first));
    }

    @Actor
    public void other(III_Result r) {
      r.r2 = retireIf(go(second));
    }

    @Actor
    public void sealing(III_Result r) {
      r.r3 = retireIf(members.seal());
    }
  }
}
