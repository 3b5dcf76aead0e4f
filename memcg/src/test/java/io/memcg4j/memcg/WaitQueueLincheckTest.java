package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertThrows;

import io.memcg4j.testkit.Proof;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jetbrains.lincheck.LincheckAssertionError;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Whoever came first is woken first, whatever threads enter and wake at the same time. */
public class WaitQueueLincheckTest {
  private static final boolean IS_SHORT =
      System.getProperty("memcg4j.jcstress", "short").equals("short");
  private static final int NR_SCENARIOS = IS_SHORT ? 20 : 200;
  private static final int NR_INVOCATIONS = IS_SHORT ? 1000 : 10_000;
  private static final String SEEN = "Lincheck: " + NR_SCENARIOS + " scenarios of 2 threads";

  private static StressOptions options() {
    return new StressOptions()
        .iterations(NR_SCENARIOS)
        .invocationsPerIteration(NR_INVOCATIONS)
        .threads(2)
        .actorsPerThread(3);
  }

  @Test
  void queue_isLinearizable() {
    Proof proof = Proof.begin(getClass(), "Real");
    options().check(Real.class);
    proof.holds((long) NR_SCENARIOS * NR_INVOCATIONS, SEEN);
  }

  @Test
  void plainDeque_isCaught() {
    Proof proof = Proof.begin(getClass(), "Canary");
    assertThrows(LincheckAssertionError.class, () -> options().check(Canary.class));
    proof.breaks((long) NR_SCENARIOS * NR_INVOCATIONS, SEEN);
  }

  /** The product's queue. */
  public static class Real {
    private final WaitQueue queue = new WaitQueue();
    private final ThreadLocal<@Nullable Integer> woken = new ThreadLocal<>();

    @Operation
    public void enter(@Param(gen = IntGen.class, conf = "1:5") int id) {
      queue.enter(() -> woken.set(id));
    }

    @Operation
    public int wakeFirst() {
      woken.remove();
      queue.wake();
      Integer id = woken.get();
      return id == null ? Integer.MIN_VALUE : id;
    }

    @Operation
    public int length() {
      return queue.length();
    }
  }

  /** A queue that no two threads may use at the same time. */
  public static class Canary {
    private final Deque<Integer> queue = new ArrayDeque<>();

    @Operation
    public void enter(@Param(gen = IntGen.class, conf = "1:5") int id) {
      queue.add(id);
    }

    @Operation
    public int wakeFirst() {
      Integer id = queue.peek();
      return id == null ? Integer.MIN_VALUE : id;
    }

    @Operation
    public int length() {
      return queue.size();
    }
  }
}
