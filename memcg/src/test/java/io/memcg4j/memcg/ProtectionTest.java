package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ProtectionTest {
  /** Worked out by hand: usage, parentUsage, setting, parentEffective, siblingsProtected. */
  @ParameterizedTest
  @CsvSource({
    "50, 150, 0,   0,   0,   0", // nothing asked, nothing there
    "50, 150, 75,  50,  75,  33", // over-committed: 50 * 50 / 75
    "50, 150, 25,  50,  75,  16", // 25 * 50 / 75
    "50, 200, 25,  100, 25,  35", // claims 25; 75 unclaimed, shared by what is used beyond:
    // 75*25/175
    "50, 50,  100, 100, 50,  50", // claims all that it uses, and no more
    "0,  100, 50,  100, 0,   0", // uses nothing
    "10, 10,  5,   5,   5,   5", // fits exactly
  })
  void effective_handComputed(
      long usage, long parentUsage, long setting, long parentEffective, long sum, long expected) {
    assertEquals(expected, Protection.effective(usage, parentUsage, setting, parentEffective, sum));
  }

  @Test
  void effective_hugeNumbers_noOverflow() {
    long huge = 1L << 40;
    assertTrue(Math.abs(huge / 2 - Protection.effective(huge, huge, huge, huge / 2, huge)) < 4096);
  }

  @Test
  void scanAmount_partlyProtected_isReduced() {
    assertEquals(1000, Protection.scanAmount(1000, 100, 0, 32));
    // 1000 - 1000 * 50 / 101
    assertEquals(505, Protection.scanAmount(1000, 100, 50, 32));
    assertEquals(32, Protection.scanAmount(1000, 100, 200, 32), "at least the floor");
    assertTrue(Protection.scanAmount(10, 100, 99, 32) <= 10, "never more than is wanted");
  }
}
