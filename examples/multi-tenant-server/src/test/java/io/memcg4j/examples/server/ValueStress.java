package io.memcg4j.examples.server;

import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.ZZZ_Result;

/**
 * A reader takes hold of a value while the store lets go of it: freed once, and not before both.
 */
final class ValueStress {
  @Test
  void retain_whileLastHolderLetsGo_holds() {
    Jcstress.assertHolds(RetainVsRelease.class);
  }

  @Test
  void retain_looksThenAdds_breaks() {
    Jcstress.assertBreaks(LookThenAdd.class);
  }

  /** Did the reader get it; did the reader free it; did the store free it. */
  @JCStressTest
  @Outcome(id = "false, false, true", expect = Expect.ACCEPTABLE, desc = "the reader was too late")
  @Outcome(id = "true, false, true", expect = Expect.ACCEPTABLE, desc = "the store was last")
  @Outcome(id = "true, true, false", expect = Expect.ACCEPTABLE, desc = "the reader was last")
  @Outcome(expect = Expect.FORBIDDEN, desc = "freed twice, never, or under the reader")
  @State
  public static class RetainVsRelease {
    private final Value value = new Value(16, 0, false, 1);

    @Actor
    public void reader(ZZZ_Result r) {
      r.r1 = value.tryRetain();
      r.r2 = r.r1 && value.release();
    }

    @Actor
    public void store(ZZZ_Result r) {
      r.r3 = value.release();
    }
  }

  /** The reader looks whether somebody holds it, and adds itself afterwards. */
  @JCStressTest
  @Outcome(id = "false, false, true", expect = Expect.ACCEPTABLE, desc = "the reader was too late")
  @Outcome(id = "true, false, true", expect = Expect.ACCEPTABLE, desc = "the store was last")
  @Outcome(id = "true, true, false", expect = Expect.ACCEPTABLE, desc = "the reader was last")
  @Outcome(
      id = "true, true, true",
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "freed by both, the first time under the reader")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class LookThenAdd {
    private final AtomicInteger refs = new AtomicInteger(1);

    @Actor
    public void reader(ZZZ_Result r) {
      if (refs.get() > 0) {
        refs.incrementAndGet();
        r.r1 = true;
        r.r2 = refs.decrementAndGet() == 0;
      }
    }

    @Actor
    public void store(ZZZ_Result r) {
      r.r3 = refs.decrementAndGet() == 0;
    }
  }
}
