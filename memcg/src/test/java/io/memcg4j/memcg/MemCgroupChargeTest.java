package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemCgroupChargeTest {
  private static final long PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(2, 1));
  private final MemCgroup service = root.create("svc");
  private final MemCgroup a = service.create("a");
  private final MemCgroup b = service.create("b");
  private CpuSlot slot;

  @BeforeEach
  void claim() {
    slot = root.slots().claimShared();
  }

  @AfterEach
  void release() {
    slot.release();
    root.drain();
    assertEquals(0, root.counter().pending());
    assertEquals(0, root.tree().nrStockPages());
  }

  @Test
  void charge_exactlyAtMax_succeeds() {
    service.setMax(10 * PAGE);
    assertNull(a.charge(slot, 4));
    assertNull(b.charge(slot, 6));
    assertEquals(10 * PAGE, service.usage());
  }

  @Test
  void charge_onePageOverMax_leavesNothingBehind() {
    service.setMax(10 * PAGE);
    assertNull(a.charge(slot, 4));
    assertSame(service, b.charge(slot, 7));
    assertAll(
        () -> assertEquals(4 * PAGE, a.usage()),
        () -> assertEquals(0, b.usage()),
        () -> assertEquals(4 * PAGE, service.usage()),
        () -> assertEquals(4 * PAGE, root.usage()),
        () -> assertEquals(0, b.peak()));
  }

  @Test
  void charge_refused_countsTheEventAtTheLimitAndAbove() {
    service.setMax(PAGE);
    assertSame(service, a.charge(slot, 2));
    assertSame(service, a.charge(slot, 1 << 20));
    assertAll(
        () -> assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), a.events()),
        () -> assertEquals(new MemoryEvents(0, 0, 2, 0, 0, 0), service.events()),
        () -> assertEquals(new MemoryEvents(0, 0, 2, 0, 0, 0), service.eventsLocal()),
        () -> assertEquals(new MemoryEvents(0, 0, 2, 0, 0, 0), root.events()),
        () -> assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), root.eventsLocal()));
  }

  @Test
  void tryCharge_refused_countsNoEvent() {
    service.setMax(PAGE);
    assertSame(service, a.tryCharge(slot, 2));
    assertSame(service, a.tryChargeNow(2));
    assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), root.events());
  }

  @Test
  void charge_rootLimited_isRefusedByTheRoot() {
    root.setMax(2 * PAGE);
    assertSame(root, a.charge(slot, 3));
    assertEquals(new MemoryEvents(0, 0, 1, 0, 0, 0), root.eventsLocal());
    assertNull(a.charge(slot, 2));
  }

  @Test
  void forceCharge_overMax_succeedsAndCountsOneEvent() {
    service.setMax(PAGE);
    a.setMax(PAGE);
    a.forceCharge(3);
    assertAll(
        () -> assertEquals(3 * PAGE, service.usage()),
        () -> assertEquals(new MemoryEvents(0, 0, 1, 0, 0, 0), a.eventsLocal()),
        () -> assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), service.eventsLocal()),
        () -> assertEquals(new MemoryEvents(0, 0, 1, 0, 0, 0), root.events()));
    assertSame(service, b.charge(slot, 1));
    a.unchargeNow(3);
    assertNull(b.charge(slot, 1));
  }

  @Test
  void forceCharge_withinMax_countsNoEvent() {
    service.setMax(3 * PAGE);
    a.forceCharge(3);
    assertEquals(new MemoryEvents(0, 0, 0, 0, 0, 0), root.events());
  }

  @Test
  void setMax_belowUsage_refusesUntilFreed() {
    assertNull(a.charge(slot, 10));
    a.setMax(8 * PAGE);
    assertEquals(10 * PAGE, a.usage());
    assertSame(a, a.charge(slot, 1));
    a.unchargeNow(3);
    assertNull(a.charge(slot, 1));
    assertSame(a, a.charge(slot, 1));
  }

  @ParameterizedTest
  @CsvSource({"0,0", "1,0", "4095,0", "4096,4096", "4097,4096", "1048577,1048576"})
  void setMax_partOfAPage_isRoundedDown(long nrBytes, long expected) {
    a.setMax(nrBytes);
    assertEquals(expected, a.max());
  }

  @ParameterizedTest
  @ValueSource(longs = {Long.MAX_VALUE, Long.MAX_VALUE - 4096, 1L << 52, (1L << 52) - 4096})
  void setMax_moreThanACounterHolds_isUnlimited(long nrBytes) {
    a.setMax(nrBytes);
    assertEquals(MemCgroup.UNLIMITED, a.max());
  }

  @Test
  void setMax_negative_throwsNamingValueAndRange() {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> a.setMax(-1));
    assertEquals(
        "memory.max out of range: group=/svc/a nrBytes=-1 legal=0..9223372036854775807",
        e.getMessage());
    assertEquals(MemCgroup.UNLIMITED, a.max());
  }

  @Test
  void peak_afterUncharge_staysAtTheHighest() {
    assertNull(a.tryChargeNow(5));
    assertNull(b.tryChargeNow(4));
    a.unchargeNow(5);
    assertAll(
        () -> assertEquals(5 * PAGE, a.peak()),
        () -> assertEquals(9 * PAGE, service.peak()),
        () -> assertEquals(9 * PAGE, root.peak()),
        () -> assertEquals(4 * PAGE, root.usage()));
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -1, Long.MIN_VALUE, MemCgroup.MAX_REQUEST_PAGES + 1, Long.MAX_VALUE})
  void charge_outOfRange_throwsNamingValueAndRange(long nrPages) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> a.charge(slot, nrPages));
    assertEquals(
        "number of pages out of range: nrPages=" + nrPages + " legal=1..8388608", e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> a.tryCharge(slot, nrPages));
    assertThrows(IllegalArgumentException.class, () -> a.tryChargeNow(nrPages));
    assertThrows(IllegalArgumentException.class, () -> a.forceCharge(nrPages));
    if (nrPages <= 0) {
      assertThrows(IllegalArgumentException.class, () -> a.uncharge(slot, nrPages));
      assertThrows(IllegalArgumentException.class, () -> a.unchargeNow(nrPages));
    }
    assertEquals(0, root.usage());
  }

  @Test
  void uncharge_moreThanCharged_throwsAndChangesNothing() {
    assertNull(a.tryChargeNow(3));
    assertThrows(IllegalStateException.class, () -> a.unchargeNow(4));
    assertThrows(IllegalStateException.class, () -> a.uncharge(slot, 1 << 20));
    assertEquals(3 * PAGE, a.usage());
    assertEquals(3 * PAGE, root.usage());
  }

  @Test
  void refusal_afterCharge_carriesAllFields() {
    service.setMax(PAGE * 100);
    assertNull(b.tryChargeNow(99));
    MemCgroup refusedBy = a.charge(slot, 2);
    assertSame(service, refusedBy);
    MemoryLimitException e = a.refusal(slot, service, 8000);
    assertEquals(
        "memory.max exceeded: group=/svc/a limitedBy=/svc requestedBytes=8000 usageBytes=405504"
            + " maxBytes=409600 reclaimRounds=0 freedBytes=0 retryable=true",
        e.getMessage());
    assertAll(
        () -> assertEquals("/svc/a", e.group()),
        () -> assertEquals("/svc", e.limitedBy()),
        () -> assertEquals(8000, e.requestedBytes()),
        () -> assertEquals(99 * PAGE, e.usageBytes()),
        () -> assertEquals(100 * PAGE, e.maxBytes()),
        () -> assertEquals(0, e.reclaimRounds()),
        () -> assertEquals(0, e.freedBytes()),
        () -> assertEquals(true, e.retryable()));
  }

  @Test
  void refusal_largerThanTheLimit_isNotRetryable() {
    service.setMax(PAGE);
    assertNotNull(a.charge(slot, 2));
    assertEquals(false, a.refusal(slot, service, 2 * PAGE).retryable());
    assertEquals(false, a.refusal(service, 2 * PAGE).retryable());
  }

  @Test
  void charge_removedGroup_staysWithTheAncestors() {
    assertNull(a.charge(slot, 5));
    a.remove();
    assertEquals(5 * PAGE, service.usage());
    assertNull(a.charge(slot, 2)); // begun before the removal, finished after it
    assertEquals(7 * PAGE, service.usage());
    service.unchargeNow(5);
    a.unchargeNow(2);
    assertEquals(0, service.usage());
    assertEquals(0, root.usage());
  }
}
