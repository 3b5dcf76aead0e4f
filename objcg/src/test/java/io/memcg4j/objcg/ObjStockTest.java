package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** One stock on one thread: what it takes, keeps and gives back, to the byte. */
class ObjStockTest {
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(4, 2));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final MemCgroup group = root.create("a");
  private final ObjCgroup handle = ObjCgroup.of(group);

  private ObjStock pinned(CpuSlot slot) {
    ObjStock stock = registry.stock(slot, handle);
    stock.pin();
    return stock;
  }

  /** Gives up the stock and its slot; nothing is charged for either then. */
  private void leave(ObjStock stock) {
    stock.unpin();
    stock.slot().release();
    root.drain();
    assertEquals(0, root.usage());
  }

  private CpuSlot claim(int hint) {
    return Objects.requireNonNull(root.slots().tryClaim(hint));
  }

  /** Charges objects that need no stock: straight pages, so that the group is used. */
  private void use(long nrPages) {
    assertNull(group.tryChargeNow(nrPages));
  }

  @Test
  void ensure_limitShrankBelowWhatIsHeld_succeeds() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    use(32_000);
    assertNull(stock.ensure(1, 100_000));
    long held = stock.nrBytes();
    assertTrue(held > 10 * PAGE, "held=" + held);
    group.unchargeNow(32_000);
    assertNull(stock.ensure(1, held + 1), "wants more than the limit allows by now");
    assertTrue(stock.nrBytes() >= 1);
    stock.take(1);
    stock.uncharge(1);
    leave(stock);
  }

  @Test
  void ensure_asMuchAgain_isThereAlready() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    use(32_000);
    assertNull(stock.ensure(1, 1));
    stock.take(1);
    long limit = stock.limitBytes();
    assertTrue(limit > 10 * PAGE, "limit=" + limit);
    for (long want : new long[] {limit / 4, limit / 2, limit / 2 + 1000, limit - PAGE}) {
      root.drain();
      slot.runWork();
      assertNull(stock.ensure(1, want));
      stock.take(want);
      assertTrue(stock.nrBytes() >= want, "want=" + want + " held=" + stock.nrBytes());
      assertTrue(stock.nrBytes() <= limit, "want=" + want + " held=" + stock.nrBytes());
      stock.uncharge(want);
      assertTrue(stock.nrBytes() <= limit, "want=" + want + " held=" + stock.nrBytes());
    }
    stock.uncharge(1);
    group.unchargeNow(32_000);
    leave(stock);
  }

  @Test
  void ensure_roomIsAwaitedMeanwhile_keepsWhatIsNeededOnly() throws Exception {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    use(32_000);
    assertNull(stock.ensure(1, 10_000));
    long held = stock.nrBytes();
    assertTrue(held >= 10_000, "held=" + held);
    AtomicBoolean mayEnd = new AtomicBoolean();
    FutureTask<Boolean> waiter =
        new FutureTask<>(() -> group.awaitRoom(mayEnd::get, Duration.ofMinutes(1)));
    Thread.ofPlatform().start(waiter);
    while (!group.isRoomAwaited()) {
      Thread.onSpinWait();
    }
    assertNull(stock.ensure(1, held + 1));
    assertEquals(1, stock.nrBytes(), "the rest is for who waits");
    mayEnd.set(true);
    assertTrue(waiter.get());
    group.unchargeNow(32_000);
    leave(stock);
  }

  @Test
  void uncharge_aboveLimit_keepsAtMostTheLimit() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    for (int surplus = 0; surplus < 3 * PAGE; surplus += 97) {
      assertNull(stock.ensure(4 * PAGE, 4 * PAGE));
      stock.take(4 * PAGE);
      stock.uncharge(surplus);
      assertTrue(
          stock.nrBytes() <= stock.limitBytes(),
          "surplus=" + surplus + " held=" + stock.nrBytes() + " limit=" + stock.limitBytes());
      stock.uncharge(4 * PAGE - surplus);
    }
    leave(stock);
  }

  @Test
  void uncharge_slotThatOnlyFrees_holdsSomeAndGivesTheRestBack() {
    use(1_000);
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    assertFalse(stock.isHot());
    stock.uncharge(100);
    assertTrue(stock.isHot());
    assertEquals(100, stock.nrBytes(), "kept, not given back byte by byte");
    for (int i = 1; i < 10 * PAGE; i++) {
      stock.uncharge(100);
      assertTrue(stock.nrBytes() <= stock.limitBytes());
    }
    assertTrue(group.usage() <= group.stockBoundBytes(), "all of it was freed");
    leave(stock);
  }

  @Test
  void uncharge_slotThatOnlyFrees_takesNoPlaceAndHoldsNothingForATightGroup() {
    CpuSlot slot = claim(0);
    for (int i = 0; i < MemCgroup.STOCK_GROUPS; i++) {
      ObjStock busy = registry.stock(slot, ObjCgroup.of(root.create("busy" + i)));
      busy.pin();
      assertNull(busy.ensure(1, 1));
    }
    use(2);
    ObjStock stock = pinned(slot);
    stock.uncharge(PAGE);
    assertFalse(stock.isHot(), "the busy ones keep their places");
    assertEquals(PAGE, group.usage());
    CpuSlot other = claim(1);
    group.setMax(PAGE);
    ObjStock tight = pinned(other);
    tight.uncharge(PAGE);
    assertFalse(tight.isHot());
    assertEquals(0, group.usage());
    other.release();
    slot.release();
  }

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void ensure_limitHitDrainsTheStockItFills_ends() {
    group.setMax(2 * PAGE);
    CpuSlot first = claim(0);
    ObjStock here = pinned(first);
    assertNull(here.ensure(1, 1));
    here.take(1);
    CpuSlot second = claim(1);
    ObjStock there = pinned(second);
    assertNull(there.ensure(1, 1));
    there.take(1);
    handle.unchargeNow(1);
    there.unpin();
    second.release();
    assertNull(here.ensure(2 * PAGE - 1, 2 * PAGE - 1), "all but one byte of two pages is free");
    here.take(2 * PAGE - 1);
    assertEquals(0, here.nrBytes());
    assertEquals(2 * PAGE, group.usage());
    assertSame(group, here.ensure(1, 1));
    here.uncharge(2 * PAGE);
    leave(here);
  }

  @Test
  void ensure_restIsInAnotherIdleSlot_isNotRefused() {
    group.setMax(PAGE);
    CpuSlot first = claim(0);
    ObjStock there = pinned(first);
    assertNull(there.ensure(100, 100));
    there.take(100);
    there.unpin();
    first.release();
    CpuSlot second = claim(1);
    ObjStock here = pinned(second);
    assertNull(here.ensure(PAGE - 100, PAGE - 100), "the page has room for both");
    here.take(PAGE - 100);
    assertSame(group, here.ensure(1, 1));
    here.uncharge(PAGE);
    leave(here);
  }

  /** The walk does the work that others left on the slot: here, to let go of the stock's group. */
  @Test
  void ensure_groupIsSweptDuringTheLimitHitWalk_keepsWhatItGathered() {
    MemCgroup child = group.create("c");
    ObjCgroup dying = ObjCgroup.of(child);
    group.setMax(4 * PAGE);
    CpuSlot elsewhere = claim(1);
    ObjStock parked = pinned(elsewhere);
    assertNull(parked.ensure(1, 1));
    parked.unpin();
    elsewhere.release();
    CpuSlot slot = claim(0);
    ObjStock stock = registry.stock(slot, dying);
    stock.pin();
    assertNull(stock.ensure(100, 100));
    stock.take(100);
    child.remove();
    assertTrue(slot.workPending());
    assertSame(group, dying.group());
    assertNull(stock.ensure(4 * PAGE - 100, 4 * PAGE - 100), "once the other slot is drained");
    assertFalse(slot.workPending());
    stock.take(4 * PAGE - 100);
    assertEquals(0, stock.nrBytes());
    assertEquals(4 * PAGE, group.usage());
    assertSame(group, stock.ensure(1, 1));
    stock.uncharge(4 * PAGE);
    stock.unpin();
    assertNull(registry.find(slot, dying.id()));
    assertTrue(dying.refs().isZero());
    slot.release();
    root.drain();
    assertEquals(0, root.usage());
  }

  @Test
  void readyRoom_smallGroup_isLessForOneSizeThanForAll() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    assertNull(stock.ensure(1, 1));
    assertEquals(4 * PAGE, stock.readyRoomBytes());
    for (int size = 0; size < 3; size++) {
      stock.addReady(4 * PAGE);
      assertEquals(4 * PAGE, stock.readyRoomBytes());
    }
    stock.addReady(3 * PAGE);
    assertEquals(PAGE, stock.readyRoomBytes());
    stock.addReady(-15 * PAGE);
    leave(stock);
  }

  @Test
  void uncharge_afterTheLimitWasLowered_keepsToTheNewShare() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    use(32_000);
    assertNull(stock.ensure(64 * PAGE, 64 * PAGE));
    stock.take(64 * PAGE);
    long before = stock.limitBytes();
    assertTrue(before > 30 * PAGE, "limit=" + before);
    group.setMax(33_000L * PAGE);
    slot.runWork();
    assertEquals(0, stock.nrBytes());
    for (int i = 0; i < 64; i++) {
      stock.uncharge(PAGE);
      assertTrue(
          stock.nrBytes() + stock.readyRoomBytes() <= group.stockBudgetBytes() / 2,
          "i=" + i + " held=" + stock.nrBytes() + " budget=" + group.stockBudgetBytes());
    }
    group.unchargeNow(32_000);
    leave(stock);
  }

  @Test
  void ensure_moreThanAnyRequestMayBe_throwsAndLosesNothing() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    assertNull(stock.ensure(1, 1));
    assertEquals(PAGE, stock.nrBytes());
    long tooMany = (MemCgroup.MAX_REQUEST_PAGES + 2) * PAGE;
    assertThrows(IllegalArgumentException.class, () -> stock.ensure(tooMany, tooMany));
    assertEquals(PAGE, stock.nrBytes());
    assertEquals(PAGE, root.usage());
    leave(stock);
  }

  @Test
  void ensure_refused_chargesNothingAndKeepsNoMoreThanBefore() {
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    group.setMax(4 * PAGE);
    assertNull(stock.ensure(100, 100));
    stock.take(100);
    for (int nrPages = 4; nrPages < 10; nrPages++) {
      assertSame(group, stock.ensure((long) nrPages * PAGE, (long) nrPages * PAGE));
      assertTrue(stock.nrBytes() <= stock.limitBytes());
      root.drain();
      slot.runWork();
      assertEquals(PAGE, group.usage(), "the page of the live object");
    }
    assertEquals(0, stock.nrBytes());
    stock.uncharge(100);
    leave(stock);
  }

  @Test
  void tryEnsure_refused_drainsNobodyAndTellsNobody() {
    group.setMax(PAGE);
    CpuSlot elsewhere = claim(1);
    ObjStock parked = pinned(elsewhere);
    assertNull(parked.ensure(1, 1));
    parked.unpin();
    elsewhere.release();
    CpuSlot slot = claim(0);
    ObjStock stock = pinned(slot);
    assertFalse(stock.tryEnsure(1, 1), "the page is in the other slot");
    assertEquals(0, stock.nrBytes());
    assertEquals(PAGE, group.usage());
    assertEquals(0, group.events().max());
    assertNull(stock.ensure(1, 1), "which this one drains");
    assertTrue(stock.tryEnsure(PAGE, PAGE));
    assertFalse(stock.tryEnsure(PAGE + 1, PAGE + 1));
    assertEquals(PAGE, stock.nrBytes());
    assertEquals(0, group.events().max());
    assertSame(group, stock.ensure(PAGE + 1, PAGE + 1));
    assertEquals(1, group.events().max());
    leave(stock);
  }

  /** Bytes are charged through some slots and given back through others. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void usageAtRest_isLiveBytesRoundedUpToAPage(long seed) {
    Random random = new Random(seed);
    List<ObjStock> stocks = new ArrayList<>();
    List<CpuSlot> slots = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      CpuSlot slot = claim(i);
      slots.add(slot);
      stocks.add(pinned(slot));
    }
    if (seed % 2 == 0) {
      group.setMax(random.nextInt(3, 300) * (long) PAGE);
    }
    long live = 0;
    for (int step = 0; step < 20_000; step++) {
      ObjStock stock = stocks.get(random.nextInt(4));
      long nrBytes = 1L + random.nextInt(random.nextInt(5) == 0 ? 30_000 : 500);
      int dice = random.nextInt(100);
      if (dice < 50) {
        long want = nrBytes * random.nextInt(1, 20);
        if (stock.ensure(nrBytes, want) == null) {
          assertTrue(stock.nrBytes() >= nrBytes);
          long taken = random.nextBoolean() ? nrBytes : Math.min(want, stock.nrBytes());
          stock.take(taken);
          live += taken;
        }
        // What was wanted and not taken is there as well, if no more is wanted than may be held.
        long wanted = Math.max(stock.limitBytes(), stock.readyRoomBytes());
        assertTrue(
            stock.nrBytes() <= wanted + stock.limitBytes(), "seed=" + seed + " step=" + step);
      } else if (dice < 97) {
        long given = Math.min(live, nrBytes);
        live -= given;
        if (random.nextInt(4) == 0) {
          handle.unchargeNow(given);
        } else {
          stock.uncharge(given);
        }
      } else {
        root.drain();
        slots.forEach(CpuSlot::runWork);
        stocks.forEach(each -> assertEquals(0, each.nrBytes()));
        long atRest = TestAllocator.pageBytes(live);
        assertEquals(atRest, group.usage(), "seed=" + seed + " step=" + step);
        assertEquals(atRest, root.usage());
      }
      assertTrue(group.usage() <= group.max());
    }
    handle.unchargeNow(live);
    stocks.forEach(ObjStock::unpin);
    slots.forEach(CpuSlot::release);
    root.drain();
    assertEquals(0, root.usage(), "seed=" + seed);
  }
}
