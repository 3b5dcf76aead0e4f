package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Who pays for areas, and what is refused. */
final class VmallocLimitTest {
  private static final long PAGE = Instance.PAGE;

  @Test
  void allocate_overMax_isRefusedBeforeAnythingIsMapped() {
    try (Instance instance = Instance.create()) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      MemCgroup group = instance.root.create("a");
      group.setMax(100 * PAGE);
      long address = instance.in(group, () -> vmalloc.allocate(60 * PAGE));
      long usage = instance.drainedUsage(group);
      long committed = instance.pages.committedBytes();
      try (Scope _ = instance.enter(group)) {
        MemoryLimitException e =
            assertThrows(MemoryLimitException.class, () -> vmalloc.allocate(41 * PAGE));
        assertEquals("/a", e.limitedBy());
        assertEquals(Vmalloc.NULL, vmalloc.tryAllocate(41 * PAGE));
        assertEquals(Vmalloc.NULL, vmalloc.tryAllocateZeroed(1000 * PAGE));
        assertEquals(Vmalloc.NULL, vmalloc.tryAllocateAligned(41 * PAGE, 1 << 20));
        assertEquals(Vmalloc.NULL, vmalloc.tryReallocate(address, 101 * PAGE));
        assertThrows(MemoryLimitException.class, () -> vmalloc.reallocate(address, 101 * PAGE));
      }
      assertEquals(committed, instance.pages.committedBytes());
      assertEquals(usage, instance.drainedUsage(group));
      assertEquals(60 * PAGE, vmalloc.info().usedBytes());
      assertEquals(60 * PAGE, vmalloc.usableSize(address));
      vmalloc.free(instance.in(group, () -> vmalloc.allocate(40 * PAGE)));
      assertEquals(address, vmalloc.reallocate(address, PAGE));
      vmalloc.free(address);
      instance.assertNoAreasLeft();
    }
  }

  @Test
  void reallocate_inPlaceElsewhere_isChargedToWhoPays() {
    try (Instance instance = Instance.create()) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      MemCgroup owner = instance.root.create("a");
      MemCgroup other = instance.root.create("b");
      long address = instance.in(owner, () -> vmalloc.allocate(PAGE));
      assertEquals(address, instance.in(other, () -> vmalloc.reallocate(address, 50 * PAGE)));
      assertEquals(address, vmalloc.reallocate(address, 60 * PAGE));
      assertEquals(60 * PAGE, instance.drainedUsage(owner));
      assertEquals(60 * PAGE, owner.flush().vmalloc());
      assertEquals(0, instance.drainedUsage(other));
      owner.setMax(60 * PAGE);
      assertThrows(MemoryLimitException.class, () -> vmalloc.reallocate(address, 61 * PAGE));
      assertEquals(Vmalloc.NULL, vmalloc.tryReallocate(address, 61 * PAGE));
      owner.setMax(100 * PAGE);
      long blocker = instance.in(other, () -> vmalloc.allocate(PAGE));
      long moved = instance.in(other, () -> vmalloc.reallocate(address, 70 * PAGE));
      assertEquals(71 * PAGE, instance.drainedUsage(other), "a moved area is the mover's");
      assertEquals(0, instance.drainedUsage(owner));
      vmalloc.free(blocker);
      vmalloc.free(moved);
      instance.assertNoAreasLeft();
    }
  }

  @Test
  void free_afterTheGroupWasRemoved_goesToTheHeir() throws Exception {
    try (Instance instance = Instance.create()) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      MemCgroup parent = instance.root.create("p");
      MemCgroup group = parent.create("a");
      List<Long> areas = new ArrayList<>();
      try (Scope _ = instance.enter(group)) {
        for (int i = 1; i <= 10; i++) {
          areas.add(vmalloc.allocate(i * PAGE));
        }
      }
      group.remove();
      assertEquals(55 * PAGE, instance.drainedUsage(parent));
      assertTrue(vmalloc.vmallocinfo().lines().allMatch(line -> line.endsWith("tenant=/p")));
      long grown = areas.getLast();
      assertEquals(grown, vmalloc.reallocate(grown, 20 * PAGE));
      assertEquals(65 * PAGE, instance.drainedUsage(parent));
      Instance.elsewhere(() -> {
        areas.forEach(vmalloc::free);
        return null;
      });
      assertEquals(0, instance.drainedUsage(parent));
      instance.assertNoAreasLeft();
    }
  }

  @Test
  void anyCall_osRefuses_leavesUsageAsItWas() {
    try (Instance instance = Instance.create()) {
      Vmalloc vmalloc = instance.quietVmalloc();
      MemCgroup group = instance.root.create("p").create("a");
      long address = instance.in(group, () -> vmalloc.allocate(10 * PAGE));
      Instance.fill(address, 10 * PAGE, 3);
      long pooled = instance.in(group, () -> vmalloc.allocate(7 * PAGE));
      vmalloc.free(pooled);
      vmalloc.purge();
      long usage = instance.drainedUsage(group);
      VmallocInfo before = vmalloc.info();
      instance.pages.refuse(true);
      try (Scope _ = instance.enter(group)) {
        assertEquals(pooled, vmalloc.allocate(7 * PAGE), "committed addresses need no OS");
        vmalloc.free(pooled);
        MemoryLimitException e =
            assertThrows(MemoryLimitException.class, () -> vmalloc.allocate(5 * PAGE));
        assertEquals(MemoryLimitException.OS, e.limitedBy());
        assertEquals("/p/a", e.group());
        assertEquals(Vmalloc.NULL, vmalloc.tryAllocate(PAGE));
        assertEquals(Vmalloc.NULL, vmalloc.tryAllocateAligned(PAGE, 1 << 20));
        assertEquals(Vmalloc.NULL, vmalloc.tryReallocate(address, 11 * PAGE));
        assertThrows(MemoryLimitException.class, () -> vmalloc.reallocate(address, 400 * PAGE));
      }
      assertEquals(usage, instance.drainedUsage(group));
      assertEquals(usage, group.flush().vmalloc());
      assertEquals(before.usedBytes(), vmalloc.info().usedBytes());
      assertEquals(before.nrAreas(), vmalloc.info().nrAreas());
      assertEquals(10 * PAGE, vmalloc.usableSize(address));
      assertNull(vmalloc.find(address + 10 * PAGE));
      assertEquals(3, Instance.read(address, 10 * PAGE - 1));
      instance.pages.refuse(false);
      assertEquals(address, vmalloc.reallocate(address, 400 * PAGE));
      vmalloc.free(address);
      vmalloc.close();
      instance.assertNoAreasLeft();
    }
  }

  @Test
  void allocate_rangeIsUsedUp_isRefusedAndFreedAddressesServeAgain() {
    try (Instance instance = Instance.ofRange(1 << 22)) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      for (int round = 0; round < 3; round++) {
        List<Long> areas = new ArrayList<>();
        for (long a = vmalloc.tryAllocate(7 * PAGE); a != 0; a = vmalloc.tryAllocate(7 * PAGE)) {
          areas.add(a);
        }
        assertEquals((1024 - 1) / 8, areas.size(), "round=" + round);
        assertThrows(MemoryLimitException.class, () -> vmalloc.allocate(100 * PAGE));
        areas.forEach(vmalloc::free);
        long all = vmalloc.allocate((1 << 22) - 2 * PAGE);
        Instance.fill(all, (1 << 22) - 2 * PAGE, 1);
        vmalloc.free(all);
      }
      instance.assertNoAreasLeft();
    }
  }
}
