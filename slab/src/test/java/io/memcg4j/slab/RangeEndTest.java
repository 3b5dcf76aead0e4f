package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A range that is used up, and what is free again in it. */
final class RangeEndTest {
  private static final long RANGE = 4 << 20;

  @Test
  void allocate_rangeUsedUp_isRefusedByTheOsAndChargesNothing() {
    try (Instance instance = Instance.ofRange(RANGE)) {
      ObjCgroup handle = instance.handle("a");
      long all;
      try (Scope _ = handle.enter()) {
        all = instance.kmalloc.allocate(RANGE);
        Instance.write(all, RANGE - 1, 1);
      }
      assertEquals(RANGE, instance.drainedUsage(handle.group()));
      try (Scope _ = handle.enter()) {
        MemoryLimitException e =
            assertThrows(MemoryLimitException.class, () -> instance.kmalloc.allocate(1));
        assertEquals(MemoryLimitException.OS, e.limitedBy());
        assertEquals("/a", e.group());
        assertEquals(1, e.requestedBytes());
        assertEquals(RANGE, e.maxBytes());
        assertEquals(Kmalloc.NULL, instance.kmalloc.tryAllocate(10_000));
        assertEquals(Kmalloc.NULL, instance.kmalloc.tryAllocateAligned(64, 1 << 20));
      }
      assertEquals(RANGE, instance.drainedUsage(handle.group()));
      assertEquals(1, instance.kmalloc.info().nrObjects());
      instance.kmalloc.free(all);
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_anObjectOfEachClass_fitsTheSmallestRange() {
    try (Instance instance = Instance.ofRange(RANGE)) {
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.handle("a").enter()) {
        for (int i = 0; i < SizeClasses.COUNT; i++) {
          objects.add(instance.kmalloc.allocate(SizeClasses.size(i)));
        }
      }
      long mapped = instance.kmalloc.info().mappedBytes();
      assertTrue(mapped <= RANGE / 2, () -> "mapped=" + mapped);
      objects.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_memoryOfAnotherClassIsFree_isGranted() {
    try (Instance instance = Instance.ofRange(RANGE)) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope _ = instance.handle("a").enter()) {
        for (long size : new long[] {64, 8192, 100_000, 512, RANGE, 24, RANGE / 2, 4096}) {
          List<Long> objects = new ArrayList<>();
          for (long a = kmalloc.tryAllocate(size); a != 0; a = kmalloc.tryAllocate(size)) {
            objects.add(a);
          }
          long nrBytes = objects.size() * size;
          assertTrue(nrBytes > RANGE / 4, () -> "size=" + size + " nrBytes=" + nrBytes);
          objects.forEach(kmalloc::free);
        }
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_emptySlabsOnOtherSlots_areTaken() throws Exception {
    try (Instance instance = Instance.ofRange(RANGE)) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      // Freed elsewhere: the idle slot that they come from has not taken them back.
      List<Long> objects =
          Instance.elsewhere(() -> {
            List<Long> made = new ArrayList<>();
            try (Scope _ = handle.enter()) {
              for (long a = kmalloc.tryAllocate(64); a != 0; a = kmalloc.tryAllocate(64)) {
                made.add(a);
              }
            }
            return made;
          });
      Scope first = handle.enter();
      try (Scope _ = handle.enter()) {
        objects.forEach(kmalloc::free);
        long address = kmalloc.tryAllocate(RANGE / 2);
        assertNotEquals(Kmalloc.NULL, address);
        kmalloc.free(address);
      }
      first.close();
      instance.assertNothingLeft();
    }
  }

  /** Room to grow is left only where there is some. */
  @Test
  void reallocate_toMostOfTheRange_isGranted() {
    try (Instance instance = Instance.ofRange(RANGE)) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope _ = instance.handle("a").enter()) {
        long address = kmalloc.allocate(100);
        Instance.writeLong(address, 0, 42);
        for (long nrBytes : new long[] {10_000, 500_000, RANGE * 5 / 8}) {
          address = kmalloc.reallocate(address, nrBytes);
          assertEquals(42, Instance.readLong(address, 0));
        }
        kmalloc.free(address);
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void rangeBytes_outOfRange_isRefused() {
    try (Instance instance = Instance.create()) {
      Kmalloc.Builder builder = Kmalloc.builder(instance.root);
      for (long nrBytes : new long[] {0, -1, (1 << 22) - 1, (1L << 44) + 1, Long.MAX_VALUE}) {
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> builder.rangeBytes(nrBytes));
        assertTrue(e.getMessage().contains("rangeBytes=" + nrBytes), e::getMessage);
      }
    }
  }

  @Test
  void build_addressSpaceRefused_takesLessOrSaysSo() {
    try (Instance instance = Instance.create()) {
      Mapper halfRefusing =
          new Mapper() {
            private final Mapper os = new Mmap();

            @Override
            public long reserve(long nrBytes) {
              return nrBytes > 1 << 25 ? 0 : os.reserve(nrBytes);
            }

            @Override
            public boolean commit(long address, long nrBytes) {
              return os.commit(address, nrBytes);
            }

            @Override
            public void discard(long address, long nrBytes) {
              os.discard(address, nrBytes);
            }

            @Override
            public void release(long address, long nrBytes) {
              os.release(address, nrBytes);
            }
          };
      try (Kmalloc small = Kmalloc.builder(instance.root).mapper(halfRefusing).build()) {
        long rangeBytes = small.info().rangeBytes();
        assertTrue(rangeBytes >= 1 << 22 && rangeBytes < 1 << 25, () -> "range=" + rangeBytes);
        long address = small.allocate(rangeBytes);
        Instance.write(address, rangeBytes - 1, 1);
        small.free(address);
      }
    }
  }
}
