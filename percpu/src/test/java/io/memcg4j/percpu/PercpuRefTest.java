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
}
