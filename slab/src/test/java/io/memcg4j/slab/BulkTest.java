package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Many objects at once, or none. */
final class BulkTest {
  private final Instance instance = Instance.create();
  private final MemCgroup group = instance.root.create("a");

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 63, 64, 65, 1000, 20_000})
  void allocateBulk_anyCount_isApartAndCharged(int count) {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 72);
    long[] objects = new long[count + 2];
    objects[0] = 11;
    objects[count + 1] = 22;
    try (Scope _ = instance.enter(group)) {
      cache.allocateBulk(objects, 1, count);
      Set<Long> apart = new HashSet<>();
      for (int i = 1; i <= count; i++) {
        Instance.fill(objects[i], 72, i);
        assertTrue(apart.add(objects[i]));
      }
      for (int i = 1; i <= count; i++) {
        assertEquals((byte) i, Instance.read(objects[i], 71));
      }
    }
    assertEquals(
        Instance.roundToPages((long) count * cache.chargeBytes()), instance.drainedUsage(group));
    try (Scope _ = instance.enter(group)) {
      cache.freeBulk(objects, 1, count);
    }
    long[] expected = new long[count + 2];
    expected[0] = 11;
    expected[count + 1] = 22;
    assertArrayEquals(expected, objects);
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void tryAllocateBulk_outsideAnyScope_works() {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 72);
    long[] objects = new long[3000];
    assertTrue(cache.tryAllocateBulk(objects, 0, 3000));
    assertEquals(3000, cache.info().nrObjects());
    cache.freeBulk(objects, 0, 3000);
    assertEquals(0, cache.info().nrObjects());
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  /** A limit at every number of pages that the bulk could get before it is refused. */
  @Test
  void tryAllocateBulk_refusedAtEveryPage_nothingIsHeld() {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 200);
    int count = 600;
    long needPages = (count * (long) cache.chargeBytes() + Instance.PAGE - 1) / Instance.PAGE;
    long[] objects = new long[count];
    try (Scope _ = instance.enter(group)) {
      for (long pages = 0; pages <= needPages; pages++) {
        group.setMax(pages * Instance.PAGE);
        boolean fits = pages == needPages;
        assertEquals(fits, cache.tryAllocateBulk(objects, 0, count), "pages=" + pages);
        if (!fits) {
          assertArrayEquals(new long[count], objects);
          assertEquals(0, cache.info().nrObjects());
          MemoryLimitException e =
              assertThrows(MemoryLimitException.class, () -> cache.allocateBulk(objects, 0, count));
          assertEquals((long) count * cache.chargeBytes(), e.requestedBytes());
          assertTrue(group.usage() <= group.stockBoundBytes(), "charges left");
        }
      }
      cache.freeBulk(objects, 0, count);
    }
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  /** The OS refuses memory at some point: what the bulk has by then goes back. */
  @Test
  void allocateBulk_noMemoryToBeHad_nothingIsHeld() {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 8192);
    long[] objects = new long[2000];
    cache.free(cache.allocate());
    instance.pages.refuse(true);
    try (Scope _ = instance.enter(group)) {
      assertFalse(cache.tryAllocateBulk(objects, 0, objects.length));
      assertArrayEquals(new long[2000], objects);
      assertThrows(
          MemoryLimitException.class, () -> cache.allocateBulk(objects, 0, objects.length));
      assertTrue(instance.pages.nrRefusals() > 0);
      assertEquals(0, cache.info().nrObjects());
    }
    assertEquals(0, instance.drainedUsage(group));
    instance.pages.refuse(false);
    try (Scope _ = instance.enter(group)) {
      cache.allocateBulk(objects, 0, objects.length);
      cache.freeBulk(objects, 0, objects.length);
    }
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  /** A bulk that is refused whatever happens must not take from others what they could have. */
  @Test
  void tryAllocateBulk_refusedBesideAGoodTenant_disturbsNobody() throws Exception {
    group.setMax(64 << 10);
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 1000);
    Thread greedy =
        Thread.ofPlatform()
            .start(() -> {
              long[] objects = new long[100];
              try (Scope _ = instance.enter(group.create("greedy"))) {
                for (int i = 0; i < 3000; i++) {
                  if (cache.tryAllocateBulk(objects, 0, 100)) {
                    throw new AssertionError("more than max");
                  }
                }
              }
            });
    int nrRefused = 0;
    try (Scope _ = instance.enter(group.create("good"))) {
      for (int i = 0; i < 20_000 || greedy.isAlive(); i++) {
        long address = cache.tryAllocate();
        if (address == 0) {
          nrRefused++;
        } else {
          cache.free(address);
        }
      }
    }
    greedy.join();
    assertEquals(0, nrRefused);
    cache.close();
    instance.close();
  }

  @Test
  void freeBulk_badEntry_stopsThereAndSaysSo() {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 64);
    KmemCache twin = KmemCache.create(instance.kmalloc, "d", 64);
    long strange = twin.allocate();
    try (Scope _ = instance.enter(group)) {
      for (int at = 0; at < 100; at++) {
        long[] objects = new long[100];
        cache.allocateBulk(objects, 0, 100);
        long good = objects[at];
        int place = at;
        for (long bad : new long[] {strange, objects[(at + 99) % 100] + 8, 12_345}) {
          long[] copy = objects.clone();
          copy[place] = bad;
          long[] before = copy.clone();
          assertThrows(IllegalArgumentException.class, () -> cache.freeBulk(copy, place, 1));
          assertArrayEquals(before, copy);
        }
        objects[at] = strange;
        assertThrows(IllegalArgumentException.class, () -> cache.freeBulk(objects, 0, 100));
        for (int i = 0; i < 100; i++) {
          assertEquals(i < at, objects[i] == 0, "only those before are freed");
        }
        assertEquals(100 - at, cache.info().nrObjects());
        objects[at] = good;
        cache.freeBulk(objects, 0, 100);
        assertEquals(0, cache.info().nrObjects());
      }
    }
    twin.free(strange);
    cache.close();
    twin.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void freeBulk_sameObjectTwice_isRefused() {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 64);
    try (Scope _ = instance.enter(group)) {
      long[] objects = new long[10];
      cache.allocateBulk(objects, 0, 9);
      objects[9] = objects[3];
      assertThrows(IllegalArgumentException.class, () -> cache.freeBulk(objects, 0, 10));
      assertEquals(0, Arrays.stream(objects, 0, 9).sum());
      assertEquals(0, cache.info().nrObjects());
    }
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  @Test
  void bulk_illegalRange_isRefused() {
    KmemCache cache = KmemCache.create(instance.kmalloc, "c", 64);
    long[] objects = new long[10];
    for (int[] range : new int[][] {{-1, 2}, {0, 11}, {10, 1}, {5, -1}, {5, Integer.MAX_VALUE}}) {
      assertThrows(
          IndexOutOfBoundsException.class, () -> cache.allocateBulk(objects, range[0], range[1]));
      assertThrows(
          IndexOutOfBoundsException.class, () -> cache.freeBulk(objects, range[0], range[1]));
    }
    cache.close();
    assertThrows(IllegalStateException.class, () -> cache.allocateBulk(objects, 0, 1));
    instance.assertNothingLeft();
    instance.close();
  }
}
