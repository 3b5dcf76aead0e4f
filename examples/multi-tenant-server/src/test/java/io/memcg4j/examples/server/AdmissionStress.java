package io.memcg4j.examples.server;

import io.memcg4j.testkit.Jcstress;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** A tenant is closed while a request comes and goes: the end is told once, with nobody inside. */
final class AdmissionStress {
  @Test
  void close_whileARequestPasses_holds() {
    Jcstress.assertHolds(CloseVsRequest.class);
  }

  @Test
  void close_lookedForFirst_breaks() {
    Jcstress.assertBreaks(LookFirst.class);
  }

  /** How often the end was told; how often while the request was inside. */
  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "told once, with nobody inside")
  @Outcome(expect = Expect.FORBIDDEN, desc = "told twice, never, or too early")
  @State
  public static class CloseVsRequest {
    private final AtomicInteger nrTold = new AtomicInteger();
    private final AtomicInteger nrTooEarly = new AtomicInteger();
    private volatile boolean inside;
    private final Admission admission =
        new Admission(
            10,
            () -> {
              nrTold.incrementAndGet();
              nrTooEarly.addAndGet(inside ? 1 : 0);
            });

    @Actor
    public void request() {
      if (admission.enter() == Admission.Answer.ADMITTED) {
        inside = true;
        inside = false;
        admission.exit();
      }
    }

    @Actor
    public void closer() {
      admission.close();
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = nrTold.get();
      r.r2 = nrTooEarly.get();
    }
  }

  /** The request looks whether it is closed, and counts itself afterwards. */
  @JCStressTest
  @Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "told once, with nobody inside")
  @Outcome(
      id = {"1, 1", "2, 0", "2, 1"},
      expect = Expect.ACCEPTABLE_INTERESTING,
      desc = "told while the request is inside, or again after it")
  @Outcome(expect = Expect.FORBIDDEN, desc = "broken in another way")
  @State
  public static class LookFirst {
    private final AtomicInteger nrTold = new AtomicInteger();
    private final AtomicInteger nrTooEarly = new AtomicInteger();
    private final AtomicInteger nrInside = new AtomicInteger();
    private volatile boolean closed;
    private volatile boolean inside;

    @Actor
    public void request() {
      if (!closed) {
        nrInside.incrementAndGet();
        inside = true;
        inside = false;
        if (nrInside.decrementAndGet() == 0 && closed) {
          end();
        }
      }
    }

    @Actor
    public void closer() {
      closed = true;
      if (nrInside.get() == 0) {
        end();
      }
    }

    private void end() {
      nrTold.incrementAndGet();
      nrTooEarly.addAndGet(inside ? 1 : 0);
    }

    @Arbiter
    public void result(II_Result r) {
      r.r1 = nrTold.get();
      r.r2 = nrTooEarly.get();
    }
  }
}
