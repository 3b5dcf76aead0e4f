package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Frees that find their word without its slab, because the last ones were of that word too. */
final class NearFreeTest {
  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;

  @AfterEach
  void nothingIsLeft() {
    instance.assertNothingLeft();
    instance.close();
  }

  private static Magazines magazinesOf(Kmalloc kmalloc) {
    Magazines magazines = kmalloc.allocator().armedMagazines(true);
    if (magazines == null) {
      throw new AssertionError("slot not armed");
    }
    return magazines;
  }

  @ParameterizedTest
  @ValueSource(ints = {8, 64, 96, 448, 640, 3584})
  void free_ofTheNearWord_acceptsWhatTheSlabWould(int size) {
    try (Scope _ = instance.handle("a").enter()) {
      List<Long> addresses = new ArrayList<>();
      for (int i = 0; i < 300; i++) {
        addresses.add(kmalloc.allocate(size));
      }
      BitSet freed = new BitSet();
      int nrNear = 0;
      for (int i = 0; i < 300; i++) {
        long address = addresses.get(i);
        nrNear += magazinesOf(kmalloc).nearBit(address) != 0 ? 1 : 0;
        for (long wrong : new long[] {address + 1, address + 4, address - 1}) {
          assertThrows(IllegalArgumentException.class, () -> kmalloc.free(wrong));
        }
        kmalloc.free(address);
        freed.set(i);
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
        int before = new Random(i).nextInt(i + 1);
        long earlier = addresses.get(freed.previousSetBit(before));
        assertThrows(IllegalArgumentException.class, () -> kmalloc.free(earlier));
      }
      assertTrue(nrNear > 100, "size=" + size + " nrNear=" + nrNear);
    }
  }

  @Test
  void free_inNoOrder_leavesTheNearWordAlone() {
    try (Scope _ = instance.handle("a").enter()) {
      long[] first = new long[64];
      long[] second = new long[64];
      for (int i = 0; i < 64; i++) {
        first[i] = kmalloc.allocate(64);
      }
      for (int i = 0; i < 64; i++) {
        second[i] = kmalloc.allocate(64);
      }
      for (int i = 0; i < 64; i++) {
        kmalloc.free(first[i]);
        kmalloc.free(second[63 - i]);
      }
      assertEquals(0, magazinesOf(kmalloc).nearBit(first[1]));
      assertEquals(0, magazinesOf(kmalloc).nearBit(second[1]));
    }
  }

  /** Its memory may come back as objects of another size. */
  @Test
  void nearWord_givenUp_isForgotten() {
    try (Scope _ = instance.handle("a").enter()) {
      List<Long> small = new ArrayList<>();
      for (int i = 0; i < 1_000; i++) {
        small.add(kmalloc.allocate(64));
      }
      for (int i = 0; i < 900; i++) {
        kmalloc.free(small.get(i));
      }
      Magazines magazines = magazinesOf(kmalloc);
      assertTrue(magazines.nearWord() != null);
      for (int i = 900; i < 1_000; i++) {
        kmalloc.free(small.get(i));
      }
      kmalloc.shrink();
      Word near = magazines.nearWord();
      assertTrue(near == null || near.owner() == magazines);
      List<Long> other = new ArrayList<>();
      for (int i = 0; i < 1_000; i++) {
        other.add(kmalloc.allocate(96));
      }
      for (long address : small) {
        if (!other.contains(address)) {
          assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
        }
      }
      other.forEach(kmalloc::free);
    }
  }

  @Test
  void free_freedElsewhereBefore_isADoubleFree() throws Exception {
    try (Scope _ = instance.handle("a").enter()) {
      long[] addresses = new long[64];
      for (int i = 0; i < 64; i++) {
        addresses[i] = kmalloc.allocate(64);
      }
      kmalloc.free(addresses[0]);
      kmalloc.free(addresses[1]);
      assertFalse(magazinesOf(kmalloc).nearBit(addresses[2]) == 0);
      Thread other = new Thread(() -> kmalloc.free(addresses[2]));
      other.start();
      other.join();
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(addresses[2]));
      for (int i = 3; i < 64; i++) {
        kmalloc.free(addresses[i]);
      }
    }
  }
}
