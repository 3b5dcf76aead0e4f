package io.memcg4j.memcg;

import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.Z_Result;

/** What is published about who waits is, at rest, what the counts say. */
final class PressurePublishStress {
  @Test
  void stateThenWord_holds() {
    Jcstress.assertHolds(StateThenWord.class);
  }

  @Test
  void wordThenState_breaks() {
    Jcstress.assertBreaks(WordThenState.class);
  }

  /** One waits already; one ends to wait and one begins. r1: whether the line is on in the end. */
  @JCStressTest
  @Outcome(id = "true", expect = Expect.ACCEPTABLE, desc = "one waits, and it is on")
  @Outcome(id = "false", expect = Expect.FORBIDDEN, desc = "one waits, and it stays off")
  @State
  public static class StateThenWord {
    private final AtomicLong clock = new AtomicLong();
    private final PressureAccount account =
        new PressureAccount(new PressureTimer(clock::get, work -> new Thread(() -> {})), null);

    public StateThenWord() {
      account.stallStart();
    }

    @Actor
    public void end() {
      account.stallEnd();
    }

    @Actor
    public void begin() {
      account.stallStart();
    }

    @Arbiter
    public void result(Z_Result r) {
      r.r1 = account.pressure(1_000_000).some().totalMicros() == 1000;
    }
  }

  /** Reads what it is going to publish before it reads what it replaces. */
  @JCStressTest
  @Outcome(id = "true", expect = Expect.ACCEPTABLE, desc = "one waits, and it is on")
  @Outcome(id = "false", expect = Expect.ACCEPTABLE_INTERESTING, desc = "it stays off")
  @State
  public static class WordThenState {
    private final AtomicLong word = new AtomicLong(1);
    private final AtomicReference<PressureState> state =
        new AtomicReference<>(PressureState.begin(0).switched(true, true));

    @Actor
    public void end() {
      change(-1);
    }

    @Actor
    public void begin() {
      change(1);
    }

    private void change(long delta) {
      long before = word.getAndAdd(delta);
      if (before > 0 != before + delta > 0) {
        while (true) {
          boolean on = word.get() > 0;
          PressureState seen = state.get();
          if (state.compareAndSet(seen, seen.at(0).switched(on, on))) {
            return;
          }
        }
      }
    }

    @Arbiter
    public void result(Z_Result r) {
      r.r1 = state.get().at(1_000_000).pressure().some().totalMicros() == 1000;
    }
  }
}
