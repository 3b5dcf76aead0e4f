package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** Memory that is in no use goes back to the OS. */
final class GiveBackTest {
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(20);

  @Test
  void shrink_everythingFreed_nothingIsMapped() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      for (String name : new String[] {"a", "b"}) {
        try (Scope _ = instance.handle(name).enter()) {
          List<Long> objects = new ArrayList<>();
          for (int size = 1; size <= 100_000; size += 1 + size / 7) {
            for (int i = 0; i < 20; i++) {
              objects.add(kmalloc.allocate(size));
            }
          }
          objects.forEach(kmalloc::free);
        }
      }
      long mapped = kmalloc.info().mappedBytes();
      assertTrue(mapped > 0, "nothing was kept");
      assertEquals(mapped, kmalloc.shrink());
      instance.assertNothingLeft();
      assertEquals(0, kmalloc.shrink());
    }
  }

  /** Of slabs in use, the pages in which no object is left go back. */
  @Test
  void shrink_99PercentFreedAtRandom_pagesWithoutObjectsGoBack_theRestIsIntact() {
    for (int size : new int[] {16, 24, 64, 100, 256, 1024, 4096}) {
      try (Instance instance = Instance.create();
          Scope _ = instance.handle("a").enter()) {
        Kmalloc kmalloc = instance.kmalloc;
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i < (16 << 20) / size; i++) {
          long address = kmalloc.allocate(size);
          Instance.fill(address, size, (byte) address >>> 3);
          objects.add(address);
        }
        Collections.shuffle(objects, new Random(size));
        List<Long> kept = new ArrayList<>(objects.subList(0, objects.size() / 100));
        objects.subList(kept.size(), objects.size()).forEach(kmalloc::free);
        Set<Long> pagesInUse = new HashSet<>();
        for (long address : kept) {
          for (long at = address; at < address + size; at += 8) {
            pagesInUse.add(at >>> 12);
          }
        }
        long before = kmalloc.info().mappedBytes();
        long returnable = before - pagesInUse.size() * Instance.PAGE;
        long returned = kmalloc.shrink();
        assertTrue(
            returned >= returnable * 9 / 10,
            "size=" + size + " returned=" + returned + " returnable=" + returnable);
        assertEquals(before - returned, kmalloc.info().mappedBytes());
        for (long address : kept) {
          assertEquals((byte) ((byte) address >>> 3), (byte) Instance.read(address, 0));
          assertEquals((byte) ((byte) address >>> 3), (byte) Instance.read(address, size - 1));
        }
        for (int i = 0; i < 20_000; i++) {
          kept.add(kmalloc.allocate(size)); // out of pages that were given back
        }
        assertTrue(kmalloc.info().mappedBytes() >= kept.size() * (long) size);
        kept.forEach(kmalloc::free);
        instance.assertNothingLeft();
      }
    }
  }

  @Test
  void pagesOfPartialSlabs_goBackAfterATime() throws InterruptedException {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.handle("a").enter()) {
        for (int i = 0; i < 100_000; i++) {
          objects.add(kmalloc.allocate(64));
        }
        for (int i = 0; i < objects.size(); i++) {
          if (i % 512 != 0) {
            kmalloc.free(objects.get(i)); // one object stays in each slab
          }
        }
      }
      long nrKept = (objects.size() + 511L) / 512;
      long deadline = System.nanoTime() + PATIENCE_NANOS;
      while (kmalloc.info().mappedBytes() > 2 * nrKept * Instance.PAGE
          && System.nanoTime() < deadline) {
        Thread.sleep(50);
      }
      assertTrue(
          kmalloc.info().mappedBytes() <= 2 * nrKept * Instance.PAGE,
          () -> "kept: " + kmalloc.info());
      for (int i = 0; i < objects.size(); i += 512) {
        kmalloc.free(objects.get(i));
      }
      instance.assertNothingLeft();
    }
  }

  /** Inside a scope the caller's own slot is shrunk too. */
  @Test
  void shrink_insideAScope_nothingIsMapped() {
    try (Instance instance = Instance.create();
        Scope _ = instance.handle("a").enter()) {
      instance.kmalloc.free(instance.kmalloc.allocate(64));
      instance.kmalloc.free(instance.kmalloc.allocate(1 << 20));
      instance.kmalloc.shrink();
      assertEquals(0, instance.kmalloc.info().mappedBytes());
      assertEquals(0, instance.root.usage());
    }
  }

  @Test
  void shrink_someObjectsLive_theirMemoryStays() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      List<Long> kept = new ArrayList<>();
      try (Scope _ = instance.handle("a").enter()) {
        List<Long> dropped = new ArrayList<>();
        for (int i = 0; i < 20_000; i++) {
          long address = kmalloc.allocate(512);
          Instance.writeLong(address, 0, i);
          Instance.writeLong(address, 504, ~i);
          (i % 1000 == 0 ? kept : dropped).add(address);
        }
        dropped.forEach(kmalloc::free);
      }
      kmalloc.shrink();
      long mapped = kmalloc.info().mappedBytes();
      assertTrue(mapped <= kept.size() * 32_768L, () -> "mapped=" + mapped);
      for (int k = 0; k < kept.size(); k++) {
        assertEquals(k * 1000L, Instance.readLong(kept.get(k), 0));
        assertEquals(~(k * 1000L), Instance.readLong(kept.get(k), 504));
      }
      kept.forEach(kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  @Test
  void purgeThread_slabsEmptied_givesBack() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope _ = instance.handle("a").enter()) {
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i < 100_000; i++) {
          objects.add(kmalloc.allocate(256));
        }
        objects.forEach(kmalloc::free);
      }
      assertTrue(kmalloc.info().retainedBytes() > 20 << 20, () -> kmalloc.info().toString());
      await(
          () -> kmalloc.info().retainedBytes() == 0 && kmalloc.info().mappedBytes() <= 2 * 32_768,
          instance);
      instance.assertNothingLeft();
    }
  }

  /** So few that the slot keeps them itself, and somebody is inside a scope all the time. */
  @Test
  void purgeThread_fewSlabsEmptiedOnBusySlot_givesBack() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope _ = instance.handle("a").enter()) {
        List<Long> objects = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
          objects.add(kmalloc.allocate(256));
        }
        objects.forEach(kmalloc::free);
        assertTrue(kmalloc.info().mappedBytes() > 300_000, () -> kmalloc.info().toString());
        await(
            () -> {
              kmalloc.free(kmalloc.allocate(5000)); // the owner comes by, with another cache
              return kmalloc.info().mappedBytes() <= 4 * 32_768;
            },
            instance);
      }
      instance.assertNothingLeft();
    }
  }

  /** Nobody uses the slot again that the objects come from. */
  @Test
  void purgeThread_objectsOfAnIdleSlotFreedElsewhere_givesBack() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      List<Long> objects = new ArrayList<>();
      try (Scope outer = handle.enter()) {
        for (int i = 0; i < 100_000; i++) {
          objects.add(kmalloc.allocate(256));
        }
        // The other thread has a slot of its own, so it frees remotely, as this slot is in use.
        Instance.elsewhere(() -> {
          try (Scope _ = handle.enter()) {
            objects.forEach(kmalloc::free);
          }
          return null;
        });
        assertTrue(outer.frame().holdsSlot());
      }
      assertEquals(0, kmalloc.info().nrObjects());
      long atMost = 4 << 15;
      await(
          () -> kmalloc.info().mappedBytes() <= atMost && kmalloc.info().retainedBytes() == 0,
          instance);
      instance.assertNothingLeft();
    }
  }

  @Test
  void purgeThread_allocationsGoOn_nothingInUseIsTakenAway() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(2500);
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        long[] objects = new long[20_000];
        for (int round = 0; System.nanoTime() - deadline < 0; round++) {
          int size = 64 << (round % 5);
          for (int i = 0; i < objects.length; i++) {
            objects[i] = bound.allocate(size);
            Instance.writeLong(objects[i], 0, objects[i]);
            Instance.writeLong(objects[i], size - 8, ~objects[i]);
          }
          for (long address : objects) {
            assertEquals(address, Instance.readLong(address, 0));
            assertEquals(~address, Instance.readLong(address, size - 8));
            bound.free(address);
          }
        }
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void residentMemory_largeObjectsAndSlabsFreed_dropsByWhatTheyHad() throws IOException {
    long nrBytes = 192L << 20;
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      long before = residentBytes();
      List<Long> objects = new ArrayList<>();
      try (Scope _ = instance.handle("a").enter()) {
        for (long sum = 0; sum < nrBytes / 2; sum += 8192) {
          objects.add(kmalloc.allocate(8192));
        }
        objects.add(kmalloc.allocate(nrBytes / 4));
        for (int i = 0; i < 32; i++) {
          objects.add(kmalloc.allocate(nrBytes / 4 / 32));
        }
        objects.forEach(a -> Instance.fill(a, kmalloc.usableSize(a), 1));
        long full = residentBytes();
        assertTrue(full - before > nrBytes * 3 / 4, () -> "grew by " + (full - before));
        objects.forEach(kmalloc::free);
        kmalloc.shrink();
        long after = residentBytes();
        assertTrue(full - after > nrBytes * 3 / 4, () -> "before=" + full + " after=" + after);
      }
      instance.assertNothingLeft();
    }
  }

  /** Off-heap memory that is gone must not be described on the heap for ever. */
  @Test
  void shrink_everythingFreed_metadataIsGarbage() {
    try (Instance instance = Instance.create()) {
      List<WeakReference<Slab>> slabs;
      try (Scope _ = instance.handle("a").enter()) {
        slabs = useAndFree(instance);
        instance.kmalloc.shrink();
        assertTrue(slabs.size() > 300, () -> "nrSlabs=" + slabs.size());
        await(
            () -> {
              System.gc();
              return slabs.stream().allMatch(slab -> slab.get() == null);
            },
            instance);
      }
      instance.assertNothingLeft();
    }
  }

  private static List<WeakReference<Slab>> useAndFree(Instance instance) {
    List<Long> objects = new ArrayList<>();
    Set<Slab> slabs = new HashSet<>();
    for (int i = 0; i < 20_000; i++) {
      objects.add(instance.kmalloc.allocate(512));
      slabs.add(instance.allocator().slabOf(objects.getLast()));
    }
    Collections.shuffle(objects, new Random(1));
    objects.forEach(instance.kmalloc::free);
    return slabs.stream().map(WeakReference::new).toList();
  }

  private static long residentBytes() throws IOException {
    String[] pages = Files.readString(Path.of("/proc/self/statm")).split(" ", 3);
    return Long.parseLong(pages[1]) * Instance.PAGE;
  }

  private static void await(BooleanSupplier condition, Instance instance) {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (!condition.getAsBoolean()) {
      assertFalse(System.nanoTime() - deadline > 0, () -> instance.kmalloc.info().toString());
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }
}
