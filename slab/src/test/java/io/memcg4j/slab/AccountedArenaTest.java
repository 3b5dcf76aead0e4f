package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What an arena promises as an arena, and to the group that pays. */
@SuppressWarnings("restricted") // what applications attach to arenas
final class AccountedArenaTest {
  private final Instance instance = Instance.create();
  private final MemCgroup acme = instance.root.create("acme");
  private final Kmalloc kmalloc = instance.kmalloc;

  enum Kind {
    CONFINED,
    SHARED;

    AccountedArena open(Kmalloc kmalloc) {
      return this == CONFINED
          ? AccountedArena.ofConfined(kmalloc)
          : AccountedArena.ofShared(kmalloc);
    }

    Arena openJdk() {
      return this == CONFINED ? Arena.ofConfined() : Arena.ofShared();
    }
  }

  @AfterEach
  void nothingIsLeft() {
    kmalloc.shrink(); // what closed shared arenas left
    instance.assertNothingLeft();
    instance.close();
  }

  @ParameterizedTest
  @EnumSource
  void allocate_manySizesAndAlignments_zeroedAlignedAndDisjoint(Kind kind) {
    try (Scope _ = instance.enter(acme);
        AccountedArena arena = kind.open(kmalloc)) {
      for (long size : new long[] {1, 7, 64, 100, 4096, 4097, 8192, 8193, 100_000}) {
        for (long alignment = 1; alignment <= 1 << 17; alignment *= 2) {
          MemorySegment segment = arena.allocate(size, alignment);
          assertEquals(size, segment.byteSize());
          assertEquals(0, segment.address() % alignment);
          assertEquals(-1, segment.mismatch(MemorySegment.ofArray(new byte[(int) size])));
          segment.fill((byte) 0xff);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void allocate_memoryThatWasUsedBefore_isZeroed(Kind kind) {
    for (int round = 0; round < 3; round++) {
      try (AccountedArena arena = kind.open(kmalloc)) {
        for (int size : new int[] {40, 600, 5000, 9000, 70_000}) {
          MemorySegment segment = arena.allocate(size);
          assertEquals(-1, segment.mismatch(MemorySegment.ofArray(new byte[size])));
          segment.fill((byte) 0xff);
        }
      }
      kmalloc.shrink();
    }
  }

  @ParameterizedTest
  @EnumSource
  void allocate_nothing_isAnEmptySegmentOfTheArena(Kind kind) {
    AccountedArena arena = kind.open(kmalloc);
    MemorySegment empty = arena.allocate(0, 64);
    assertEquals(0, empty.byteSize());
    assertEquals(0, empty.address() % 64);
    assertEquals(arena.scope(), empty.scope());
    assertEquals(0, arena.heldBytes());
    arena.close();
    kmalloc.shrink();
    assertFalse(empty.scope().isAlive());
  }

  @ParameterizedTest
  @EnumSource
  void allocate_outOfRange_isRefusedAsByTheJdk(Kind kind) {
    try (AccountedArena arena = kind.open(kmalloc);
        Arena jdk = kind.openJdk()) {
      assertThrows(IllegalArgumentException.class, () -> jdk.allocate(-1, 1));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(-1, 1));
      assertThrows(IllegalArgumentException.class, () -> jdk.allocate(1, 3));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(1, 3));
      assertThrows(IllegalArgumentException.class, () -> jdk.allocate(1, 0));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(1, 0));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(Long.MAX_VALUE, 1));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(1L << 40, 1));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(1, 1L << 62));
      assertEquals(0, arena.heldBytes());
      assertEquals(7, arena.allocateFrom("memory!").byteSize() - 1);
    }
  }

  @ParameterizedTest
  @EnumSource
  void allocate_typesAndStrings_workAsInTheJdk(Kind kind) {
    try (AccountedArena arena = kind.open(kmalloc)) {
      assertEquals("grüße", arena.allocateFrom("grüße").getString(0));
      assertEquals(42, arena.allocateFrom(JAVA_INT, 42).get(JAVA_INT, 0));
      MemorySegment longs = arena.allocate(JAVA_LONG, 1000);
      longs.setAtIndex(JAVA_LONG, 999, 7);
      assertEquals(7, longs.getAtIndex(JAVA_LONG, 999));
      assertThrows(IndexOutOfBoundsException.class, () -> longs.getAtIndex(JAVA_LONG, 1000));
    }
  }

  @ParameterizedTest
  @EnumSource
  void close_manySegments_chargesGoBackToWhoeverPaid(Kind kind) {
    MemCgroup globex = instance.root.create("globex");
    AccountedArena arena = kind.open(kmalloc);
    try (Scope _ = instance.enter(acme)) {
      for (int i = 0; i < 1000; i++) {
        arena.allocate(100);
      }
    }
    try (Scope _ = instance.enter(globex)) {
      arena.allocate(1 << 20);
    }
    assertEquals(1 << 20, instance.drainedUsage(globex));
    assertTrue(instance.drainedUsage(acme) >= 100_000, () -> "usage=" + acme.usage());
    assertTrue(acme.usage() <= 130_000, () -> "usage=" + acme.usage());
    assertTrue(kmalloc.info().nrObjects() < 30, () -> "blocks: " + kmalloc.info());
    arena.close();
    assertEquals(0, arena instanceof ConfinedArena ? arena.heldBytes() : 0);
    kmalloc.shrink();
    assertEquals(0, instance.drainedUsage(acme));
    assertEquals(0, instance.drainedUsage(globex));
  }

  @ParameterizedTest
  @EnumSource
  void close_groupWasRemoved_parentGetsItBack(Kind kind) {
    AccountedArena arena = kind.open(kmalloc);
    MemCgroup child = acme.create("child");
    try (Scope _ = instance.enter(child)) {
      arena.allocate(100);
    }
    child.remove();
    assertNotEquals(0, instance.drainedUsage(acme));
    arena.close();
    kmalloc.shrink();
    assertEquals(0, instance.drainedUsage(acme));
  }

  @ParameterizedTest
  @EnumSource
  void close_twice_throwsAsTheJdk(Kind kind) {
    Arena jdk = kind.openJdk();
    jdk.close();
    assertThrows(IllegalStateException.class, jdk::close);
    AccountedArena arena = kind.open(kmalloc);
    arena.allocate(100);
    arena.close();
    assertFalse(arena.scope().isAlive());
    assertThrows(IllegalStateException.class, arena::close);
    assertThrows(IllegalStateException.class, () -> arena.allocate(1));
    assertThrows(IllegalStateException.class, () -> arena.allocate(0));
    assertThrows(IllegalStateException.class, () -> arena.allocate(10_000));
  }

  @ParameterizedTest
  @EnumSource
  void close_neverUsed_isFine(Kind kind) {
    AccountedArena arena = kind.open(kmalloc);
    arena.close();
    assertThrows(IllegalStateException.class, arena::close);
    assertFalse(arena.scope().isAlive());
  }

  @ParameterizedTest
  @EnumSource
  void allocate_refusedByALimit_nothingIsLostAndTheArenaGoesOn(Kind kind) {
    acme.setMax(256 << 10);
    try (Scope _ = instance.enter(acme);
        AccountedArena arena = kind.open(kmalloc)) {
      MemorySegment kept = arena.allocate(100);
      kept.fill((byte) 7);
      long held = arena.heldBytes();
      long before = instance.drainedUsage(acme);
      MemoryLimitException refusal =
          assertThrows(MemoryLimitException.class, () -> arena.allocate(1 << 20));
      assertTrue(refusal.getMessage().contains("/acme"), refusal::getMessage);
      assertEquals(held, arena.heldBytes());
      assertEquals(before, instance.drainedUsage(acme));
      assertThrows(
          MemoryLimitException.class,
          () -> {
            while (true) {
              arena.allocate(1000);
            }
          });
      assertTrue(acme.usage() <= 256 << 10);
      assertEquals(7, kept.get(JAVA_BYTE, 99));
      assertEquals(0, arena.allocate(1).get(JAVA_BYTE, 0)); // the rest of the last block
    }
  }

  @ParameterizedTest
  @EnumSource
  void close_blockFreedBehindItsBack_theOthersAreFreed(Kind kind) {
    AccountedArena arena = kind.open(kmalloc);
    long block = arena.allocate(100).address();
    arena.allocate(10_000);
    kmalloc.free(block);
    if (kind == Kind.CONFINED) {
      assertThrows(IllegalArgumentException.class, arena::close);
    } else {
      arena.close();
      kmalloc.shrink();
    }
    assertEquals(0, kmalloc.info().nrObjects());
  }

  @ParameterizedTest
  @EnumSource
  void reinterpret_withAnAction_theActionRunsWhenTheSessionEnds(Kind kind) {
    AtomicInteger nrRuns = new AtomicInteger();
    AccountedArena arena = kind.open(kmalloc);
    MemorySegment segment = arena.allocate(8);
    MemorySegment again = segment.reinterpret(8, arena, _ -> nrRuns.incrementAndGet());
    assertEquals(0, again.get(JAVA_LONG, 0));
    arena.close();
    kmalloc.shrink();
    assertEquals(1, nrRuns.get());
    assertThrows(IllegalStateException.class, () -> again.get(JAVA_LONG, 0));
  }

  @ParameterizedTest
  @EnumSource
  void closeAllocator_arenaIsOpen_itIsReportedAndNothingIsClosed(Kind kind) {
    AccountedArena arena = kind.open(kmalloc);
    try (Scope _ = instance.enter(acme)) {
      arena.allocate(100).fill((byte) 1);
    }
    IllegalStateException error = assertThrows(IllegalStateException.class, kmalloc::close);
    assertTrue(error.getMessage().contains("group=/acme"), error::getMessage);
    assertTrue(error.getMessage().contains("objectSize=512"), error::getMessage);
    try (Scope _ = instance.enter(acme)) {
      assertEquals(0, arena.allocate(1).get(JAVA_BYTE, 0));
    }
    arena.close();
  }

  // ---- confined alone

  @Test
  void confined_usedAfterClose_throwsAtOnce() {
    AccountedArena arena = AccountedArena.ofConfined(kmalloc);
    MemorySegment small = arena.allocate(8);
    MemorySegment large = arena.allocate(20_000);
    MemorySegment slice = large.asSlice(100, 8);
    arena.close();
    assertThrows(IllegalStateException.class, () -> small.get(JAVA_LONG, 0));
    assertThrows(IllegalStateException.class, () -> large.set(JAVA_LONG, 0, 1));
    assertThrows(IllegalStateException.class, () -> slice.fill((byte) 1));
  }

  @Test
  void confined_usedByAnotherThread_throwsAsTheJdk() throws Exception {
    try (AccountedArena arena = AccountedArena.ofConfined(kmalloc)) {
      MemorySegment segment = arena.allocate(8);
      Instance.elsewhere(() -> {
        assertThrows(WrongThreadException.class, () -> segment.get(JAVA_LONG, 0));
        assertThrows(WrongThreadException.class, () -> arena.allocate(8));
        assertThrows(WrongThreadException.class, arena::heldBytes);
        return assertThrows(WrongThreadException.class, arena::close);
      });
      segment.set(JAVA_LONG, 0, 1);
      assertTrue(arena.scope().isAlive());
    }
  }

  @Test
  void confined_actionThrows_memoryIsFreedAllTheSame() {
    AccountedArena arena = AccountedArena.ofConfined(kmalloc);
    arena
        .allocate(8)
        .reinterpret(
            8,
            arena,
            _ -> {
              throw new IllegalArgumentException("no");
            });
    assertThrows(IllegalArgumentException.class, arena::close);
    assertEquals(0, kmalloc.info().nrObjects());
  }

  // ---- without an arena

  @Test
  void objectSegments_inAScope_objectsAreChargedAndFreedOneByOne() {
    SegmentAllocator segments = new ObjectSegments(kmalloc);
    try (Scope _ = ObjCgroup.of(acme).enter()) {
      MemorySegment text = segments.allocateFrom("hello");
      MemorySegment aligned = segments.allocate(10_000, 1 << 16);
      assertEquals("hello", text.getString(0));
      assertEquals(0, aligned.address() % (1 << 16));
      assertEquals(-1, aligned.mismatch(MemorySegment.ofArray(new byte[10_000])));
      assertTrue(instance.drainedUsage(acme) >= 10_000);
      kmalloc.free(text);
      kmalloc.free(aligned);
      kmalloc.free(segments.allocate(0, 1));
    }
  }
}
