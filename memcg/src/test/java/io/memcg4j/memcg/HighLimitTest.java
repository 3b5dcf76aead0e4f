package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlot;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class HighLimitTest {
  private static final long MIB = 1L << 20;
  private final MemCgroup root = MemCgroup.root();

  /** The kernel's table for a batch of 64 pages: percent above high, milliseconds. */
  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 0",
    "2, 25.6",
    "3, 57.6",
    "4, 102.4",
    "5, 160",
    "10, 640",
    "15, 1440",
    "18, 2000",
    "100, 2000",
    "10000, 2000"
  })
  void penalty_kernelTable(long percent, double millis) {
    long nanos = Throttle.penaltyNanos(10_000 + 100 * percent, 10_000, 64);
    assertEquals(millis * 1e6, (double) nanos, 1.0);
  }

  @Test
  void penalty_highIsZero_isTheLongest() {
    assertEquals(Throttle.MAX_DELAY_NANOS, Throttle.penaltyNanos(10, 0, 64));
    assertEquals(0, Throttle.penaltyNanos(0, 0, 64));
  }

  @Test
  void throttle_namesTheGroupThatIsFurthestAbove() throws Exception {
    MemCgroup a = root.create("a");
    MemCgroup b = a.create("b");
    b.charge("x", MemoryClass.HEAP).set(11 * MIB);
    a.setHigh(10 * MIB);
    b.setHigh(9 * MIB);
    Throttle throttle = b.throttle();
    assertEquals("/a/b", throttle.groupPath());
    assertTrue(throttle.isNeeded());
    assertEquals(Duration.ofNanos(throttle.delayNanos()), throttle.delay());
    assertSame(Throttle.NONE, root.throttle());
    CompletableFuture<Void> stage =
        new Throttle("/a", 1).toStage(Runnable::run).toCompletableFuture();
    stage.get(30, TimeUnit.SECONDS);
    assertTrue(Throttle.NONE.toStage(Runnable::run).toCompletableFuture().isDone());
  }

  /** test_memcg_high: what can be reclaimed is, and it never ends in a refusal. */
  @Test
  void handleOverHigh_reclaimable_goesBelowWithoutAPause() {
    MemCgroup a = root.create("a");
    new FakeCache(a, 50 * MIB);
    a.setHighNoBlock(30 * MIB);
    Throttle throttle = a.handleOverHigh(64, true);
    assertFalse(throttle.isNeeded(), throttle::toString);
    assertTrue(a.usage() <= 30 * MIB + MIB, () -> "usage=" + a.usage());
    assertTrue(a.events().high() > 0);
    assertEquals(0, a.events().max());
    assertEquals(0, a.events().oom());
  }

  @Test
  void handleOverHigh_nothingToReclaim_saysHowLong() {
    MemCgroup a = root.create("a");
    a.charge("x", MemoryClass.HEAP).set(11 * MIB);
    a.setHigh(10 * MIB);
    Throttle throttle = a.handleOverHigh(64, false);
    assertTrue(Math.abs(640_000_000L - throttle.delayNanos()) < 10_000_000L, throttle::toString);
    assertEquals(1, a.events().high());
  }

  @Test
  void handleOverHigh_interrupted_goesOnAndStaysInterrupted() {
    MemCgroup a = root.create("a");
    a.charge("x", MemoryClass.HEAP).set(30 * MIB);
    a.setHigh(10 * MIB);
    Thread.currentThread().interrupt();
    a.handleOverHigh(64, true);
    assertTrue(Thread.interrupted());
  }

  @Test
  void charge_aboveHighBySlot_isRememberedAndTakenOnce() {
    MemCgroup a = root.create("a");
    CpuSlot slot = root.slots().claimShared();
    try {
      a.setHigh(MIB);
      a.tryCharge(slot, 200);
      assertEquals(0, a.takeOverHighPages(slot));
      a.tryCharge(slot, 200);
      assertTrue(a.takeOverHighPages(slot) >= 200);
      assertEquals(0, a.takeOverHighPages(slot));
    } finally {
      slot.release();
    }
  }

  @Test
  void pressure_pauseCountsAsAStall() {
    MemCgroup a = root.create("a");
    a.charge("x", MemoryClass.HEAP).set(10 * MIB + MIB / 4);
    a.setHigh(10 * MIB);
    a.handleOverHigh(64, true);
    assertTrue(a.pressure().some().totalMicros() > 0);
    assertTrue(root.pressure().some().totalMicros() > 0);
  }

  @Test
  void pause_thatWasPutOff_countsAsAStall() {
    MemCgroup a = root.create("a");
    long begin = System.nanoTime();
    a.pause(new Throttle("/a", Throttle.MIN_DELAY_NANOS));
    assertTrue(System.nanoTime() - begin >= Throttle.MIN_DELAY_NANOS);
    long micros = a.pressure().some().totalMicros();
    assertTrue(micros >= Throttle.MIN_DELAY_NANOS / 1000, () -> "micros=" + micros);

    a.pause(Throttle.NONE);
    assertEquals(micros, a.pressure().some().totalMicros());
    a.remove();
    a.pause(new Throttle("/a", Throttle.MAX_DELAY_NANOS)); // nobody pauses for a group that is gone
  }

  @Test
  void set_aboveHigh_normalPausesAndCounts_othersDoNot() {
    MemCgroup a = root.create("a");
    a.setHigh(10 * MIB);
    Charge charge = a.charge("x", MemoryClass.HEAP);
    charge.set(11 * MIB, ChargeMode.NOWAIT);
    assertEquals(0, a.events().high());
    Thread.currentThread().interrupt(); // so that the pause is none
    charge.set(12 * MIB);
    assertTrue(Thread.interrupted());
    assertEquals(1, a.events().high());
  }
}
