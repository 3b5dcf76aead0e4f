package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Frees of what another slot allocated, inside a scope: which go the short way, and their books.
 */
final class RemoteFreeTest {
  private static final int NR_OBJECTS = 300;

  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final ObjCgroup tenant = instance.handle("tenant");

  @AfterEach
  void nothingIsLeft() {
    instance.assertNothingLeft();
    instance.close();
  }

  private List<Long> allocate(int count, int size) {
    return Stream.generate(() -> kmalloc.allocate(size)).limit(count).toList();
  }

  /** Whether the short way takes a free in a scope of the calling thread. */
  private boolean isFreedFast(long address) {
    Magazines magazines = kmalloc.allocator().armedMagazines(true);
    if (magazines == null) {
      kmalloc.free(kmalloc.allocate(16)); // arms the slot
      magazines = Objects.requireNonNull(kmalloc.allocator().armedMagazines(true), "not armed");
    }
    return SlotSlabs.freeFast(kmalloc.allocator().range(), address, magazines);
  }

  /** How many of the objects the short way takes; the others are freed by the general one. */
  private long freeAllElsewhere(ObjCgroup payer, List<Long> addresses) throws Exception {
    return Instance.elsewhere(() -> {
      try (Scope _ = payer.enter()) {
        return addresses.stream()
            .filter(address -> {
              boolean fast = isFreedFast(address);
              if (!fast) {
                kmalloc.free(address);
              }
              return fast;
            })
            .count();
      }
    });
  }

  @Test
  void free_samePayerOnAnotherSlot_isFastAndGivesChargeAndObjectBack() throws Exception {
    try (Scope _ = tenant.enter()) {
      List<Long> first = allocate(NR_OBJECTS, 64);
      assertEquals(NR_OBJECTS, freeAllElsewhere(tenant, first));
      assertEquals(0, kmalloc.info().nrObjects());
      long mappedBytes = kmalloc.info().mappedBytes();
      for (int i = 0; i < 1000; i++) {
        assertEquals(NR_OBJECTS, freeAllElsewhere(tenant, allocate(NR_OBJECTS, 64)));
      }
      assertTrue(kmalloc.info().mappedBytes() < mappedBytes + (1 << 20), "not used again");
    }
    assertEquals(0, instance.drainedUsage(tenant.group()));
  }

  @Test
  void free_ofTheRoot_isFast() throws Exception {
    ObjCgroup root = instance.registry().rootHandle();
    try (Scope _ = root.enter()) {
      assertEquals(NR_OBJECTS, freeAllElsewhere(root, allocate(NR_OBJECTS, 200)));
    }
  }

  @Test
  void free_twice_isFoundByEitherWay() throws Exception {
    long kept;
    try (Scope _ = tenant.enter()) {
      List<Long> addresses = allocate(NR_OBJECTS, 64);
      kept = kmalloc.allocate(64);
      kmalloc.free(addresses.get(7));
      Instance.elsewhere(() -> {
        try (Scope _ = tenant.enter()) {
          for (int i = 0; i < NR_OBJECTS; i++) {
            long address = addresses.get(i);
            assertEquals(i != 7, isFreedFast(address), "freed by its owner");
            assertFalse(isFreedFast(address), "freed here");
            assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
            assertFalse(isFreedFast(address + 8), "inside of an object");
          }
          return null;
        }
      });
      for (long address : addresses) {
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
      }
    }
    assertEquals(Instance.PAGE, instance.drainedUsage(tenant.group()));
    kmalloc.free(kept);
  }

  @Test
  void free_inTheScopeOfAnotherPayer_takesTheGeneralWay() throws Exception {
    ObjCgroup other = instance.handle("other");
    try (Scope _ = tenant.enter()) {
      List<Long> addresses = allocate(NR_OBJECTS, 64);
      assertEquals(0, freeAllElsewhere(other, addresses));
      assertEquals(0, instance.drainedUsage(other.group()));
    }
    assertEquals(0, instance.drainedUsage(tenant.group()));
  }

  @Test
  void free_ofAnotherPayerOnTheSameSlot_isNotRemote() {
    SlabRange range = kmalloc.allocator().range();
    ObjCgroup other = instance.handle("other");
    try (Scope _ = tenant.enter()) {
      List<Long> addresses = allocate(NR_OBJECTS, 64);
      try (Scope _ = other.enter()) {
        for (long address : addresses) {
          assertFalse(isFreedFast(address), "of this slot, but another's");
          kmalloc.free(address);
          Slab slab = Objects.requireNonNull(range.find(address));
          assertEquals(0, slab.wordOf(slab.indexOf(address)).remote(), "waits to be collected");
        }
      }
    }
  }

  @Test
  void free_debugIsOn_takesTheGeneralWay() throws Exception {
    kmalloc.debug().set("FZPU,kmalloc-64");
    try (Scope _ = tenant.enter()) {
      List<Long> addresses = allocate(NR_OBJECTS, 64);
      assertEquals(0, freeAllElsewhere(tenant, addresses));
    }
    kmalloc.debug().set("");
  }

  @Test
  void free_callSiteIsKnown_isForgotten() throws Exception {
    kmalloc.profile().exact();
    try (Scope _ = tenant.enter()) {
      List<Long> addresses = allocate(NR_OBJECTS, 64);
      assertEquals(NR_OBJECTS, kmalloc.profile().top(1).getFirst().nrLive());
      assertEquals(NR_OBJECTS, freeAllElsewhere(tenant, addresses));
      assertEquals(List.of(), kmalloc.profile().top(1));
    }
  }

  @Test
  void free_groupWasRemoved_leavesNothing() throws Exception {
    List<Long> addresses;
    try (Scope _ = tenant.enter()) {
      addresses = allocate(NR_OBJECTS, 64);
      Instance.elsewhere(() -> {
        try (Scope _ = tenant.enter()) {
          assertTrue(isFreedFast(addresses.getFirst()));
          tenant.group().remove();
          addresses.stream().skip(1).forEach(kmalloc::free);
        }
        return null;
      });
    }
    assertEquals(0, instance.drainedUsage(instance.root));
  }
}
