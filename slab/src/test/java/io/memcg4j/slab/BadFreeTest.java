package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.FutureTask;
import java.util.function.LongConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A free of anything but an allocated object throws and changes nothing, wherever it comes from.
 */
final class BadFreeTest {
  private static final int NR_SCOPE_SLOTS = 3;
  private static final int[] SIZES = {8, 64, 100, 1000, 4000, 8192, 9000, 100_000, 3 << 20};

  /** Where the bad free comes from. The objects are on a slot of the main thread. */
  private enum Place {
    /** The thread and scope that the objects were allocated in. */
    OWNER,
    OWNER_BOUND,
    /** The same slot, another tenant's scope. */
    NESTED_SCOPE,
    /** Another thread inside a scope, while the home slot is in use. */
    OTHER_SLOT,
    OTHER_SLOT_BOUND,
    /** Another thread outside any scope, while the home slot is in use. */
    NO_SCOPE,
    /** Outside any scope while the home slot is idle, so that the free takes that slot. */
    NO_SCOPE_HOME_IDLE,
    /** Another thread in a scope that found no slot. */
    OVERFLOW
  }

  private static final class World implements AutoCloseable {
    final Instance instance = Instance.of(CpuSlots.create(NR_SCOPE_SLOTS, 2));
    final Kmalloc kmalloc = instance.kmalloc;
    final ObjCgroup handle = instance.handle("a");
    final ObjCgroup other = instance.handle("b");
    final List<Long> live = new ArrayList<>();
    final Place place;
    Scope scope;
    long mappedBytes;
    int nrSlabs;

    World(Place place) {
      this.place = place;
      this.scope = handle.enter();
      for (int round = 0; round < 3; round++) {
        for (int size : SIZES) {
          add(kmalloc.allocate(size));
        }
      }
      if (place == Place.NO_SCOPE_HOME_IDLE) {
        scope.close();
      }
    }

    void add(long address) {
      long usable = kmalloc.usableSize(address);
      Instance.writeLong(address, 0, address);
      Instance.writeLong(address, usable - 8, address);
      live.add(address);
    }

    /** Runs where the place says. */
    void at(LongConsumerBody body) throws Exception {
      switch (place) {
        case OWNER, NO_SCOPE_HOME_IDLE -> body.run(kmalloc::free);
        case OWNER_BOUND -> body.run(kmalloc.bind(scope)::free);
        case NESTED_SCOPE -> {
          try (Scope _ = other.enter()) {
            body.run(kmalloc::free);
          }
        }
        case OTHER_SLOT ->
            Instance.elsewhere(() -> {
              try (Scope _ = other.enter()) {
                body.run(kmalloc::free);
              }
              return null;
            });
        case OTHER_SLOT_BOUND ->
            Instance.elsewhere(() -> {
              try (Scope inner = handle.enter()) {
                body.run(kmalloc.bind(inner)::free);
              }
              return null;
            });
        case NO_SCOPE ->
            Instance.elsewhere(() -> {
              body.run(kmalloc::free);
              return null;
            });
        case OVERFLOW ->
            Instance.elsewhere(() -> {
              List<CpuSlot> held = new ArrayList<>();
              for (int i = 0; i < NR_SCOPE_SLOTS; i++) {
                var slot = kmalloc.allocator().registry().slots().slot(i);
                if (kmalloc.allocator().registry().slots().tryClaim(slot)) {
                  held.add(slot);
                }
              }
              try (Scope inner = other.enter()) {
                assertTrue(!inner.frame().holdsSlot());
                body.run(kmalloc::free);
              }
              held.forEach(CpuSlot::release);
              return null;
            });
      }
    }

    /** Takes the figures that must stay. */
    void remember() {
      mappedBytes = kmalloc.info().mappedBytes();
      nrSlabs = kmalloc.info().nrSlabs();
    }

    void assertUnchanged(String what) {
      SlabInfo info = kmalloc.info();
      assertEquals(live.size(), info.nrObjects(), what);
      assertEquals(nrSlabs, info.nrSlabs(), what);
      // Idle pages may have gone back meanwhile: that is a matter of time, not of the free.
      assertTrue(info.mappedBytes() <= mappedBytes, what);
      assertEquals(0, info.nrBadFrees(), what);
      for (long address : live) {
        long usable = kmalloc.usableSize(address);
        assertEquals(address, Instance.readLong(address, 0), what);
        assertEquals(address, Instance.readLong(address, usable - 8), what);
      }
    }

    /** The allocator still works, and the charges are those of the live objects. */
    @Override
    public void close() {
      List<Long> more = new ArrayList<>();
      for (int size : SIZES) {
        more.add(kmalloc.allocate(size)); // must not hit a live one
        Instance.fill(more.getLast(), size, 0x55);
      }
      assertUnchangedContents();
      more.forEach(kmalloc::free);
      if (place != Place.NO_SCOPE_HOME_IDLE) {
        scope.close();
      }
      long charge = 0;
      for (long address : live) {
        charge += Instance.chargeOf(kmalloc.usableSize(address));
      }
      assertEquals(Instance.roundToPages(charge), instance.drainedUsage(handle.group()), "charges");
      live.forEach(kmalloc::free);
      instance.assertNothingLeft();
      instance.close();
    }

    private void assertUnchangedContents() {
      for (long address : live) {
        assertEquals(address, Instance.readLong(address, 0));
      }
    }
  }

  private interface LongConsumerBody {
    void run(LongConsumer free) throws Exception;
  }

  private static void assertRefused(World world, LongConsumer free, long address, String reason) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> free.accept(address),
            () -> reason + " at " + world.place);
    assertTrue(
        e.getMessage().startsWith(reason + ": address=0x" + Long.toHexString(address) + " "),
        e::getMessage);
  }

  @ParameterizedTest
  @EnumSource(Place.class)
  void free_wildAddress_throwsAndChangesNothing(Place place) throws Exception {
    try (World world = new World(place)) {
      SlabRange range = world.instance.allocator().range();
      long base = range.base();
      long end = base + range.rangeBytes();
      world.remember();
      world.at(free -> {
        for (long address :
            new long[] {
              1,
              8,
              15,
              17,
              -1,
              Long.MIN_VALUE,
              Long.MAX_VALUE,
              base - 1,
              base - 8,
              end,
              end - 8,
              end - 1,
              end + (1L << 40),
              base + range.rangeBytes() / 2
            }) {
          assertRefused(world, free, address, "wild free");
          world.assertUnchanged("address=" + address);
        }
      });
    }
  }

  @ParameterizedTest
  @EnumSource(Place.class)
  void free_interiorAddress_throwsAndChangesNothing(Place place) throws Exception {
    try (World world = new World(place)) {
      world.remember();
      world.at(free -> {
        for (long address : world.live) {
          long usable = world.kmalloc.usableSize(address);
          for (long offset : new long[] {1, 4, usable / 2 + 1, usable - 1}) {
            assertRefused(world, free, address + offset, "free of an interior address");
          }
          if (usable > 8) {
            assertRefused(world, free, address + 8, "free of an interior address");
          }
        }
        world.assertUnchanged("interior");
      });
    }
  }

  /** The end of a slab may be too short for an object. */
  @ParameterizedTest
  @EnumSource(Place.class)
  void free_tailOfASlab_throwsAndChangesNothing(Place place) throws Exception {
    try (World world = new World(place)) {
      world.remember();
      world.at(free -> {
        for (long address : world.live) {
          Slab slab = world.instance.allocator().slabOf(address);
          long end = slab.base + ((long) slab.nrChunks << SlabGeometry.CHUNK_SHIFT);
          if (slab.large) {
            continue;
          }
          for (long tail = slab.base + slab.usableBytes; tail < end; tail += slab.objectSize) {
            assertRefused(world, free, tail, "free of an interior address");
          }
        }
        world.assertUnchanged("tail");
      });
    }
  }

  @ParameterizedTest
  @EnumSource(Place.class)
  void free_neverAllocatedNeighbour_throwsAndChangesNothing(Place place) throws Exception {
    try (World world = new World(place)) {
      world.remember();
      world.at(free -> {
        for (long address : List.copyOf(world.live)) {
          Slab slab = world.instance.allocator().slabOf(address);
          if (slab.large) {
            continue;
          }
          long last = slab.base + slab.usableBytes - slab.objectSize;
          for (long neighbour = slab.base; neighbour <= last; neighbour += slab.objectSize) {
            if (!world.live.contains(neighbour)) {
              assertRefused(world, free, neighbour, "double free");
            }
          }
        }
        world.assertUnchanged("never allocated");
      });
    }
  }

  /** Runs above 2 MiB go back to the OS at once, and are unknown from then on. */
  private static String secondFree(int victim) {
    int size = SIZES[(victim + 1) % SIZES.length];
    return size > 2 << 20 ? "wild free" : "double free";
  }

  /** First freed by its own slot, or by the place itself; then freed again by the place. */
  @ParameterizedTest
  @EnumSource(Place.class)
  void free_twice_throwsAndChangesNothing(Place place) throws Exception {
    for (boolean firstAtPlace : new boolean[] {false, true}) {
      try (World world = new World(place)) {
        List<Long> victims = new ArrayList<>();
        for (int i = 0; i < SIZES.length; i++) {
          victims.add(world.live.remove(SIZES.length + 1));
        }
        if (!firstAtPlace) {
          victims.forEach(world.kmalloc::free);
        }
        world.at(free -> {
          if (firstAtPlace) {
            victims.forEach(free::accept);
          }
          world.remember();
          for (long address : victims) {
            for (int again = 0; again < 3; again++) {
              assertRefused(world, free, address, secondFree(victims.indexOf(address)));
            }
          }
          world.assertUnchanged("second free, first at place: " + firstAtPlace);
        });
        for (long address : victims) {
          // And by the owner once more, whether or not its slot has collected.
          assertRefused(world, world.kmalloc::free, address, secondFree(victims.indexOf(address)));
          assertThrows(IllegalArgumentException.class, () -> world.kmalloc.usableSize(address));
          assertThrows(IllegalArgumentException.class, () -> world.kmalloc.reallocate(address, 10));
          assertThrows(IllegalArgumentException.class, () -> world.kmalloc.reallocate(address, 0));
        }
        world.assertUnchanged("by the owner");
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Place.class)
  void free_afterShrink_throwsAndChangesNothing(Place place) throws Exception {
    try (World world = new World(place)) {
      List<Long> victims = new ArrayList<>();
      for (int size : new int[] {2000, 5000, 40_000, 1 << 22}) {
        for (int i = 0; i < 40; i++) {
          victims.add(world.kmalloc.allocate(size));
        }
      }
      victims.forEach(world.kmalloc::free);
      world.kmalloc.shrink();
      world.remember();
      world.at(free -> {
        for (long address : victims) {
          IllegalArgumentException e =
              assertThrows(IllegalArgumentException.class, () -> free.accept(address));
          assertTrue(e.getMessage().contains(" free"), e::getMessage);
          assertTrue(
              e.getMessage().contains("address=0x" + Long.toHexString(address)), e::getMessage);
        }
        world.assertUnchanged("after shrink");
      });
    }
  }

  @ParameterizedTest
  @EnumSource(Place.class)
  void free_objectOfAnotherInstance_throwsAndChangesNothing(Place place) throws Exception {
    try (World world = new World(place);
        Kmalloc sameTree = Kmalloc.builder(world.instance.root).rangeBytes(1 << 26).build();
        Instance stranger = Instance.create()) {
      List<Long> foreign = new ArrayList<>();
      for (int size : SIZES) {
        foreign.add(stranger.kmalloc.allocate(size));
        foreign.add(sameTree.allocate(size));
      }
      world.remember();
      world.at(free -> {
        for (long address : foreign) {
          assertRefused(world, free, address, "wild free");
        }
        world.assertUnchanged("foreign");
      });
      for (int i = 0; i < foreign.size(); i += 2) {
        stranger.kmalloc.free(foreign.get(i));
        sameTree.free(foreign.get(i + 1));
      }
      sameTree.shrink();
      stranger.assertNothingLeft();
    }
  }

  @Test
  void free_wild_textNamesTheRange() {
    try (Instance instance = Instance.create()) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> instance.kmalloc.free(0x1234));
      SlabRange range = instance.allocator().range();
      assertEquals(
          "wild free: address=0x1234 range=0x%x..0x%x"
              .formatted(range.base(), range.base() + range.rangeBytes()),
          e.getMessage());
    }
  }

  @Test
  void free_interior_textNamesTheObjectSize() {
    try (Instance instance = Instance.create()) {
      long address = instance.kmalloc.allocate(100);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> instance.kmalloc.free(address + 3));
      Slab slab = instance.allocator().slabOf(address);
      assertEquals(
          "free of an interior address: address=0x%x slab=0x%x offset=%d objectSize=112"
              .formatted(address + 3, slab.base, address + 3 - slab.base),
          e.getMessage());
      instance.kmalloc.free(address);
    }
  }

  /** Two threads free the same objects at the same time: each is freed once, no charge twice. */
  @Test
  void free_sameObjectOnTwoThreadsAtOnce_isFreedOnce() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(4, 2))) {
      ObjCgroup handle = instance.handle("a");
      long nrAgreed = 0;
      for (int round = 0; round < 40; round++) {
        long[] objects = new long[500];
        var barrier = new CyclicBarrier(2);
        try (Scope _ = handle.enter()) {
          for (int i = 0; i < objects.length; i++) {
            objects[i] = instance.kmalloc.allocate(64);
          }
          var task =
              new FutureTask<>(() -> {
                try (Scope _ = handle.enter()) {
                  barrier.await();
                  return freeAll(instance.kmalloc, objects);
                }
              });
          new Thread(task).start();
          barrier.await();
          int nrHere = freeAll(instance.kmalloc, objects);
          nrAgreed += nrHere + Instance.await(task) - objects.length;
        }
        instance.kmalloc.shrink();
        assertEquals(0, instance.kmalloc.info().nrObjects());
        assertEquals(nrAgreed, instance.kmalloc.info().nrBadFrees(), "round=" + round);
        assertEquals(0, instance.drainedUsage(handle.group()), "round=" + round);
      }
    }
  }

  /** What remains of a free elsewhere whose checks came just before the owner freed the object. */
  @Test
  void free_secondOneLandsAfterTheChecks_isCountedAndChargedOnce() {
    try (Instance instance = Instance.create()) {
      ObjCgroup handle = instance.handle("a");
      long kept;
      try (Scope _ = handle.enter()) {
        kept = instance.kmalloc.allocate(1000);
        long victim = instance.kmalloc.allocate(1000);
        Slab slab = instance.allocator().slabOf(victim);
        int index = slab.indexOf(victim);
        assertEquals(slab.wordOf(slab.indexOf(kept)), slab.wordOf(index));
        instance.kmalloc.free(victim);
        CpuSlot slot = instance.root.slots().claimShared();
        assertTrue(slab.wordOf(index).freeRemotely(slab.bitOf(index)));
        handle.uncharge(slot, slab.chargeBytes);
        slab.home.noteRemoteFree(slab);
        slot.release();
      }
      instance.kmalloc.shrink();
      assertEquals(1, instance.kmalloc.info().nrBadFrees());
      assertEquals(1, instance.kmalloc.info().nrObjects());
      assertEquals(Instance.PAGE, instance.drainedUsage(handle.group()));
      instance.kmalloc.free(kept);
      assertEquals(0, instance.drainedUsage(handle.group()));
    }
  }

  private static int freeAll(Kmalloc kmalloc, long[] objects) {
    int nrFreed = 0;
    for (long address : objects) {
      try {
        kmalloc.free(address);
        nrFreed++;
      } catch (IllegalArgumentException e) {
        assertTrue(e.getMessage().startsWith("double free"), e::getMessage);
      }
    }
    return nrFreed;
  }
}
