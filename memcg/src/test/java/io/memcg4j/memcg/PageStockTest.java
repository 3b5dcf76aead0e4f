package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageStockTest {
  private static final long PAGE = MemCgroup.PAGE_SIZE;
  private static final int NR_SCOPE_SLOTS = 4;

  private final CpuSlots slots = CpuSlots.create(NR_SCOPE_SLOTS, 1);
  private final MemCgroup root = MemCgroup.root(slots);
  private final MemCgroup service = root.create("svc");
  private final MemCgroup a = service.create("a");
  private final MemCgroup b = service.create("b");

  @Test
  void charge_largeGroup_chargesABatchAndServesTheNextFromIt() {
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    long usage = a.usage();
    assertEquals((4096 + MemCgroup.CHARGE_BATCH) * PAGE, usage);
    for (int i = 1; i < MemCgroup.CHARGE_BATCH; i++) {
      assertNull(a.charge(slot, 1));
      assertEquals(usage, a.usage());
    }
    assertNull(a.charge(slot, 1));
    assertEquals(usage + MemCgroup.CHARGE_BATCH * PAGE, a.usage());
    slot.release();
  }

  @Test
  void charge_smallGroup_chargesNothingInAdvance() {
    CpuSlot slot = claim(0);
    for (int i = 1; i < MemCgroup.MAX_STOCK_FRACTION; i++) {
      assertNull(a.charge(slot, 1));
      assertEquals(i * PAGE, a.usage());
    }
    slot.release();
  }

  @Test
  void charge_moreThanABatch_isExact() {
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, MemCgroup.CHARGE_BATCH));
    assertNull(a.charge(slot, 1000));
    assertEquals((4096 + MemCgroup.CHARGE_BATCH + 1000) * PAGE, a.usage());
    slot.release();
  }

  @Test
  void uncharge_overflow_keepsHalfAndGivesTheRestBack() {
    large(a);
    CpuSlot slot = claim(0);
    a.uncharge(slot, MemCgroup.CHARGE_BATCH);
    assertEquals(4096 * PAGE, a.usage());
    a.uncharge(slot, 1);
    assertEquals((4096 - 1 - MemCgroup.CHARGE_BATCH / 2) * PAGE, a.usage());
    assertEquals(MemCgroup.CHARGE_BATCH / 2, root.tree().stock(slot).nrPages());
    slot.release();
  }

  @Test
  void chargeAndUncharge_alternatingAtTheEdge_leaveTheCountersAlone() {
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    a.uncharge(slot, 1);
    a.uncharge(slot, 1);
    long usage = a.usage();
    for (int i = 0; i < 1000; i++) {
      assertNull(a.charge(slot, 1));
      assertEquals(usage, a.usage());
      a.uncharge(slot, 1);
      assertEquals(usage, a.usage());
    }
    slot.release();
  }

  @Test
  void uncharge_moreThanTheStockMayHold_goesToTheCounters() {
    large(a);
    CpuSlot slot = claim(0);
    a.uncharge(slot, 1000);
    assertEquals(3096 * PAGE, a.usage());
    assertEquals(0, root.tree().nrStockPages());
    slot.release();
  }

  @Test
  void charge_fifthGroupOnASlot_drivesOutAnotherOnesPages() {
    CpuSlot slot = claim(0);
    List<MemCgroup> groups = new ArrayList<>();
    for (int i = 0; i < MemCgroup.STOCK_GROUPS + 1; i++) {
      MemCgroup group = large(service.create("g" + i));
      groups.add(group);
      assertNull(group.charge(slot, 1));
    }
    long full = (4096 + MemCgroup.CHARGE_BATCH) * PAGE;
    assertEquals(4097 * PAGE, groups.getFirst().usage());
    for (MemCgroup group : groups.subList(1, groups.size())) {
      assertEquals(full, group.usage());
    }
    // Round robin: the next ones to go are the others, in the order in which they came.
    for (int i = 0; i < 1000; i++) {
      MemCgroup group = groups.get(i % groups.size());
      assertNull(group.charge(slot, 1));
      group.uncharge(slot, 1);
    }
    slot.release();
    root.drain();
    for (MemCgroup group : groups) {
      assertEquals(4097 * PAGE, group.usage());
    }
    assertEquals(4097 * PAGE * groups.size(), root.usage());
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 7, 64, 300, 1000, 5000, 100_000})
  void parked_allSlotsFull_isAtMostAFractionOfMax(long maxMebibytes) {
    service.setMax(maxMebibytes << 20);
    List<MemCgroup> groups = new ArrayList<>();
    for (int i = 0; i < MemCgroup.STOCK_GROUPS; i++) {
      groups.add(service.create("g" + i));
    }
    long live = 0;
    for (int i = 0; i < slots.nrScopeSlots(); i++) {
      CpuSlot slot = claim(i);
      for (MemCgroup group : groups) {
        // Fill up to half of max, then free half of it page by page, which fills the stocks.
        long nrPages = (maxMebibytes << 20) / PAGE / 2 / groups.size() / slots.nrScopeSlots();
        assertNull(group.charge(slot, nrPages));
        for (long page = 0; page < nrPages / 2; page++) {
          group.uncharge(slot, 1);
        }
        live += nrPages - nrPages / 2;
      }
      slot.release();
      long parked = service.usage() - live * PAGE;
      assertEquals(root.tree().nrStockPages() * PAGE, parked);
      assertTrue(
          parked <= (maxMebibytes << 20) / MemCgroup.MAX_STOCK_FRACTION,
          () -> "parkedBytes=" + parked + " maxBytes=" + (maxMebibytes << 20));
      assertTrue(parked <= service.stockBoundBytes());
      assertTrue(
          a.stockBudgetBytes() * slots.nrSlots() * MemCgroup.STOCK_GROUPS
              <= (maxMebibytes << 20) / MemCgroup.MAX_STOCK_FRACTION);
    }
    root.drain();
    assertEquals(live * PAGE, service.usage());
  }

  @Test
  void stockBudget_unlimited_isTwoBatches() {
    assertEquals(2 * MemCgroup.CHARGE_BATCH * PAGE, a.stockBudgetBytes());
    service.setMax(0);
    assertEquals(0, a.stockBudgetBytes());
    assertEquals(0, a.pageStockCapacity());
  }

  @Test
  void drain_idleSlots_givesEverythingBackAtOnce() {
    large(a);
    for (int i = 0; i < NR_SCOPE_SLOTS; i++) {
      CpuSlot slot = claim(i);
      assertNull(a.charge(slot, 1));
      slot.release();
    }
    assertEquals((4096 + NR_SCOPE_SLOTS * MemCgroup.CHARGE_BATCH) * PAGE, a.usage());
    service.drain();
    assertEquals((4096 + NR_SCOPE_SLOTS) * PAGE, a.usage());
    assertEquals(a.usage(), root.usage());
  }

  @Test
  void drain_subtree_leavesOthersAlone() {
    MemCgroup other = large(root.create("other"));
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    assertNull(other.charge(slot, 1));
    slot.release();
    service.drain();
    assertEquals(4097 * PAGE, a.usage());
    assertEquals((4096 + MemCgroup.CHARGE_BATCH) * PAGE, other.usage());
  }

  @Test
  void drain_busySlot_isServedByItsOwner() throws Exception {
    large(a);
    large(b);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    assertNull(b.charge(slot, 1));
    Thread other = Thread.ofPlatform().start(() -> drainBoth());
    other.join();
    assertEquals((4096 + MemCgroup.CHARGE_BATCH) * PAGE, a.usage());
    assertTrue(slot.workPending());
    slot.runWork();
    assertEquals(4097 * PAGE, a.usage());
    assertEquals(4097 * PAGE, b.usage());
    slot.release();
  }

  private void drainBoth() {
    a.drain();
    b.drain();
  }

  @Test
  void setMax_lowered_hasSlotsGiveBack() {
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    slot.release();
    service.setMax(1 << 30);
    assertEquals(4097 * PAGE, a.usage());
    assertEquals(0, root.tree().nrStockPages());
  }

  @Test
  void charge_fitsBesideLiveCharges_isNotRefusedByWhatIdleSlotsHold() {
    large(a);
    large(b);
    for (int i = 0; i < NR_SCOPE_SLOTS; i++) {
      CpuSlot slot = claim(i);
      assertNull(a.charge(slot, 1));
      assertNull(b.charge(slot, 1));
      slot.release();
    }
    long live = 2 * (4096 + NR_SCOPE_SLOTS);
    long parked = root.tree().nrStockPages();
    assertEquals(2 * NR_SCOPE_SLOTS * (MemCgroup.CHARGE_BATCH - 1), parked);
    service.counter().setMax(live + parked); // past setMax, which would have the slots drained
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, parked));
    assertSame(service, b.charge(slot, 1));
    slot.release();
    assertEquals((live + parked) * PAGE, service.usage());
    assertEquals(1, service.events().max());
  }

  @Test
  void uncharge_overMax_parksNothing() {
    large(a);
    a.setMax(4000 * PAGE);
    CpuSlot slot = claim(0);
    a.uncharge(slot, 10);
    assertEquals(0, root.tree().nrStockPages());
    assertEquals(4086 * PAGE, a.usage());
    assertSame(a, a.charge(slot, 1));
    slot.release();
  }

  @Test
  void forceCharge_overMax_hasSlotsGiveBack() {
    large(a);
    large(b);
    CpuSlot slot = claim(0);
    assertNull(b.charge(slot, 1));
    slot.release();
    root.counter().setMax(root.counter().usage());
    a.forceCharge(1000);
    assertEquals(0, root.tree().nrStockPages());
    assertEquals((2 * 4096 + 1001) * PAGE, root.usage());
  }

  @Test
  void refusal_afterADrain_saysWhatItFreed() {
    large(a);
    CpuSlot idle = claim(1);
    assertNull(a.charge(idle, 1));
    idle.release();
    service.counter().setMax(4097);
    CpuSlot slot = claim(0);
    assertSame(service, b.charge(slot, 10));
    MemoryLimitException e = b.refusal(slot, service, 10 * PAGE);
    slot.release();
    assertTrue(e.reclaimRounds() >= 1, e.getMessage());
    assertEquals((MemCgroup.CHARGE_BATCH - 1) * PAGE, e.freedBytes());
  }

  @Test
  void charge_busySlotOfAParkedOwner_isRefusedAfterBoundedRounds() throws Exception {
    large(a);
    CpuSlot busy = claim(1);
    assertNull(a.charge(busy, 1));
    service.counter().setMax(4097);
    FutureTask<Integer> other =
        new FutureTask<>(() -> {
          CpuSlot slot = claim(0);
          assertSame(service, b.charge(slot, 10));
          int rounds = b.refusal(slot, service, 10 * PAGE).reclaimRounds();
          slot.release();
          return rounds;
        });
    Thread.ofPlatform().start(other);
    int rounds = other.get();
    assertTrue(rounds > 0 && rounds < MemCgroup.MAX_RECLAIM_RETRIES, "rounds=" + rounds);
    assertEquals(1, service.events().max());
    busy.release(); // serves the request
    assertEquals(4097 * PAGE, service.usage());
  }

  @Test
  void charge_atTheLimit_parksLessAndLess() {
    service.setMax(4L << 30);
    CpuSlot slot = claim(0);
    long nrPages = (4L << 30) / PAGE;
    assertNull(a.charge(slot, nrPages - 200));
    while (a.charge(slot, 1) == null) {
      long room = service.counter().room();
      long parked = root.tree().stock(slot).nrPages();
      assertTrue(parked <= room + 20, () -> "parkedPages=" + parked + " roomPages=" + room);
    }
    slot.release();
    root.drain();
    assertEquals(4L << 30, service.usage());
  }

  @Test
  void remove_withStock_givesItBackToTheAncestors() {
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    slot.release();
    a.remove();
    assertEquals(4097 * PAGE, service.usage());
    assertEquals(0, root.tree().nrStockPages());
  }

  @Test
  void remove_stockOfBusySlot_goesBackOnce() throws Exception {
    large(a);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 1));
    Thread other = Thread.ofPlatform().start(a::remove);
    other.join();
    assertEquals((4096 + MemCgroup.CHARGE_BATCH) * PAGE, service.usage());
    assertNull(a.charge(slot, 1)); // from the stock, which is still there
    slot.release();
    assertEquals(4098 * PAGE, service.usage());
    CpuSlot again = claim(0);
    a.uncharge(again, 1);
    assertNull(a.charge(again, 1));
    assertEquals(0, root.tree().stock(again).nrPages());
    again.release();
    assertEquals(4098 * PAGE, service.usage());
  }

  @Test
  void holds_entryOfTheSubtree_isSeen() {
    large(a);
    CpuSlot slot = claim(0);
    PageStock stock = root.tree().stock(slot);
    assertFalse(stock.holds(root));
    assertNull(a.charge(slot, 1));
    assertTrue(stock.holds(root));
    assertTrue(stock.holds(a));
    assertFalse(stock.holds(b));
    stock.drain(service);
    assertFalse(stock.holds(root));
    slot.release();
  }

  @Test
  void leave_pages_serveTheNextSiblingWithoutTheParent() {
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 10));
    a.leave(slot, 10);
    assertEquals(0, a.usage());
    assertEquals(10 * PAGE, service.usage());
    assertEquals(10 * PAGE, root.usage());
    assertNull(b.charge(slot, 7));
    assertEquals(7 * PAGE, b.usage());
    assertEquals(10 * PAGE, root.usage());
    assertNull(b.charge(slot, 4), "more than is left goes to the counters, whole");
    assertEquals(11 * PAGE, b.usage());
    assertEquals(14 * PAGE, service.usage());
    assertNull(service.charge(slot, 3), "and may be the parent's own");
    assertEquals(14 * PAGE, root.usage());
    assertEquals(0, root.tree().nrStockPages());
    slot.release();
  }

  @Test
  void leave_siblingAtItsLimit_isRefusedAndThePagesStay() {
    b.setMax(5 * PAGE);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 10));
    a.leave(slot, 10);
    assertSame(b, b.tryCharge(slot, 6));
    assertEquals(0, b.usage());
    assertEquals(10, root.tree().stock(slot).nrPages());
    slot.release();
    service.drain();
    assertEquals(0, root.usage());
  }

  @Test
  void leave_toASmallParent_isBoundedAndTheRestGoesToTheCounters() {
    CpuSlot slot = claim(0);
    for (int i = 0; i < 20; i++) {
      assertNull(a.tryChargeNow(8));
      a.leave(slot, 8);
      long left = root.tree().stock(slot).nrPages();
      assertEquals(left * PAGE, service.usage());
      assertTrue(left <= 16, "leftPages=" + left);
    }
    slot.release();
  }

  @Test
  void leave_childrenOfAnotherParent_takeThePlace() {
    MemCgroup other = root.create("other").create("c");
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 4));
    a.leave(slot, 4);
    assertNull(other.charge(slot, 5));
    other.leave(slot, 5);
    assertEquals(0, service.usage());
    assertEquals(5 * PAGE, root.usage());
    slot.release();
  }

  @Test
  void leave_fifthGroupOnASlot_takesNobodysPlace() {
    CpuSlot slot = claim(0);
    List<MemCgroup> groups = new ArrayList<>();
    for (int i = 0; i < MemCgroup.STOCK_GROUPS; i++) {
      MemCgroup group = large(service.create("g" + i));
      groups.add(group);
      assertNull(group.charge(slot, 1));
    }
    assertNull(a.tryChargeNow(3));
    a.leave(slot, 3);
    for (MemCgroup group : groups) {
      assertEquals((4096 + MemCgroup.CHARGE_BATCH) * PAGE, group.usage());
    }
    assertEquals(
        3 + (MemCgroup.CHARGE_BATCH - 1) * groups.size(), root.tree().stock(slot).nrPages());
    slot.release();
  }

  @Test
  void leave_parentAtItsLimit_leavesNothingBehind() {
    service.setMax(5 * PAGE);
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 5));
    a.leave(slot, 5);
    assertEquals(0, service.usage());
    assertFalse(root.tree().stock(slot).holds(root));
    slot.release();
  }

  @Test
  void leave_thenALimitIsHit_isGivenBackFirst() {
    service.setMax(1L << 30);
    CpuSlot slot = claim(0);
    assertNull(a.tryChargeNow(8));
    a.leave(slot, 8);
    assertEquals(8 * PAGE, service.usage());
    assertNull(b.charge(slot, (1L << 30) / PAGE));
    assertEquals(0, root.tree().nrStockPages());
    slot.release();
  }

  @Test
  void leave_parentRemoved_goesToWhoIsLeft() {
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 8));
    a.leave(slot, 8);
    a.remove();
    b.remove();
    slot.release();
    service.remove();
    assertEquals(0, root.usage());
    assertEquals(0, root.tree().nrStockPages());
  }

  @Test
  void leave_moreThanIsCharged_isRefusedWithNothingChanged() {
    CpuSlot slot = claim(0);
    assertNull(a.charge(slot, 2));
    assertThrows(IllegalStateException.class, () -> a.leave(slot, 3));
    assertEquals(2 * PAGE, a.usage());
    assertEquals(2 * PAGE, root.usage());
    slot.release();
  }

  private CpuSlot claim(int index) {
    CpuSlot slot = slots.tryClaim(index);
    assertNotNull(slot);
    assertEquals(index, slot.index());
    return slot;
  }

  /** Makes a group large enough for full batches. */
  private static MemCgroup large(MemCgroup group) {
    assertNull(group.tryChargeNow(4096));
    return group;
  }
}
