package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class PercpuRefTest {
  private final CpuSlots slots = CpuSlots.create(4, 2);
  private final AtomicInteger nrZeros = new AtomicInteger();
  private final PercpuRef ref = new PercpuRef(slots, nrZeros::incrementAndGet);

  private CpuSlot claim(int hint) {
    return Objects.requireNonNull(slots.tryClaim(hint));
  }

  @Test
  void new_isLiveWithOneReference() {
    assertEquals(1, ref.count());
    assertFalse(ref.isDying());
    assertFalse(ref.isZero());
    assertEquals(0, nrZeros.get());
  }

  @Test
  void kill_neverUsed_isZeroAtOnce() {
    ref.kill();
    assertTrue(ref.isDying());
    assertTrue(ref.isZero());
    assertEquals(0, ref.count());
    assertEquals(1, nrZeros.get());
  }

  @Test
  void get_perCpuMode_countsOnTheSlot() {
    CpuSlot a = claim(0);
    CpuSlot b = claim(1);
    ref.get(a);
    assertTrue(ref.tryGet(b));
    assertTrue(ref.tryGetLive(b));
    assertEquals(4, ref.count());
    ref.put(a);
    ref.put(a);
    assertEquals(2, ref.count());
    a.release();
    b.release();
    ref.kill();
    assertEquals(1, ref.count());
    assertEquals(0, nrZeros.get());
  }

  @Test
  void kill_holdersLeft_lastPutFindsZero() {
    CpuSlot a = claim(0);
    ref.get(a);
    ref.get(a);
    ref.kill(a);
    assertEquals(2, ref.count());
    assertFalse(ref.tryGetLive(a));
    assertTrue(ref.tryGet(a));
    ref.put(a);
    ref.put(a);
    assertEquals(0, nrZeros.get());
    ref.put(a);
    assertEquals(1, nrZeros.get());
    assertTrue(ref.isZero());
    assertFalse(ref.tryGet(a));
    assertThrows(IllegalStateException.class, () -> ref.get(a));
    assertThrows(IllegalStateException.class, () -> ref.put(a));
    assertEquals(0, ref.count());
    a.release();
  }

  @Test
  void kill_slotBusy_zeroWaitsForItsOwner() {
    CpuSlot a = claim(0);
    CpuSlot b = claim(1);
    ref.get(a);
    ref.put(b);
    ref.kill(b);
    assertEquals(0, nrZeros.get());
    assertTrue(a.workPending());
    a.runWork();
    assertEquals(1, nrZeros.get());
    a.release();
    b.release();
  }

  @Test
  void kill_callersSlotNotNamed_isFoldedAtRelease() {
    CpuSlot a = claim(0);
    ref.get(a);
    ref.put(a);
    ref.kill();
    assertTrue(ref.isDying());
    assertFalse(ref.isZero());
    a.release();
    assertTrue(ref.isZero());
    assertEquals(1, nrZeros.get());
  }

  @Test
  void kill_ownerThreadDied_isFoldedByTheKiller() throws Exception {
    Threads.runAndEnd(() -> ref.get(claim(0)));
    ref.kill();
    assertEquals(1, ref.count());
    CpuSlot a = claim(1);
    ref.put(a);
    assertEquals(1, nrZeros.get());
    a.release();
  }

  @Test
  void kill_twice_throwsAndChangesNothing() {
    CpuSlot a = claim(0);
    ref.get(a);
    ref.kill(a);
    assertThrows(IllegalStateException.class, ref::kill);
    assertThrows(IllegalStateException.class, () -> ref.kill(a));
    assertEquals(1, ref.count());
    ref.put(a);
    assertEquals(1, nrZeros.get());
    assertThrows(IllegalStateException.class, ref::kill);
    assertEquals(1, nrZeros.get());
    a.release();
  }

  @Test
  void put_throughAnotherSlotAndThread_isTheSameReference() throws Exception {
    CpuSlot a = claim(0);
    ref.get(a);
    ref.get(a);
    a.release();
    Threads.runAndEnd(() -> {
      CpuSlot b = claim(1);
      ref.put(b);
      ref.put(b);
      b.release();
    });
    assertEquals(1, ref.count());
    ref.kill();
    assertEquals(1, nrZeros.get());
  }

  @Test
  void tryGet_busySlotStillToFold_countsOnTheSharedCount() {
    CpuSlot a = claim(0);
    CpuSlot b = claim(1);
    ref.get(a);
    ref.kill(b);
    assertFalse(ref.tryGetLive(b));
    assertFalse(ref.tryGetLive(a));
    assertTrue(ref.tryGet(b));
    ref.get(a);
    assertEquals(3, ref.count());
    ref.put(b);
    ref.put(b);
    ref.put(b);
    assertEquals(0, ref.count());
    assertFalse(ref.isZero()); // not known before a is folded
    a.release();
    assertTrue(ref.isZero());
    assertEquals(1, nrZeros.get());
    b.release();
  }

  @Test
  void overflowSlot_everyMode_countsOnTheSharedCount() {
    CpuSlot overflow = slots.overflow();
    ref.get(overflow);
    assertTrue(ref.tryGet(overflow));
    assertTrue(ref.tryGetLive(overflow));
    assertEquals(4, ref.count());
    ref.put(overflow);
    CpuSlot a = claim(0);
    ref.put(a);
    a.release();
    assertEquals(2, ref.count());
    ref.kill();
    assertEquals(1, ref.count());
    assertFalse(ref.tryGetLive(overflow));
    assertTrue(ref.tryGet(overflow));
    ref.put(overflow);
    ref.put(overflow);
    assertEquals(1, nrZeros.get());
    assertFalse(ref.tryGet(overflow));
  }

  @Test
  void switchToAtomic_live_countsExactlyAndStaysLive() {
    CpuSlot a = claim(0);
    ref.get(a);
    ref.switchToAtomic(a);
    ref.switchToAtomic();
    assertFalse(ref.isDying());
    assertEquals(2, ref.count());
    assertTrue(ref.tryGetLive(a));
    assertEquals(3, ref.count());
    ref.put(a);
    ref.put(a);
    assertEquals(0, nrZeros.get());
    ref.kill();
    assertEquals(1, nrZeros.get());
    a.release();
  }

  @Test
  void switchToAtomic_pending_killDoesNotSwitchTwice() {
    CpuSlot a = claim(0);
    ref.get(a);
    ref.switchToAtomic();
    ref.kill();
    ref.put(a);
    assertEquals(0, nrZeros.get());
    a.runWork();
    assertEquals(1, nrZeros.get());
    a.release();
    assertEquals(0, ref.count());
    assertEquals(1, nrZeros.get());
  }

  @Test
  void reinit_zero_isLiveAgain() {
    CpuSlot a = claim(0);
    for (int life = 1; life <= 3; life++) {
      ref.get(a);
      ref.kill(a);
      assertThrows(IllegalStateException.class, ref::reinit);
      ref.put(a);
      assertEquals(life, nrZeros.get());
      ref.reinit();
      assertFalse(ref.isDying());
      assertFalse(ref.isZero());
      assertEquals(1, ref.count());
      assertTrue(ref.tryGetLive(a));
      ref.put(a);
    }
    assertThrows(IllegalStateException.class, ref::reinit);
    assertEquals(1, ref.count());
    a.release();
  }

  @Test
  void reinit_fromOnZero_isLiveAgain() {
    PercpuRef[] phoenix = new PercpuRef[1];
    phoenix[0] =
        new PercpuRef(
            slots,
            () -> {
              nrZeros.incrementAndGet();
              phoenix[0].reinit();
            });
    for (int i = 1; i <= 3; i++) {
      phoenix[0].kill();
      assertEquals(i, nrZeros.get());
      assertEquals(1, phoenix[0].count());
    }
  }

  @Test
  void put_tooManyInPerCpuMode_isSeenAsANegativeCount() {
    CpuSlot a = claim(0);
    ref.put(a);
    ref.put(a);
    ref.kill(a);
    assertEquals(-2, ref.count());
    assertFalse(ref.isZero());
    assertFalse(ref.tryGet(a));
    assertThrows(IllegalStateException.class, () -> ref.put(a));
    assertEquals(0, nrZeros.get());
    a.release();
  }

  @Test
  void get_slotNotOwned_isNoticedByAssertions() {
    assertThrows(AssertionError.class, () -> ref.get(slots.slot(0)));
    CpuSlot foreign = Objects.requireNonNull(CpuSlots.create(1, 1).tryClaim(0));
    assertThrows(AssertionError.class, () -> ref.put(foreign));
    assertEquals(1, ref.count());
  }

  @Test
  void toString_namesCountAndMode() {
    assertEquals("PercpuRef[count=1, mode=percpu, dying=false]", ref.toString());
    ref.kill();
    assertEquals("PercpuRef[count=0, mode=atomic, dying=true]", ref.toString());
  }
}
