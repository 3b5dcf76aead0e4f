package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

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
    stock.unpin();
    slot.release();
    root.drain();
    assertEquals(0, root.usage());
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
    stock.unpin();
    slot.release();
    root.drain();
    assertEquals(0, root.usage());
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
    here.unpin();
    first.release();
    root.drain();
    assertEquals(0, root.usage());
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
    here.unpin();
    second.release();
    root.drain();
    assertEquals(0, root.usage());
  }
}
