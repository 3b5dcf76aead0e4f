package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/** A request that is cancelled when it begins to wait ends, and does not sleep to its deadline. */
final class WaitCancelStress {
  @Test
  void publishedThenLooked_holds() {
    Jcstress.assertHolds(PublishedThenLooked.class);
  }

  @Test
  void lookedThenPublished_breaks() {
    Jcstress.assertBreaks(LookedThenPublished.class);
  }

  /** A group that is full for good. Were the cancellation lost, the actor would not end. */
  @JCStressTest
  @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "cancelled")
  @Outcome(expect = Expect.FORBIDDEN, desc = "ended in another way")
  @State
  public static class PublishedThenLooked {
    private final MemCgroup group = full();
    private final RoomWait wait = new RoomWait(group, RoomWait.deadline(Duration.ofHours(1)), null);

    private static MemCgroup full() {
      MemCgroup group = MemCgroup.root(CpuSlots.create(1, 1));
      group.setMaxNoBlock(0);
      return group;
    }

    @Actor
    public void waiter(I_Result r) {
      try {
        r.r1 = wait.await(() -> group) == RoomWait.Outcome.CANCELLED ? 1 : 0;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    @Actor
    public void cancel() {
      wait.cancel();
    }
  }

  /** The waiter looks whether it is cancelled first, and says then whom to wake. */
  @JCStressTest
  @Outcome(id = "0, 0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "neither saw the other")
  @Outcome(expect = Expect.ACCEPTABLE, desc = "one of the two saw the other")
  @State
  public static class LookedThenPublished {
    private volatile boolean cancelled;
    private volatile boolean published;

    @Actor
    public void waiter(II_Result r) {
      r.r1 = cancelled ? 1 : 0;
      published = true;
    }

    @Actor
    public void cancel(II_Result r) {
      cancelled = true;
      r.r2 = published ? 1 : 0;
    }
  }
}
