package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * What is added to a group's statistics while they are flushed is in this flush, or the group is
 * queued for the next one.
 */
final class StatFlushStress {
  @Test
  void addedThenQueued_holds() {
    Jcstress.assertHolds(AddedThenQueued.class);
  }

  @Test
  void queuedThenAdded_breaks() {
    Jcstress.assertBreaks(QueuedThenAdded.class);
  }

  /** A group with something to flush already; r1: what is flushed in the end; r2: still queued. */
  @JCStressTest
  @Outcome(id = "3, 0", expect = Expect.ACCEPTABLE, desc = "this flush took it")
  @Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "the next one will")
  @Outcome(id = "3, 1", expect = Expect.ACCEPTABLE, desc = "taken, and queued for nothing")
  @Outcome(expect = Expect.FORBIDDEN, desc = "nobody will")
  @State
  public static class AddedThenQueued {
    private final MemCgroup group = MemCgroup.root(CpuSlots.create(1, 1));
    private final GroupStat stat = group.groupStat();

    public AddedThenQueued() {
      stat.add(0, 1);
      stat.queued.set(true);
    }

    /** As StatTree.update, without the queue itself. */
    @Actor
    public void update() {
      stat.add(0, 2);
      if (!stat.queued.get()) {
        stat.queued.compareAndSet(false, true);
      }
    }

    /** As StatTree.flush. */
    @Actor
    public void flush() {
      stat.queued.set(false);
      stat.total.getAndAdd(0, stat.take(0));
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = (int) stat.total.get(0);
      r.r2 = stat.queued.get() ? 1 : 0;
    }
  }

  /** The flush says that the group may be queued after it has taken what there was. */
  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE_INTERESTING, desc = "nobody will")
  @Outcome(expect = Expect.ACCEPTABLE, desc = "this flush, or the next one")
  @State
  public static class QueuedThenAdded {
    private final AtomicLong pending = new AtomicLong(1);
    private final AtomicBoolean queued = new AtomicBoolean(true);
    private final AtomicLong total = new AtomicLong();

    @Actor
    public void update() {
      pending.getAndAdd(2);
      queued.compareAndSet(false, true);
    }

    @Actor
    public void flush() {
      total.getAndAdd(pending.getAndSet(0));
      queued.set(false);
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = (int) total.get();
      r.r2 = queued.get() ? 1 : 0;
    }
  }
}
