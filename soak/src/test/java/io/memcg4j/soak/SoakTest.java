package io.memcg4j.soak;

import io.memcg4j.testkit.Proof;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Endurance: {@code -Dmemcg4j.soak.seconds=N}, and {@code -Dmemcg4j.soak.seed=N} for the random
 * numbers of an earlier run.
 */
final class SoakTest {
  @BeforeAll
  static void keepInjectedFailuresQuiet() {
    Failure.keepInjectedQuiet();
  }

  @Test
  void everythingAtOnce_nothingIsLost_memoryStaysFlat() throws Exception {
    long seed = Long.getLong("memcg4j.soak.seed", System.nanoTime());
    int nrSeconds = Integer.getInteger("memcg4j.soak.seconds", 120);
    Soak soak = new Soak(seed, nrSeconds, (_, _) -> {});
    Proof proof = Proof.begin(getClass(), "everything at once");
    soak.run();
    proof.holds(soak.nrOperations(), nrSeconds + " s, seed " + seed);
  }
}
