package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class SlabListTest {
  private static final SlabGeometry GEOMETRY = SlabGeometry.of(0, 64);
  private final SlabList list = new SlabList(GEOMETRY);

  private static Slab slab(int number) {
    return new Slab(GEOMETRY, number, 1, (1L << 40) + ((long) number << 15), false);
  }

  @Test
  void empty_lastInFirstOut() {
    Slab first = slab(1);
    Slab second = slab(2);
    list.pushEmpty(first);
    list.pushEmpty(second);
    assertSame(second, list.popEmpty());
    assertSame(first, list.popEmpty());
    assertNull(list.popEmpty());
  }

  @Test
  void takeOldest_leavesTheYoungest() {
    Slab[] slabs = {slab(0), slab(1), slab(2), slab(3)};
    for (Slab slab : slabs) {
      list.pushEmpty(slab);
    }
    assertArrayEquals(new Slab[] {slabs[0], slabs[1]}, list.takeOldest(2));
    assertEquals(2, list.nrEmpty());
    assertSame(slabs[3], list.popEmpty());
    assertSame(slabs[2], list.popEmpty());
  }

  /** Three are there, one of them is used and comes back between two calls: two were idle. */
  @Test
  void takeIdle_onlyWhatWasNotNeededSinceLastCall() {
    for (int i = 0; i < 3; i++) {
      list.pushEmpty(slab(i));
    }
    assertEquals(0, list.takeIdle().length, "all are new");
    Slab used = list.popEmpty();
    assertTrue(used != null);
    list.pushEmpty(used);
    assertEquals(2, list.takeIdle().length);
    assertEquals(1, list.nrEmpty());
    assertArrayEquals(new Slab[] {used}, list.takeIdle(), "nor was it needed since");
    assertEquals(0, list.takeIdle().length);
  }

  @Test
  void isFullOfEmpty_atAMebibyteOrTwoSlabs() {
    int nr = 0;
    while (!list.isFullOfEmpty()) {
      list.pushEmpty(slab(nr++));
    }
    assertEquals(32, nr);
    assertEquals(16, list.batch());
    SlabList large = new SlabList(new SlabGeometry(0, 1 << 17, 0, 8, 64, 1L << 15, 1 << 17));
    large.pushEmpty(slab(0));
    large.pushEmpty(slab(1));
    assertTrue(large.isFullOfEmpty());
  }

  @Test
  void partial_anyOrder_positionsStayRight() {
    Random random = new Random(42);
    Set<Slab> model = new HashSet<>();
    for (int i = 0; i < 10_000; i++) {
      Slab last = list.lastPartial();
      assertEquals(model.isEmpty(), last == null);
      if (model.isEmpty() || random.nextInt(5) < 2) {
        Slab slab = slab(i);
        list.addPartial(slab);
        model.add(slab);
        assertSame(slab, list.lastPartial());
      } else {
        Slab victim = model.stream().skip(random.nextInt(model.size())).findFirst().orElseThrow();
        list.removePartial(victim);
        model.remove(victim);
        assertEquals(Slab.NOT_LISTED, victim.listPosition);
      }
    }
  }
}
