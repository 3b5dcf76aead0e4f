package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** The byte stock of a slot, as the allocator uses it. */
final class StockTest {
  @Test
  void allocateLarge_stockHoldsMoreThanItsLimit_isGranted() {
    try (Instance instance = Instance.create()) {
      MemCgroup group = instance.root.create("a");
      try (Scope _ = instance.enter(group)) {
        long[] small = new long[5];
        for (int i = 0; i < small.length; i++) {
          small[i] = instance.kmalloc.allocate(1000);
        }
        for (long address : small) {
          instance.kmalloc.free(address);
        }
        long large = instance.kmalloc.allocate(3 * Instance.PAGE);
        instance.kmalloc.free(large);
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocateLarge_limitOfTheStockShrank_isGranted() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      MemCgroup group = instance.root.create("a");
      try (Scope _ = instance.enter(group)) {
        long big = instance.kmalloc.allocate(64 << 20);
        long small = instance.kmalloc.allocate(8192);
        instance.kmalloc.free(small); // the stock of a group that uses much may hold much
        long[] many = new long[64];
        for (int i = 0; i < many.length; i++) {
          many[i] = instance.kmalloc.allocate(8192);
        }
        for (long address : many) {
          instance.kmalloc.free(address);
        }
        instance.kmalloc.free(big); // now it uses little
        instance.kmalloc.free(instance.kmalloc.allocate(1 << 20));
        instance.kmalloc.free(instance.kmalloc.allocate(100 << 10));
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void uncharge_manyObjects_stockStaysWithinItsLimit() {
    try (Instance instance = Instance.create()) {
      ObjCgroup handle = instance.handle("a");
      try (Scope scope = handle.enter()) {
        for (int size : new int[] {1000, 1500, 3000, 4000, 5000, 8192}) {
          long[] objects = new long[40];
          for (int i = 0; i < objects.length; i++) {
            objects[i] = instance.kmalloc.allocate(size);
          }
          ObjStock stock = scope.frame().stock();
          for (long address : objects) {
            instance.kmalloc.free(address);
            long held = stock.nrBytes();
            assertTrue(
                held <= stock.limitBytes(),
                () -> "size=" + size + " held=" + held + " limit=" + stock.limitBytes());
          }
        }
      }
      instance.assertNothingLeft();
    }
  }

  /** The pages that the first round of a refused charge was granted must not stay in the stock. */
  @Test
  void allocateLarge_refusedInTheSecondRound_leavesNothingParked() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      MemCgroup group = instance.root.create("a");
      group.setMax(16 << 20);
      long nrRefused = 0;
      try (Scope _ = instance.enter(group)) {
        long live = instance.kmalloc.allocate(8 << 20);
        for (long nrPages = 1800; nrPages <= 2060; nrPages++) {
          // Fill the stock, so that the request is charged in part from it.
          long[] many = new long[8];
          for (int i = 0; i < many.length; i++) {
            many[i] = instance.kmalloc.allocate(4096);
          }
          for (long address : many) {
            instance.kmalloc.free(address);
          }
          long before = group.usage();
          long address = instance.kmalloc.tryAllocate(nrPages * Instance.PAGE);
          if (address == Kmalloc.NULL) {
            nrRefused++;
            long after = group.usage();
            long asked = nrPages;
            assertTrue(
                after <= before,
                () -> "nrPages=" + asked + " usageBefore=" + before + " usageAfter=" + after);
          } else {
            instance.kmalloc.free(address);
          }
        }
        instance.kmalloc.free(live);
      }
      assertTrue(nrRefused > 0, "nothing was refused");
      assertEquals(0, instance.drainedUsage(group));
      instance.assertNothingLeft();
    }
  }

  /** Its word was taken when nothing was allowed in advance, and is not left for that. */
  @Test
  void pairs_ofATenantThatHoldsNothingElse_areChargedInAdvance() {
    try (Instance one = Instance.create()) {
      ObjCgroup handle = one.handle("a");
      try (Scope _ = handle.enter()) {
        Kmalloc kmalloc = one.kmalloc;
        for (int i = 0; i < 3; i++) {
          kmalloc.free(kmalloc.allocate(64));
        }
        Magazines magazines =
            Objects.requireNonNull(one.allocator().armedMagazines(true), "not armed");
        Magazine magazine = magazines.get(SizeClasses.index(64));
        assertTrue(magazine.available() != 0, "nothing is charged in advance");
        assertTrue(
            magazines.stock().readyRoomBytes() >= 0, () -> "parkedBytes=" + magazine.parkedBytes());
      }
      one.root.drain();
      assertEquals(0, handle.group().usage());
    }
  }

  /** One thread in one slot, several allocators: what is ready in all of them is one budget. */
  @Test
  void severalAllocators_objectsReadyInAll_stayWithinTheBudgetOfOne() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      MemCgroup group = instance.root.create("a");
      group.setMax(64 << 20);
      List<Kmalloc> all = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        all.add(Kmalloc.builder(instance.root).rangeBytes(1 << 28).mapper(instance.pages).build());
      }
      long live = instance.in(group, () -> instance.kmalloc.allocate(16 << 20));
      try (Scope _ = instance.enter(group)) {
        for (int nrBytes = 8; nrBytes <= 4096; nrBytes *= 2) {
          for (Kmalloc kmalloc : all) {
            for (int i = 0; i < 100; i++) {
              kmalloc.free(kmalloc.allocate(nrBytes));
            }
          }
        }
      }
      long parked = instance.parkedBytes(group);
      assertTrue(parked > 0 && parked <= group.stockBudgetBytes(), () -> "parked=" + parked);
      instance.kmalloc.free(live);
      all.forEach(Kmalloc::close);
      instance.assertNothingLeft();
    }
  }

  /** What one allocator has ready is no reason for another one to charge each object by itself. */
  @Test
  void objectsReadyInAnotherAllocator_areGivenUpForThisOne() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1));
        Kmalloc other =
            Kmalloc.builder(instance.root).rangeBytes(1 << 28).mapper(instance.pages).build()) {
      ObjCgroup handle = instance.handle("a");
      try (Scope scope = handle.enter()) {
        other.free(other.allocate(64));
        ObjStock stock = scope.frame().stock();
        for (int size = 64; stock.readyRoomBytes() >= 1024; size += 64) {
          other.free(other.allocate(size));
          other.free(other.allocate(size));
        }
        long[] held = new long[30]; // too few for the tenant's share to grow by an object
        boolean isReady = false;
        for (int i = 0; i < held.length; i++) {
          held[i] = instance.kmalloc.allocate(1024);
          Magazines magazines =
              Objects.requireNonNull(instance.allocator().armedMagazines(true), "not armed");
          isReady |= magazines.get(SizeClasses.index(1024)).available() != 0;
        }
        assertTrue(isReady, "nothing is charged in advance");
        for (long address : held) {
          instance.kmalloc.free(address);
        }
      }
      instance.assertNothingLeft();
    }
  }

  /** As above, but within one allocator: one other size gives up what it has ready, not all. */
  @Test
  void objectsReadyOfOtherSizes_areGivenUpOneSizeAtATime() {
    try (Instance instance = Instance.of(CpuSlots.create(1, 1))) {
      ObjCgroup handle = instance.handle("a");
      int[] others = {
        1536, 1280, 1024, 896, 768, 64, 128, 192, 256, 320, 384, 448, 512, 96, 160, 8
      };
      try (Scope _ = handle.enter()) {
        Kmalloc kmalloc = instance.kmalloc;
        kmalloc.free(kmalloc.allocate(others[0]));
        Magazines magazines =
            Objects.requireNonNull(instance.allocator().armedMagazines(true), "not armed");
        ObjStock stock = magazines.stock();
        for (int size : others) {
          for (int i = 0; i < 2 && stock.readyRoomBytes() >= size; i++) {
            kmalloc.free(kmalloc.allocate(size));
          }
        }
        long room = stock.readyRoomBytes();
        assertTrue(room < 640, () -> "room=" + room);
        long nrReady = nrReady(magazines, others);
        assertTrue(nrReady > 2, () -> "sizes with objects ready: " + nrReady);
        long[] held = new long[8];
        Magazine starved = null;
        for (int i = 0; i < held.length; i++) {
          held[i] = kmalloc.allocate(640);
          starved = magazines.get(SizeClasses.index(640));
          if (starved.available() != 0) {
            break;
          }
        }
        assertTrue(starved != null && starved.available() != 0, "nothing is charged in advance");
        assertEquals(nrReady - 1, nrReady(magazines, others), "sizes with objects ready");
        for (long address : held) {
          if (address != 0) {
            kmalloc.free(address);
          }
        }
      }
      instance.assertNothingLeft();
    }
  }

  private static long nrReady(Magazines magazines, int[] sizes) {
    long nrReady = 0;
    for (int size : sizes) {
      nrReady += magazines.get(SizeClasses.index(size)).available() != 0 ? 1 : 0;
    }
    return nrReady;
  }
}
