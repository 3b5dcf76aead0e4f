package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.Arrays;
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
        nrNear += magazinesOf(kmalloc).isNear(address) ? 1 : 0;
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
      assertFalse(magazinesOf(kmalloc).isNear(first[1]));
      assertFalse(magazinesOf(kmalloc).isNear(second[1]));
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
      assertTrue(magazines.near().owner() == magazines);
      for (int i = 900; i < 1_000; i++) {
        kmalloc.free(small.get(i));
      }
      kmalloc.shrink();
      assertFalse(magazines.isNear(small.getLast()));
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
      assertTrue(magazinesOf(kmalloc).isNear(addresses[2]));
      Thread other = new Thread(() -> kmalloc.free(addresses[2]));
      other.start();
      other.join();
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(addresses[2]));
      for (int i = 3; i < 64; i++) {
        kmalloc.free(addresses[i]);
      }
    }
  }

  /**
   * The near word becomes active, and back: each time its objects come back to where they belong.
   */
  @Test
  void free_nearWordChangesSides_countsEachObjectOnce() {
    try (Scope _ = instance.handle("a").enter()) {
      long[] addresses = new long[64];
      for (int i = 0; i < 64; i++) {
        addresses[i] = kmalloc.allocate(64);
      }
      for (int round = 0; round < 200; round++) {
        int nr = 3 + round % 60;
        for (int i = 0; i < nr; i++) {
          kmalloc.free(addresses[i]);
        }
        Magazines magazines = magazinesOf(kmalloc);
        assertTrue(magazines.isNear(addresses[2]));
        Word near = magazines.near();
        assertEquals(near.activeIn() != null ? Word.ACTIVE : Word.INACTIVE, near.side());
        for (int i = 0; i < nr; i++) {
          long address = addresses[i];
          assertThrows(IllegalArgumentException.class, () -> kmalloc.free(address));
        }
        List<Long> again = new ArrayList<>();
        for (int i = 0; i < nr; i++) {
          again.add(kmalloc.allocate(64));
        }
        if (round % 3 == 0) {
          kmalloc.shrink();
        }
        for (int i = 0; i < nr; i++) {
          addresses[i] = again.get(i);
        }
        assertEquals(64, Arrays.stream(addresses).distinct().count());
      }
      for (long address : addresses) {
        kmalloc.free(address);
      }
    }
  }

  /** Its bit is in the magazine already, as one that has to be charged. */
  @Test
  void free_collectedIntoTheActiveWord_isADoubleFree() throws Exception {
    try (Scope _ = instance.handle("a").enter()) {
      long[] addresses = new long[32];
      for (int i = 0; i < 32; i++) {
        addresses[i] = kmalloc.allocate(64);
      }
      kmalloc.free(addresses[0]);
      kmalloc.free(addresses[1]);
      kmalloc.free(addresses[2]);
      Magazines magazines = magazinesOf(kmalloc);
      assertTrue(magazines.isNear(addresses[3]));
      assertEquals(Word.ACTIVE, magazines.near().side());
      Thread other = new Thread(() -> kmalloc.free(addresses[3]));
      other.start();
      other.join();
      magazines.home().collectRemoteFrees();
      assertThrows(IllegalArgumentException.class, () -> kmalloc.free(addresses[3]));
      for (int i = 4; i < 32; i++) {
        kmalloc.free(addresses[i]);
      }
    }
  }

  /** What the profile knows of an object must be told of its free: the fast path would not. */
  @Test
  void free_nearWordIsTracked_takesTheGeneralWay() {
    try (Scope _ = instance.handle("a").enter()) {
      long[] addresses = new long[64];
      for (int i = 0; i < 64; i++) {
        addresses[i] = kmalloc.allocate(2048);
      }
      int nrTracked = 0;
      for (int round = 0; round < 1000; round++) {
        kmalloc.profile().sample(1 << 16); // a word is looked at when it becomes active: 1 of 32
        for (int i = 1; i < 4; i++) {
          kmalloc.free(addresses[i]);
        }
        for (int i = 1; i < 4; i++) {
          addresses[i] = kmalloc.allocate(2048);
        }
        Magazines magazines = magazinesOf(kmalloc);
        Slab slab = kmalloc.allocator().range().find(addresses[0]);
        Word word = slab.wordOf(slab.indexOf(addresses[0]));
        if (magazines.isNear(addresses[0]) && word.isTracked()) {
          nrTracked++;
          assertEquals(0, word.side());
        }
      }
      assertTrue(nrTracked > 0);
      kmalloc.profile().off();
      for (long address : addresses) {
        kmalloc.free(address);
      }
    }
  }
}
