package io.memcg4j.testkit;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.invoke.ConstantBootstraps;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/** The runner of jcstress tests must be able to fail, in every way that it claims to. */
final class JcstressTest {
  @Test
  void assertHolds_correctTest_passes() {
    Jcstress.assertHolds(Volatile.class);
    assertTrue(Files.exists(ProofRow.file(Volatile.class, Headers.chosen())));
  }

  @Test
  void assertHolds_forbiddenOutcome_failsAndForgetsWhatHeldBefore() throws IOException {
    Path row = ProofRow.file(OpaqueForbidden.class, Headers.chosen());
    Files.createDirectories(Objects.requireNonNull(row.getParent()));
    Files.writeString(row, "| of an earlier run | holds |");
    assertFails("forbidden outcome", () -> Jcstress.assertHolds(OpaqueForbidden.class));
    assertFalse(Files.exists(row));
  }

  @Test
  void assertHolds_actorThrows_fails() {
    assertFails("thrown on purpose", () -> Jcstress.assertHolds(Throwing.class));
  }

  @Test
  void assertBreaks_brokenTwin_passes() {
    Jcstress.assertBreaks(Opaque.class);
  }

  @Test
  void assertBreaks_correctTest_fails() {
    assertFails("showed no bug", () -> Jcstress.assertBreaks(Volatile.class, 0));
  }

  @Test
  void assertBreaks_otherOutcome_fails() {
    assertFails("in another way than expected", () -> Jcstress.assertBreaks(OpaqueForbidden.class));
  }

  @Test
  void assertHolds_notAnnotated_fails() {
    assertThrows(IllegalArgumentException.class, () -> Jcstress.assertHolds(Store.class));
  }

  private static void assertFails(String messagePart, Executable action) {
    AssertionError e = assertThrows(AssertionError.class, action);
    assertTrue(String.valueOf(e.getMessage()).contains(messagePart), e::toString);
  }

  /** Two words; each actor writes one and reads the other. */
  static class Store {
    static final VarHandle X =
        ConstantBootstraps.fieldVarHandle(
            MethodHandles.lookup(), "x", VarHandle.class, Store.class, int.class);
    static final VarHandle Y =
        ConstantBootstraps.fieldVarHandle(
            MethodHandles.lookup(), "y", VarHandle.class, Store.class, int.class);

    volatile int x;
    volatile int y;
  }

  /** Holds: of two volatile writes, at least one is seen. */
  @JCStressTest
  @Outcome(
      id = {"0, 1", "1, 0", "1, 1"},
      expect = Expect.ACCEPTABLE,
      desc = "at least one side sees the other")
  @Outcome(expect = Expect.FORBIDDEN, desc = "neither side sees the other")
  @State
  public static class Volatile extends Store {
    @Actor
    public void left(II_Result r) {
      x = 1;
      r.r1 = y;
    }

    @Actor
    public void right(II_Result r) {
      y = 1;
      r.r2 = x;
    }
  }

  /** Breaks: opaque writes may both stay in the store buffers. */
  @JCStressTest
  @Outcome(
      id = {"0, 1", "1, 0", "1, 1"},
      expect = Expect.ACCEPTABLE,
      desc = "at least one side sees the other")
  @Outcome(expect = Expect.ACCEPTABLE_INTERESTING, desc = "neither side sees the other")
  @State
  public static class Opaque extends Store {
    @Actor
    public void left(II_Result r) {
      X.setOpaque(this, 1);
      r.r1 = (int) Y.getOpaque(this);
    }

    @Actor
    public void right(II_Result r) {
      Y.setOpaque(this, 1);
      r.r2 = (int) X.getOpaque(this);
    }
  }

  /** The same, and not expected to. */
  @JCStressTest
  @Outcome(
      id = {"0, 1", "1, 0", "1, 1"},
      expect = Expect.ACCEPTABLE,
      desc = "at least one side sees the other")
  @Outcome(expect = Expect.FORBIDDEN, desc = "neither side sees the other")
  @State
  public static class OpaqueForbidden extends Store {
    @Actor
    public void left(II_Result r) {
      X.setOpaque(this, 1);
      r.r1 = (int) Y.getOpaque(this);
    }

    @Actor
    public void right(II_Result r) {
      Y.setOpaque(this, 1);
      r.r2 = (int) X.getOpaque(this);
    }
  }

  /** An actor that throws. */
  @JCStressTest
  @Outcome(expect = Expect.ACCEPTABLE, desc = "anything")
  @State
  public static class Throwing {
    @Actor
    public void left(II_Result r) {
      throw new IllegalStateException("thrown on purpose");
    }

    @Actor
    public void right(II_Result r) {}
  }
}
