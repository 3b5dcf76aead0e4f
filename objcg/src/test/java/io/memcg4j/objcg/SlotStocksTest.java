package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The stocks of one slot: which are hot, and the table that finds them. */
class SlotStocksTest {
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(2, 1));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final CpuSlot slot = Objects.requireNonNull(root.slots().tryClaim(0));

  private ObjStock pinned(String name) {
    return pinned(ObjCgroup.of(root.create(name)));
  }

  private ObjStock pinned(ObjCgroup handle) {
    ObjStock stock = registry.stock(slot, handle);
    stock.pin();
    return stock;
  }

  /** So many others that none is kept that nobody needs. */
  private int pinAsManyAsAreKept() {
    for (int i = 0; i < SlotStocks.MAX_KEPT; i++) {
      pinned("kept" + i);
    }
    return SlotStocks.MAX_KEPT;
  }

  private static void heat(ObjStock stock) {
    assertNull(stock.ensure(1, 1));
    assertTrue(stock.isHot());
  }

  @Test
  void heat_oneMoreThanStockGroups_coolsTheOneThatWasHotLongest() {
    List<ObjStock> stocks = new ArrayList<>();
    for (int i = 0; i < 3 * MemCgroup.STOCK_GROUPS; i++) {
      ObjStock stock = pinned("g" + i);
      stocks.add(stock);
      heat(stock);
      for (int j = 0; j <= i; j++) {
        assertEquals(i - j < MemCgroup.STOCK_GROUPS, stocks.get(j).isHot(), "i=" + i + " j=" + j);
      }
    }
    for (ObjStock cold : stocks.subList(0, 2 * MemCgroup.STOCK_GROUPS)) {
      assertEquals(0, cold.nrBytes());
      assertEquals(0, cold.limitBytes());
      assertEquals(0, cold.readyRoomBytes());
      assertEquals(0, cold.handle().group().usage());
      cold.uncharge(0);
    }
    stocks.forEach(ObjStock::unpin);
    assertEquals(3 * MemCgroup.STOCK_GROUPS, registry.nrStocks(), "few enough to stay");
  }

  @Test
  void heat_manySiblings_goToTheCountersOfTheirParentsSeldom() {
    MemCgroup service = root.create("svc");
    List<ObjStock> stocks = new ArrayList<>();
    for (int i = 0; i < 3 * MemCgroup.STOCK_GROUPS; i++) {
      stocks.add(pinned(ObjCgroup.of(service.create("g" + i))));
    }
    stocks.forEach(SlotStocksTest::heat);
    long held = service.usage();
    assertTrue(held > 0);
    for (int i = 0; i < 1000; i++) {
      heat(stocks.get(i % stocks.size()));
      assertEquals(held, service.usage(), "one gives way, the next one takes its pages");
      assertEquals(held, root.usage());
    }
    slot.release();
    root.drain();
    assertEquals(0, service.usage());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 63, 64, 65, 1000})
  void sweep_groupsRemovedWhileTheSlotIsBusy_lettingGoOfAllTheirStocks(int nrGroups) {
    List<MemCgroup> groups = new ArrayList<>();
    for (int i = 0; i < nrGroups; i++) {
      MemCgroup group = root.create("g" + i);
      groups.add(group);
      registry.stock(slot, ObjCgroup.of(group));
    }
    ObjStock stays = pinned("stays");
    ObjStock needed = pinned(ObjCgroup.of(groups.getLast()));
    groups.forEach(MemCgroup::remove);
    assertEquals(nrGroups + 1, registry.nrStocks(), "asked, and not yet looked");
    slot.runWork();
    assertEquals(2, registry.nrStocks());
    needed.unpin();
    assertEquals(1, registry.nrStocks());
    stays.unpin();
    assertEquals(1, registry.nrStocks(), "kept, as its group is there");
  }

  @Test
  void heat_placeOfARemovedGroup_isTakenFirst() {
    MemCgroup gone = root.create("gone");
    ObjStock a = pinned("a");
    ObjStock b = pinned(ObjCgroup.of(gone));
    ObjStock c = pinned("c");
    ObjStock d = pinned("d");
    List.of(a, b, c, d).forEach(SlotStocksTest::heat);
    b.unpin();
    gone.remove();
    slot.runWork();
    assertFalse(b.isHot());
    assertNull(registry.find(slot, b.handle().id()));
    ObjStock e = pinned("e");
    heat(e);
    for (ObjStock stock : List.of(a, c, d, e)) {
      assertTrue(stock.isHot(), stock.handle().toString());
    }
  }

  @Test
  void heat_cooledByRemovalWhilePinned_takesOnePlaceOnly() {
    MemCgroup gone = root.create("gone");
    ObjStock a = pinned(ObjCgroup.of(gone));
    ObjStock b = pinned("b");
    heat(a);
    gone.remove();
    slot.runWork();
    assertFalse(a.isHot());
    heat(a);
    heat(b);
    ObjStock c = pinned("c");
    ObjStock d = pinned("d");
    heat(c);
    heat(d);
    for (ObjStock stock : List.of(a, b, c, d)) {
      assertTrue(stock.isHot(), stock.handle().toString());
    }
    a.uncharge(0);
    a.unpin();
    assertFalse(a.isHot(), "its group was removed");
    assertEquals(3, registry.nrStocks());
  }

  @Test
  void drain_ofASubtree_leavesTheOthers() {
    MemCgroup parent = root.create("p");
    ObjStock inside = pinned(ObjCgroup.of(parent.create("c")));
    ObjStock outside = pinned("o");
    heat(inside);
    heat(outside);
    assertTrue(registry.holds(slot, parent));
    assertTrue(registry.holds(slot, root));
    registry.drain(slot, parent);
    assertEquals(0, inside.nrBytes());
    assertEquals(PAGE, outside.nrBytes());
    assertEquals(0, parent.usage());
    registry.drain(slot, root);
    assertEquals(0, outside.nrBytes());
    assertEquals(0, root.usage());
  }

  @Test
  void drain_whileAnAllocationHoldsTheStock_keepsIt() {
    ObjStock stock = pinned("a");
    heat(stock);
    stock.take(100);
    registry.drain(slot, root);
    assertSame(stock, registry.find(slot, stock.handle().id()));
    assertEquals(0, stock.nrBytes());
    assertNull(stock.ensure(PAGE - 100, PAGE - 100), "the rest of the page is there");
    stock.take(PAGE - 100);
    assertEquals(PAGE, root.usage());
    stock.uncharge(PAGE);
    stock.unpin();
    registry.drain(slot, root);
    assertEquals(0, root.usage());
  }

  @Test
  void giveBack_thatUnpinsTheLastTime_doesNotDropTheStockInUse() {
    ObjStock stock = pinned("a");
    heat(stock);
    stock.take(1);
    stock.setCache(
        registry.newCacheIndex(),
        () -> {
          stock.unpin();
          return 1;
        });
    registry.drain(slot, root);
    assertSame(stock, registry.find(slot, stock.handle().id()));
    assertFalse(stock.isPinned());
    assertTrue(stock.isHot());
    assertEquals(0, root.usage());
  }

  @Test
  void home_idsInSequence_useTheWholeTable() {
    int nrIds = 1 << 19;
    int mask = 2 * nrIds - 1;
    boolean[] used = new boolean[mask + 1];
    int nrUsed = 0;
    for (int id = 1; id <= nrIds; id++) {
      int home = SlotStocks.home(id, mask);
      if (!used[home]) {
        used[home] = true;
        nrUsed++;
      }
    }
    assertTrue(nrUsed > nrIds / 2, "nrIds=" + nrIds + " nrHomes=" + nrUsed);
  }

  /** Thousands of stocks come and go; after each step the table answers as a map does. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 20261121})
  void find_randomAddAndDrop_agreesWithAMap(long seed) {
    Random random = new Random(seed);
    int nrHandles = random.nextInt(20, 4_000);
    List<ObjCgroup> handles = new ArrayList<>();
    for (int i = 0; i < nrHandles; i++) {
      handles.add(ObjCgroup.of(root.create("g" + i)));
    }
    Map<Integer, ObjStock> expected = new HashMap<>();
    int nrOthers = pinAsManyAsAreKept();
    int percentAdds = 50;
    for (int step = 0; step < 60_000; step++) {
      if (step % 2_000 == 0) {
        percentAdds = random.nextInt(20, 81); // grows for a while, shrinks for a while
      }
      ObjCgroup handle = handles.get(random.nextInt(nrHandles));
      ObjStock there = expected.get(handle.id());
      String where = "seed=" + seed + " step=" + step + " id=" + handle.id();
      assertSame(there, registry.find(slot, handle.id()), where);
      if (random.nextInt(100) < percentAdds) {
        if (there == null) {
          expected.put(handle.id(), pinned(handle));
        }
      } else if (there != null) {
        there.unpin();
        expected.remove(handle.id());
      }
      assertEquals(nrOthers + expected.size(), registry.nrStocks(), where);
    }
    for (ObjCgroup handle : handles) {
      assertSame(expected.get(handle.id()), registry.find(slot, handle.id()), "seed=" + seed);
    }
    assertNotNull(registry.find(slot, ObjCgroup.ROOT_ID));
    expected.values().forEach(ObjStock::unpin);
    assertEquals(nrOthers, registry.nrStocks());
  }

  @Test
  void find_manyThousandsOfStocks_findsEach() {
    int nrGroups = 200_000;
    int nrOthers = pinAsManyAsAreKept();
    List<ObjStock> stocks = new ArrayList<>();
    for (int i = 0; i < nrGroups; i++) {
      stocks.add(pinned("g" + i));
    }
    for (ObjStock stock : stocks) {
      assertSame(stock, registry.find(slot, stock.handle().id()));
    }
    assertEquals(nrOthers + nrGroups, registry.nrStocks());
    stocks.forEach(ObjStock::unpin);
    assertEquals(nrOthers, registry.nrStocks());
  }

  /** What is kept goes with its group, and holds nothing until then. */
  @Test
  void unpin_fewStocks_stayEmptyUntilTheirGroupIsRemoved() {
    ObjStock stock = pinned("a");
    stock.unpin();
    assertSame(stock, registry.find(slot, stock.handle().id()));
    assertEquals(0, stock.nrBytes());
    slot.release();
    stock.handle().group().remove();
    assertEquals(0, registry.nrStocks());
    assertEquals(1, registry.nrHandles());
    assertSame(slot, root.slots().tryClaim(slot.index()));
  }
}
