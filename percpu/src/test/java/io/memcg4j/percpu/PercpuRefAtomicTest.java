package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A reference count that is a single number from the start. */
class PercpuRefAtomicTest {
  private final CpuSlots slots = CpuSlots.create(4, 2);
  private final AtomicInteger nrZeros = new AtomicInteger();
  private final PercpuRef ref = PercpuRef.atomic(slots, nrZeros::incrementAndGet);

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
  void kill_slotsBusy_lastPutFindsZeroAndNobodyIsAsked() {
    CpuSlot a = claim(0);
    CpuSlot b = claim(1);
    ref.get(a);
    assertTrue(ref.tryGetLive(b));
    ref.kill();
    assertFalse(a.workPending());
    assertFalse(b.workPending());
    assertFalse(ref.tryGetLive(a));
    assertTrue(ref.tryGet(a));
    assertEquals(3, ref.count());
    ref.put(b);
    ref.put(b);
    assertEquals(0, nrZeros.get());
    ref.put(b);
    assertEquals(1, nrZeros.get());
    assertTrue(ref.isZero());
    assertFalse(ref.tryGet(a));
    assertThrows(IllegalStateException.class, () -> ref.put(a));
    a.release();
    b.release();
  }

  @Test
  void put_tooMany_throwsAndChangesNothing() {
    CpuSlot a = claim(0);
    ref.kill();
    assertThrows(IllegalStateException.class, () -> ref.put(a));
    assertEquals(0, ref.count());
    assertEquals(1, nrZeros.get());
    a.release();
  }

  @Test
  void reinit_afterZero_isAtomicAgain() {
    CpuSlot a = claim(0);
    ref.kill();
    ref.reinit();
    assertEquals(1, ref.count());
    assertTrue(ref.tryGetLive(a));
    assertEquals(2, ref.count());
    ref.kill();
    assertFalse(a.workPending());
    ref.put(a);
    assertEquals(2, nrZeros.get());
    a.release();
  }

  @Test
  void switchToAtomic_changesNothing() {
    ref.switchToAtomic();
    assertEquals(1, ref.count());
    ref.kill();
    assertEquals(1, nrZeros.get());
  }
}
