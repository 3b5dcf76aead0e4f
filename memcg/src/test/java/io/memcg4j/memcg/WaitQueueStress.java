package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** Who waits for memory, and who frees it at that moment: one of the two sees the other. */
final class WaitQueueStress {
  @Test
  void enterThenTry_holds() {
    Jcstress.assertHolds(EnterThenTry.class);
  }

  @Test
  void tryThenEnter_breaks() {
    Jcstress.assertBreaks(TryThenEnter.class);
  }

  /** A full group; r1: the waiter's try was granted; r2: the uncharge saw the waiter. */
  @JCStressTest
  @Outcome(id = "0, 0", expect = Expect.FORBIDDEN, desc = "lost: the waiter parks for good")
  @Outcome(expect = Expect.ACCEPTABLE, desc = "one of the two saw the other")
  @State
  public static class EnterThenTry {
    private final MemCgroup group = full();
    private final WaitQueue queue = group.counter().waiters();
    private volatile boolean seen;

    private static MemCgroup full() {
      MemCgroup group = MemCgroup.root(CpuSlots.create(1, 1));
      group.setMaxNoBlock(MemCgroup.PAGE_SIZE);
      group.tryChargeNow(1);
      return group;
    }

    @Actor
    public void waiter(II_Result r) {
      queue.enter(() -> seen = true);
      r.r1 = group.tryChargeNow(1) == null ? 1 : 0;
    }

    @Actor
    public void uncharge() {
      group.unchargeNow(1);
    }

    @Arbiter
    public void result(II_Result r) {
      r.r2 = seen ? 1 : 0;
    }
  }

  /** The waiter tries first and enters the queue afterwards. */
  @JCStressTest
  @Outcome(
      id = "0, 0",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "lost: the waiter parks for good")
  @Outcome(expect = Expect.ACCEPTABLE, desc = "one of the two saw the other")
  @State
  public static class TryThenEnter {
    private final AtomicLong used = new AtomicLong(1);
    private final ConcurrentLinkedQueue<Object> queue = new ConcurrentLinkedQueue<>();

    @Actor
    public void waiter(II_Result r) {
      r.r1 = used.compareAndSet(0, 1) ? 1 : 0;
      queue.add(this);
    }

    @Actor
    public void uncharge(II_Result r) {
      used.getAndAdd(-1);
      r.r2 = queue.peek() == null ? 0 : 1;
    }
  }
}
