package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PercpuCounterTest {
  private static final int BATCH = 10;

  private final CpuSlots slots = CpuSlots.create(3, 1);
  private final PercpuCounter counter = new PercpuCounter(slots, BATCH);
  private final CpuSlot a = claim(0);
  private final CpuSlot b = claim(1);

  private CpuSlot claim(int hint) {
    return Objects.requireNonNull(slots.tryClaim(hint));
  }

  @Test
  void new_isZero() {
    assertEquals(0, counter.sum());
    assertEquals(0, counter.approximate());
    assertEquals(BATCH, counter.batch());
    assertEquals(4L * BATCH, counter.errorBound());
  }

  @Test
  void new_defaultBatch_isAtLeast32() {
    assertTrue(new PercpuCounter(slots).batch() >= 32);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, Integer.MIN_VALUE})
  void new_batchOutOfRange_throws(int batch) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> new PercpuCounter(slots, batch));
    assertTrue(String.valueOf(e.getMessage()).contains("batch=" + batch));
  }

  @Test
  void add_belowBatch_staysOnTheSlot() {
    counter.add(a, BATCH - 1);
    counter.add(b, -(BATCH - 1));
    counter.add(b, 2);
    assertEquals(0, counter.approximate());
    assertEquals(2, counter.sum());
  }

  @Test
  void add_reachesBatch_goesToTheTotalAsAWhole() {
    counter.add(a, BATCH - 1);
    counter.add(a, 5);
    assertEquals(BATCH + 4, counter.approximate());
    counter.add(b, -BATCH);
    assertEquals(4, counter.approximate());
    assertEquals(4, counter.sum());
  }

  @Test
  void add_largeAmount_goesToTheTotal() {
    counter.add(a, 1L << 40);
    assertEquals(1L << 40, counter.approximate());
    counter.add(a, -(1L << 41));
    assertEquals(-(1L << 40), counter.sum());
  }

  @Test
  void add_batchOfOne_isExactAtOnce() {
    PercpuCounter exact = new PercpuCounter(slots, 1);
    exact.add(a, 1);
    exact.add(b, -3);
    assertEquals(-2, exact.approximate());
  }

  @Test
  void add_overflowSlot_goesToTheTotal() {
    counter.add(slots.overflow(), 3);
    assertEquals(3, counter.approximate());
    assertEquals(3, counter.sum());
  }

  @Test
  void add_pastTheRange_wrapsAround() {
    counter.add(a, Long.MAX_VALUE);
    counter.add(a, 2);
    assertEquals(Long.MIN_VALUE + 1, counter.sum());
    counter.add(b, Long.MIN_VALUE);
    assertEquals(1, counter.sum());
  }

  @Test
  void add_slotNotOwned_isNoticedByAssertions() {
    assertThrows(AssertionError.class, () -> counter.add(slots.slot(2), 1));
    assertEquals(0, counter.sum());
  }

  @Test
  void set_slotsHoldDeltas_valueIsExact() {
    counter.add(a, 7);
    counter.add(b, -4);
    counter.set(1000);
    assertEquals(1000, counter.sum());
    assertTrue(Math.abs(counter.approximate() - 1000) < counter.errorBound());
    counter.add(a, 1);
    assertEquals(1001, counter.sum());
    counter.set(Long.MIN_VALUE);
    assertEquals(Long.MIN_VALUE, counter.sum());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1",
    "102, 1",
    "103, 0",
    "104, -1",
    "143, -1",
    "144, -1",
    "10000, -1",
    "-9223372036854775808, 1",
    "9223372036854775807, -1"
  })
  void compare_nearAndFar_isExact(long rhs, int expected) {
    counter.add(a, 100);
    counter.add(b, 3);
    assertEquals(100, counter.approximate());
    assertEquals(expected, counter.compare(rhs));
  }

  @Test
  void compare_valueAtTheEnds_doesNotOverflow() {
    counter.set(Long.MAX_VALUE);
    assertEquals(1, counter.compare(Long.MIN_VALUE));
    assertEquals(0, counter.compare(Long.MAX_VALUE));
    counter.set(Long.MIN_VALUE);
    assertEquals(-1, counter.compare(Long.MAX_VALUE));
    assertEquals(0, counter.compare(Long.MIN_VALUE));
  }

  @Test
  void compare_farAway_doesNotLook() {
    counter.add(a, 9);
    assertEquals(-1, counter.compare(counter.errorBound() + 1));
    assertEquals(1, counter.compare(-counter.errorBound() - 1));
  }

  @Test
  void limitedAdd_up_stopsAtTheLimit() {
    int nrAdded = 0;
    while (counter.limitedAdd((nrAdded & 1) == 0 ? a : b, 100, 1)) {
      nrAdded++;
    }
    assertEquals(100, nrAdded);
    assertEquals(100, counter.sum());
    assertTrue(counter.limitedAdd(a, 100, 0));
    assertTrue(counter.limitedAdd(a, 0, 0));
    assertTrue(counter.limitedAdd(a, 101, 1));
    assertFalse(counter.limitedAdd(b, 101, 1));
  }

  @Test
  void limitedAdd_farFromTheLimit_staysOnTheSlotBatchAfterBatch() {
    for (int i = 1; i <= 5 * BATCH; i++) {
      assertTrue(counter.limitedAdd(a, Long.MAX_VALUE, 1));
      assertEquals(i - i % BATCH, counter.approximate());
    }
  }

  @Test
  void limitedAdd_down_stopsAtTheLimit() {
    counter.add(a, 100);
    int nrTaken = 0;
    while (counter.limitedAdd((nrTaken & 1) == 0 ? a : b, -3, -1)) {
      nrTaken++;
    }
    assertEquals(103, nrTaken);
    assertEquals(-3, counter.sum());
  }

  @Test
  void limitedAdd_overflowSlot_stopsAtTheLimit() {
    assertTrue(counter.limitedAdd(slots.overflow(), 5, 5));
    assertFalse(counter.limitedAdd(slots.overflow(), 5, 1));
    assertTrue(counter.limitedAdd(slots.overflow(), -1, -6));
    assertFalse(counter.limitedAdd(slots.overflow(), -1, -1));
    assertEquals(-1, counter.sum());
  }

  @Test
  void limitedAdd_extremes_doNotOverflow() {
    assertFalse(counter.limitedAdd(a, Long.MIN_VALUE, 1));
    assertFalse(counter.limitedAdd(a, Long.MAX_VALUE, -1));
    assertFalse(counter.limitedAdd(a, -1, Long.MAX_VALUE));
    assertFalse(counter.limitedAdd(a, 1, Long.MIN_VALUE));
    assertTrue(counter.limitedAdd(a, Long.MAX_VALUE, Long.MAX_VALUE));
    assertFalse(counter.limitedAdd(a, Long.MAX_VALUE, 1));
    assertEquals(Long.MAX_VALUE, counter.sum());
    counter.set(0);
    assertTrue(counter.limitedAdd(a, Long.MIN_VALUE, Long.MIN_VALUE));
    assertFalse(counter.limitedAdd(a, Long.MIN_VALUE, -1));
    assertEquals(Long.MIN_VALUE, counter.sum());
    assertTrue(counter.limitedAdd(a, Long.MAX_VALUE, 1));
    assertEquals(Long.MIN_VALUE + 1, counter.sum());
  }

  @Test
  void limitedAdd_valueBeyondTheLimit_isOnlyRefusedTowardsIt() {
    counter.add(a, 50);
    assertFalse(counter.limitedAdd(a, 40, 1));
    assertTrue(counter.limitedAdd(a, 40, -5));
    assertEquals(45, counter.sum());
  }

  /** Random steps against a plain long. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void allOperations_randomSteps_agreeWithAPlainNumber(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    CpuSlot[] owned = {a, b, claim(2), slots.overflow()};
    long expected = 0;
    for (int i = 0; i < 20_000; i++) {
      CpuSlot slot = owned[random.nextInt(owned.length)];
      long amount = random.nextLong(-12, 13);
      switch (random.nextInt(8)) {
        case 0 -> {
          counter.set(amount);
          expected = amount;
        }
        case 1, 2, 3 -> {
          long limit = expected + random.nextLong(-60, 61);
          boolean fits =
              amount == 0 || (amount > 0 ? expected + amount <= limit : expected + amount >= limit);
          assertEquals(fits, counter.limitedAdd(slot, limit, amount), "seed=" + seed);
          expected += fits ? amount : 0;
        }
        case 4 -> {
          long rhs = expected + random.nextLong(-60, 61);
          assertEquals(Long.compare(expected, rhs), counter.compare(rhs), "seed=" + seed);
        }
        default -> {
          counter.add(slot, amount);
          expected += amount;
        }
      }
      assertEquals(expected, counter.sum(), "seed=" + seed);
      assertTrue(Math.abs(expected - counter.approximate()) < counter.errorBound(), "seed=" + seed);
    }
  }

  @Test
  void toString_namesValueAndBound() {
    counter.add(a, 25);
    assertEquals("PercpuCounter[approximate=25, errorBound=40]", counter.toString());
  }
}
