package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertThrows;

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
  private static StressOptions options() {
    boolean isShort = System.getProperty("memcg4j.jcstress", "short").equals("short");
    return new StressOptions()
        .iterations(isShort ? 20 : 200)
        .invocationsPerIteration(isShort ? 1000 : 10_000)
        .threads(2)
        .actorsPerThread(3);
  }

  @Test
  void queue_isLinearizable() {
    options().check(Real.class);
  }

  @Test
  void plainDeque_isCaught() {
    assertThrows(LincheckAssertionError.class, () -> options().check(Canary.class));
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
