package io.memcg4j.junit;

import io.memcg4j.slab.FaultInjection;
import io.memcg4j.slab.FaultSettings;
import io.memcg4j.slab.Kmalloc;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The failures of one test method, from its begin to its end on one thread. */
final class TestFaults implements AutoCloseable {
  private final FaultInjection faults;
  private final FaultInjection.@Nullable Nth nth;
  private final long n;

  TestFaults(Kmalloc kmalloc, @Nullable FailNth failNth, @Nullable FailSlab failSlab) {
    faults = kmalloc.faults();
    if (failSlab != null) {
      faults.set(settings(failSlab));
    }
    n = failNth == null ? 0 : failNth.value();
    nth = failNth == null ? null : faults.failNth(n, Set.of(failNth.kinds()));
  }

  private static FaultSettings settings(FailSlab wish) {
    FaultSettings settings =
        FaultSettings.of(wish.kinds())
            .withProbability(wish.probability())
            .withInterval(wish.interval())
            .withTimes(wish.times())
            .withSpace(wish.space())
            .withCaches(List.of(wish.caches()))
            .withSeed(wish.seed());
    Thread own = Thread.currentThread();
    return wish.allThreads() ? settings : settings.withThreads(thread -> thread == own);
  }

  /**
   * After the method has passed.
   *
   * @throws AssertionError if it never came to the allocation that was to fail
   */
  void assertFired() {
    if (nth != null && !nth.hasFired()) {
      throw new AssertionError(
          "no allocation was failed: n=" + n + " allocations=" + (n - nth.nrLeft()));
    }
  }

  @Override
  public void close() {
    if (nth != null) {
      nth.close();
    }
    faults.off();
  }
}
