package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.Scope;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** When the memory of closed shared arenas is free for others, and that it is not before. */
@SuppressWarnings("restricted") // what applications attach to arenas
final class SharedArenaTest {
  private static final int MIN_BLOCK = AccountedArena.MIN_BLOCK_SIZE;

  private final Instance instance = Instance.create();
  private final MemCgroup acme = instance.root.create("acme");
  private final Kmalloc kmalloc = instance.kmalloc;

  @AfterEach
  void nothingIsLeft() {
    kmalloc.shrink();
    assertEquals(0, info().waitingBytes());
    assertEquals(0, info().sharedBytes());
    assertEquals(0, info().nrHeldSessions());
    instance.assertNothingLeft();
    instance.close();
  }

  private ArenaInfo info() {
    return ArenaInfo.of(kmalloc);
  }

  private MemorySegment openAndClose(long nrBytes) {
    try (AccountedArena arena = AccountedArena.ofShared(kmalloc)) {
      return arena.allocate(nrBytes);
    }
  }

  private static boolean throwsOnAccess(MemorySegment segment) {
    try {
      segment.get(JAVA_LONG, 0);
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  @Test
  void close_sessionIsShared_memoryWaitsChargedUntilItEnds() {
    try (Scope _ = instance.enter(acme)) {
      AccountedArena arena = AccountedArena.ofShared(kmalloc);
      MemorySegment segment = arena.allocate(64);
      segment.set(JAVA_LONG, 0, 42);
      arena.close();
      assertEquals(42, segment.get(JAVA_LONG, 0)); // still its own memory
      assertEquals(MIN_BLOCK, info().waitingBytes());
      assertEquals(MIN_BLOCK, ArenaInfo.waitingBytes(kmalloc, acme));
      assertEquals(1, kmalloc.info().nrObjects());
      assertNotEquals(0, instance.drainedUsage(acme));
      kmalloc.shrink();
      assertThrows(IllegalStateException.class, () -> segment.get(JAVA_LONG, 0));
      assertEquals(0, info().waitingBytes());
    }
    assertEquals(0, instance.drainedUsage(acme));
  }

  @Test
  void close_manyArenas_oneSessionEndsForManyAndStaleSegmentsNeverMeetNewOwners() {
    List<MemorySegment> stale = new ArrayList<>();
    int nrArenas = 3 * SessionMembers.MAX_JOINED;
    for (int i = 1; i <= nrArenas; i++) {
      try (AccountedArena arena = AccountedArena.ofShared(kmalloc)) {
        MemorySegment segment = arena.allocate(8);
        segment.set(JAVA_LONG, 0, i);
        stale.add(segment);
      }
      // Whoever is still readable reads its own value, and not that of a later owner.
      MemorySegment old = stale.get(i / 2);
      if (!throwsOnAccess(old)) {
        assertEquals(i / 2 + 1, old.get(JAVA_LONG, 0));
      }
    }
    assertEquals(3, info().nrEndedSessions());
    assertTrue(stale.stream().limit(2 * nrArenas / 3).allMatch(SharedArenaTest::throwsOnAccess));
  }

  @Test
  void close_anotherOfTheSessionIsOpen_memoryWaitsForItAndNotLonger() {
    AccountedArena open = AccountedArena.ofShared(kmalloc);
    MemorySegment used = open.allocate(8);
    MemorySegment stale = openAndClose(8);
    kmalloc.shrink();
    assertFalse(throwsOnAccess(stale));
    assertFalse(throwsOnAccess(used));
    assertEquals(MIN_BLOCK, info().waitingBytes());
    MemorySegment next = openAndClose(8); // in a session that the open arena does not keep
    kmalloc.shrink();
    assertTrue(throwsOnAccess(next));
    assertEquals(MIN_BLOCK, info().waitingBytes());
    open.close();
    assertTrue(throwsOnAccess(stale));
    assertTrue(throwsOnAccess(used));
    assertEquals(0, info().waitingBytes());
  }

  @Test
  void close_everyBatchIsKeptByAnOpenArena_whatWaitsIsBounded() {
    acme.setMax(16 << 20);
    long boundBytes = acme.max() / 32;
    List<AccountedArena> kept = new ArrayList<>();
    try (Scope _ = instance.enter(acme)) {
      for (int i = 0; i < 4000; i++) {
        if (i % 32 == 0) {
          AccountedArena arena = AccountedArena.ofShared(kmalloc);
          arena.allocate(8);
          kept.add(arena);
          kmalloc
              .allocator()
              .arenas()
              .retireAll(); // seals: each kept arena is in a session with 31 others
        }
        openAndClose(4000);
        assertTrue(info().sharedBytes() <= boundBytes, () -> info().toString());
        assertTrue(info().waitingBytes() <= boundBytes, () -> info().toString());
      }
      assertTrue(info().waitingBytes() > boundBytes / 2, () -> info().toString());
      MemorySegment alone = openAndClose(4000); // no room is left to share
      assertTrue(throwsOnAccess(alone));
      kept.forEach(AccountedArena::close);
    }
  }

  @Test
  void allocate_moreThanItsSessionHasRoomFor_isFreedAtClose() {
    AccountedArena arena = AccountedArena.ofShared(kmalloc);
    MemorySegment small = arena.allocate(8);
    MemorySegment large = arena.allocate(AccountedArena.MAX_WAITING_BYTES);
    MemorySegment another = arena.allocate(AccountedArena.MAX_WAITING_BYTES);
    assertEquals(large.scope(), another.scope());
    arena.close();
    assertTrue(throwsOnAccess(large));
    assertTrue(throwsOnAccess(another));
    assertFalse(throwsOnAccess(small));
    assertEquals(1, kmalloc.info().nrObjects());
  }

  @Test
  void limitHit_memoryWaits_itIsGivenBackFirst() {
    acme.setMax(1 << 20);
    try (Scope _ = instance.enter(acme)) {
      MemorySegment stale = openAndClose(8);
      assertEquals(MIN_BLOCK, info().waitingBytes());
      long address = kmalloc.allocate((1 << 20) - 12_288);
      long other = kmalloc.allocate(12_288); // fits only if nothing waits
      assertTrue(throwsOnAccess(stale));
      assertEquals(0, info().waitingBytes());
      assertThrows(MemoryLimitException.class, () -> kmalloc.allocate(12_288));
      kmalloc.free(address);
      kmalloc.free(other);
    }
  }

  @Test
  void limitHit_inTheGroupAbove_whatWaitsBelowIsGivenBack() {
    instance.root.setMax(1 << 20);
    MemCgroup globex = instance.root.create("globex");
    try (Scope _ = instance.enter(acme)) {
      openAndClose(8);
    }
    try (Scope _ = instance.enter(globex)) {
      long address = kmalloc.allocate(1 << 20);
      assertEquals(0, info().waitingBytes());
      kmalloc.free(address);
    }
  }

  @Test
  void idle_nobodyComesBack_memoryIsFreedAfterATime() throws Exception {
    MemorySegment stale = openAndClose(8);
    for (int i = 0; i < 600 && kmalloc.info().nrObjects() != 0; i++) {
      Thread.sleep(50);
    }
    assertTrue(throwsOnAccess(stale));
    assertEquals(0, info().waitingBytes());
  }

  @Test
  void closeAllocator_memoryWaits_itIsNotReported() {
    try (Instance other = Instance.create()) {
      MemorySegment stale;
      try (AccountedArena arena = AccountedArena.ofShared(other.kmalloc)) {
        stale = arena.allocate(8);
      }
      other.kmalloc.close();
      assertTrue(throwsOnAccess(stale));
    }
  }

  @Test
  void close_whileAnotherThreadReads_itThrowsAndNeverReadsAnothersMemory() throws Exception {
    for (int round = 0; round < 20; round++) {
      AccountedArena arena = AccountedArena.ofShared(kmalloc);
      MemorySegment segment = arena.allocate(8);
      segment.set(JAVA_LONG, 0, 42);
      CountDownLatch reading = new CountDownLatch(1);
      FutureTask<Long> reader =
          new FutureTask<>(() -> {
            long nrReads = 0;
            try {
              while (segment.get(JAVA_LONG, 0) == 42) {
                nrReads++;
                reading.countDown();
              }
            } catch (IllegalStateException e) {
              return nrReads;
            }
            throw new AssertionError("read what belongs to another");
          });
      Thread thread = new Thread(reader, "reader");
      thread.start();
      assertTrue(reading.await(60, TimeUnit.SECONDS));
      arena.close();
      kmalloc.shrink();
      long address = kmalloc.allocate(MIN_BLOCK);
      Instance.writeLong(address, 0, 43);
      assertTrue(Instance.await(reader) > 0);
      kmalloc.free(address);
      thread.join();
    }
  }

  @Test
  void close_whileOthersAllocate_eachSegmentIsWholeOrTheArenaIsClosed() throws Exception {
    for (int round = 0; round < 200; round++) {
      AccountedArena arena = AccountedArena.ofShared(kmalloc);
      List<FutureTask<Integer>> tasks = new ArrayList<>();
      List<Thread> threads = new ArrayList<>();
      AtomicBoolean go = new AtomicBoolean();
      for (int t = 0; t < 2; t++) {
        int size = 40 + 3000 * t;
        FutureTask<Integer> task =
            new FutureTask<>(() -> {
              while (!go.get()) {
                Thread.onSpinWait();
              }
              int nrAllocated = 0;
              try {
                for (; nrAllocated < 200; nrAllocated++) {
                  MemorySegment segment = arena.allocate(size, 8);
                  segment.set(JAVA_LONG, 0, nrAllocated);
                  segment.set(JAVA_LONG, 32, nrAllocated);
                }
              } catch (IllegalStateException e) {
                assertTrue(nrAllocated < 200);
              }
              return nrAllocated;
            });
        tasks.add(task);
        Thread thread = new Thread(task, "allocating");
        thread.start();
        threads.add(thread);
      }
      go.set(true);
      for (int spin = 0; spin < 100 * round; spin++) {
        Thread.onSpinWait();
      }
      arena.close();
      for (FutureTask<Integer> task : tasks) {
        Instance.await(task);
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertThrows(IllegalStateException.class, () -> arena.allocate(8));
    }
  }

  @Test
  void retire_anActionThrows_theMemoryIsFreedAndTheCallerNotBothered() {
    AccountedArena arena = AccountedArena.ofShared(kmalloc);
    arena
        .allocate(8)
        .reinterpret(
            8,
            arena,
            _ -> {
              throw new IllegalArgumentException("thrown on purpose, to be seen in the log");
            });
    arena.close();
    kmalloc.shrink();
    assertEquals(0, kmalloc.info().nrObjects());
  }

  @Test
  void groups_thatCameAndWent_areForgotten() {
    for (int i = 0; i < 100; i++) {
      MemCgroup group = instance.root.create("g" + i);
      try (Scope _ = instance.enter(group)) {
        openAndClose(8);
      }
      group.remove();
    }
    assertEquals(100 * MIN_BLOCK, info().waitingBytes());
    kmalloc.allocator().arenas().purge(System.nanoTime());
    assertFalse(kmalloc.allocator().arenas().hasSomethingToRetire());
    assertEquals(0, info().waitingBytes());
  }
}
