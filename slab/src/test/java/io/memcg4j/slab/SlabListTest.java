package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.memcg4j.percpu.Srcu;
import java.util.HashSet;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class SlabListTest {
  private static final SlabGeometry GEOMETRY = SlabGeometry.of(0, 64);
  private static final int SLAB_BYTES = 1 << 15;
  private final Instance instance = Instance.create();
  private final SlabAllocator allocator = instance.kmalloc.allocator();
  private final SlotSlabs home = allocator.slabsOf(instance.root.slots().slot(0));
  private final SlabRange range = new SlabRange(new Mmap(), 1 << 30, new Srcu());
  private final SlabList list = new SlabList(GEOMETRY, false);

  @AfterEach
  void close() {
    range.close();
    instance.close();
  }

  private Slab slab() {
    @Nullable Slab[] into = new @Nullable Slab[1];
    assertEquals(1, range.allocateSlabs(GEOMETRY, into, 1));
    return Objects.requireNonNull(into[0]);
  }

  private long retained() {
    return range.retainedBytes() / SLAB_BYTES;
  }

  @Test
  void empty_lastInFirstOut() {
    Slab first = slab();
    Slab second = slab();
    list.pushEmpty(first, range);
    list.pushEmpty(second, range);
    assertSame(second, list.popEmpty());
    assertSame(first, list.popEmpty());
    assertNull(list.popEmpty());
  }

  @Test
  void retireOldest_leavesTheYoungest() {
    Slab[] slabs = {slab(), slab(), slab(), slab()};
    for (Slab slab : slabs) {
      list.pushEmpty(slab, range);
    }
    list.retireOldest(range, 2, 0);
    assertEquals(2, list.nrEmpty());
    assertEquals(2, retained());
    assertSame(slabs[3], list.popEmpty());
    assertSame(slabs[2], list.popEmpty());
  }

  /** Three are there, one of them is used and comes back between two calls: two were idle. */
  @Test
  void trim_onlyWhatWasNotNeededSinceLastCall() {
    Slab[] slabs = {slab(), slab(), slab()};
    for (Slab slab : slabs) {
      list.pushEmpty(slab, range);
    }
    list.trim(range, 0);
    assertEquals(0, retained(), "all are new");
    assertSame(slabs[2], list.popEmpty());
    list.pushEmpty(slabs[2], range);
    list.trim(range, 0);
    assertEquals(2, retained());
    assertEquals(1, list.nrEmpty());
    list.trim(range, 0);
    assertEquals(3, retained(), "nor was it needed since");
    assertEquals(0, list.nrEmpty());
  }

  @Test
  void pushEmpty_aMebibyteIsThere_halfOfItGoesToTheRange() {
    Slab[] slabs = new Slab[33];
    for (int i = 0; i < slabs.length; i++) {
      slabs[i] = slab();
    }
    for (Slab slab : slabs) {
      list.pushEmpty(slab, range);
    }
    assertEquals(17, list.nrEmpty());
    assertEquals(16, retained());
    assertNull(slabs[15].home);
  }

  @Test
  void refill_takesABatchOfRetainedOnes() {
    Slab[] slabs = new Slab[40];
    for (int i = 0; i < slabs.length; i++) {
      slabs[i] = slab();
    }
    range.retire(0, slabs, slabs.length);
    list.refill(range, home);
    assertEquals(16, list.nrEmpty());
    assertEquals(24, retained());
    assertSame(home, Objects.requireNonNull(list.popEmpty()).home);
  }

  @Test
  void partial_anyOrder_positionsStayRight() {
    Random random = new Random(42);
    Set<Slab> model = new HashSet<>();
    for (int i = 0; i < 5000; i++) {
      assertEquals(model.isEmpty(), list.lastPartial() == null);
      if (model.isEmpty() || random.nextInt(5) < 2) {
        Slab slab = slab();
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
