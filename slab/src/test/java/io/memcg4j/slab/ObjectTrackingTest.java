package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a leak scanner is told: allocated objects, their owners, and which are old for certain. */
class ObjectTrackingTest {
  /** Addresses by what the snapshot says of them; found by walking it as its javadoc says. */
  private static Set<Long> addresses(ObjectSnapshot snapshot, long[] bits) {
    Set<Long> found = new HashSet<>();
    for (int slab = 0; slab < snapshot.nrSlabs(); slab++) {
      int first = snapshot.firstWord()[slab];
      for (int word = first; word < snapshot.firstWord()[slab + 1]; word++) {
        for (long rest = bits[word]; rest != 0; rest &= rest - 1) {
          long index = ((long) (word - first) << 6) + Long.numberOfTrailingZeros(rest);
          found.add(snapshot.slabBase()[slab] + index * snapshot.objectSize()[slab]);
        }
      }
    }
    return found;
  }

  /** The slab of an address's object, the way down that the javadoc describes; -1 if in none. */
  private static int slabOf(ObjectSnapshot s, long address) {
    long chunk = (address - s.base()) >>> s.chunkShift();
    int slab = chunk < s.slabOfChunk().length ? s.slabOfChunk()[(int) chunk] : -1;
    if (slab < 0 || address - s.slabBase()[slab] >= s.usableBytes()[slab]) {
      return -1;
    }
    long index = ((address - s.slabBase()[slab]) * s.magic()[slab]) >>> 32;
    int word = s.firstWord()[slab] + (int) (index >>> 6);
    long bit = 1L << (index & 63);
    return (s.live()[word] & bit) != 0 ? slab : -1;
  }

  @Test
  void snapshot_containsExactlyWhatIsAllocated_withOwners_interiorAddressesFound() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      Random random = new Random(4);
      Map<Long, ObjCgroup> owners = new HashMap<>();
      Map<Long, Integer> sizes = new HashMap<>();
      ObjCgroup[] handles = {instance.handle("a"), instance.handle("b"), instance.handle("c")};
      for (int round = 0; round < 300; round++) {
        ObjCgroup handle = handles[random.nextInt(3)];
        try (Scope _ = handle.enter()) {
          for (int i = 0; i < 20; i++) {
            int size = 1 + random.nextInt(round % 10 == 0 ? 100_000 : 3000);
            long address = kmalloc.allocate(size);
            owners.put(address, handle);
            sizes.put(address, size);
          }
        }
        for (Long address : new ArrayList<>(owners.keySet())) {
          if (random.nextInt(3) == 0) {
            owners.remove(address);
            kmalloc.free(address);
          }
        }
      }
      ObjectSnapshot snapshot = kmalloc.tracking().snapshot();
      assertEquals(owners.keySet(), addresses(snapshot, snapshot.live()));
      owners.forEach((address, handle) -> {
        int size = sizes.getOrDefault(address, 0);
        int slab = slabOf(snapshot, address);
        assertTrue(slab >= 0, "start not found");
        assertEquals(slab, slabOf(snapshot, address + size - 1), "end not found");
        assertSame(handle, snapshot.owner(slab, address));
      });
      owners.keySet().forEach(kmalloc::free);
      ObjectSnapshot after = kmalloc.tracking().snapshot();
      assertEquals(Set.of(), addresses(after, after.live()));
    }
  }

  @Test
  void old_onlyWhatWasAllocatedBeforeTheEpoch() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      ObjCgroup handle = instance.handle("a");
      Set<Long> before = new HashSet<>();
      try (Scope _ = handle.enter()) {
        for (int i = 0; i < 1000; i++) {
          before.add(kmalloc.allocate(64 + i % 3 * 1000));
        }
        before.add(kmalloc.allocate(100_000));
      }
      assertFalse(tracking.isOn());
      ObjectSnapshot off = tracking.snapshot();
      assertEquals(Set.of(), addresses(off, off.old()), "nothing is old while it is off");

      assertEquals(1, tracking.advance());
      Set<Long> later = new HashSet<>();
      try (Scope _ = handle.enter()) {
        for (int i = 0; i < 1000; i++) {
          later.add(kmalloc.allocate(64 + i % 3 * 1000));
        }
        later.add(kmalloc.allocate(100_000));
      }
      ObjectSnapshot first = tracking.snapshot();
      assertEquals(before, addresses(first, first.old()));
      assertEquals(later, young(tracking));

      assertEquals(2, tracking.advance());
      ObjectSnapshot second = tracking.snapshot();
      before.addAll(later);
      assertEquals(before, addresses(second, second.old()));
      assertEquals(Set.of(), young(tracking));
      before.forEach(kmalloc::free);
    }
  }

  private static Set<Long> young(ObjectTracking tracking) {
    Set<Long> young = new HashSet<>();
    tracking.forEachYoung((address, nrBytes) -> {
      assertTrue(young.add(address), "shown twice");
      assertTrue(nrBytes >= 64);
      assertEquals(nrBytes, Objects.requireNonNull(tracking.find(address)).nrBytes());
    });
    return young;
  }

  @Test
  void old_scopeStaysOpenAcrossTheEpoch_whatItHandsOutLaterIsYoung() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      List<Long> mine = new ArrayList<>();
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        mine.add(bound.allocate(64));
        // The owner is inside: its active word cannot be taken away from it.
        Instance.elsewhere(tracking::advance);
        long later = bound.allocate(64);
        mine.add(later);
        ObjectSnapshot snapshot = Instance.elsewhere(tracking::snapshot);
        assertFalse(addresses(snapshot, snapshot.old()).contains(later));
      }
      mine.forEach(kmalloc::free);
    }
  }

  @Test
  void old_freedAndAllocatedAgainInTheActiveWord_isYoung() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        long first = bound.allocate(64);
        Instance.elsewhere(tracking::advance);
        long kept = bound.allocate(64);
        bound.free(first);
        long again = bound.allocate(64);
        assertEquals(first, again, "the test wants the same address");
        ObjectSnapshot snapshot = Instance.elsewhere(tracking::snapshot);
        assertFalse(addresses(snapshot, snapshot.old()).contains(again));
        bound.free(kept);
        bound.free(again);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void old_randomChurnByThreads_neverNamesAYoungObject(long seed) throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      AtomicBoolean stop = new AtomicBoolean();
      AtomicLong clock = new AtomicLong();
      // Birth by address: written before the address can be seen as allocated and old.
      Map<Long, Long> births = new ConcurrentHashMap<>();
      List<Thread> threads = new ArrayList<>();
      List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
      for (int t = 0; t < 3; t++) {
        ObjCgroup handle = instance.handle("t" + t);
        Random random = new Random(seed * 31 + t);
        Thread thread =
            new Thread(() -> {
              try {
                churn(kmalloc, handle, random, stop, clock, births);
              } catch (Throwable e) {
                failures.add(e);
              }
            });
        threads.add(thread);
        thread.start();
      }
      try {
        for (int round = 0; round < 60; round++) {
          clock.incrementAndGet(); // objects born at this time or later are young
          long epochTime = clock.get();
          tracking.advance();
          long unborn = clock.incrementAndGet();
          assertTrue(unborn > epochTime);
          Thread.sleep(2);
          ObjectSnapshot snapshot = tracking.snapshot();
          for (long address : addresses(snapshot, snapshot.old())) {
            Long birth = births.get(address);
            // Freed meanwhile, or born again after the snapshot: told by a second look.
            if (birth != null && birth >= unborn) {
              ObjectSnapshot again = tracking.snapshot();
              assertFalse(
                  addresses(again, again.old()).contains(address)
                      && birth.equals(births.get(address)),
                  "seed=" + seed + " old object born at " + birth + ", epoch at " + unborn);
            }
          }
        }
      } finally {
        stop.set(true);
        for (Thread thread : threads) {
          thread.join();
        }
      }
      assertEquals(List.of(), failures, "seed=" + seed);
      births.keySet().forEach(kmalloc::free);
    }
  }

  private static void churn(
      Kmalloc kmalloc,
      ObjCgroup handle,
      Random random,
      AtomicBoolean stop,
      AtomicLong clock,
      Map<Long, Long> births) {
    List<Long> mine = new ArrayList<>();
    while (!stop.get()) {
      try (Scope scope = handle.enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 200; i++) {
          if (mine.size() > 500 || (!mine.isEmpty() && random.nextInt(5) < 2)) {
            long address = mine.remove(random.nextInt(mine.size()));
            births.remove(address);
            bound.free(address);
          } else {
            long born = clock.get();
            long address = bound.allocate(random.nextBoolean() ? 64 : 500);
            births.put(address, born);
            mine.add(address);
          }
        }
      }
    }
  }

  @Test
  void watched_untilItIsFreed_alsoIfItsAddressIsAllocatedAgain() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      long watched;
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        long other = bound.allocate(64);
        watched = bound.allocate(64);
        assertFalse(tracking.isWatched(watched));
        assertTrue(tracking.watch(watched + 1));
        assertTrue(tracking.isOn());
        assertTrue(tracking.isWatched(watched));
        assertFalse(tracking.isWatched(other), "its neighbour");
        Instance.elsewhere(tracking::advance);
        bound.free(other);
        assertTrue(tracking.isWatched(watched));
        bound.free(watched);
        assertFalse(tracking.isWatched(watched), "freed");
        assertEquals(other, bound.allocate(64));
        assertEquals(watched, bound.allocate(64), "the test wants the same address");
        assertFalse(tracking.isWatched(watched), "allocated again");
        assertTrue(tracking.watch(watched), "came back since its word became active");
        bound.free(other);
        Instance.elsewhere(tracking::advance);
      }
      tracking.advance();
      assertTrue(tracking.isWatched(watched), "its word was left, and epochs change nothing");
      kmalloc.free(watched);
      assertFalse(tracking.isWatched(watched));
      kmalloc.shrink();
      assertFalse(tracking.isWatched(watched), "no slab is there any more");
      assertFalse(tracking.watch(watched));
    }
  }

  @Test
  void watch_wordIsActiveInAnotherThreadsScope_saysThatItCannot() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      tracking.advance();
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        long first = bound.allocate(64);
        assertTrue(Instance.elsewhere(() -> tracking.watch(first)), "not reused: nothing to leave");
        bound.free(first);
        long again = bound.allocate(64);
        assertEquals(first, again, "the test wants the same address");
        assertFalse(Instance.elsewhere(() -> tracking.watch(again)));
        assertFalse(Instance.elsewhere(() -> tracking.isWatched(again)));
        assertTrue(tracking.watch(again), "by the thread whose scope it is");
        bound.free(again);
      }
    }
  }

  @Test
  void watched_largeObject_likeASmallOne() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjectTracking tracking = kmalloc.tracking();
      long large = kmalloc.allocate(100_000);
      assertTrue(tracking.watch(large + 50_000));
      assertTrue(tracking.isWatched(large));
      kmalloc.free(large);
      assertFalse(tracking.isWatched(large));
      assertEquals(large, kmalloc.allocate(100_000), "the test wants the same address");
      assertFalse(tracking.isWatched(large));
      assertTrue(tracking.watch(large));
      tracking.stop();
      assertFalse(tracking.isWatched(large), "nothing is watched any more");
      kmalloc.free(large);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void watched_randomChurnByThreads_exactlyUntilFreed(long seed) throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      AtomicBoolean stop = new AtomicBoolean();
      BlockingQueue<Long> handedOver = new ArrayBlockingQueue<>(200);
      try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
        List<Future<Long>> results = new ArrayList<>();
        for (int t = 0; t < 3; t++) {
          ObjCgroup handle = instance.handle("t" + t);
          Random random = new Random(seed * 31 + t);
          results.add(
              threads.submit(() -> churnWatched(kmalloc, handle, random, stop, handedOver)));
        }
        try {
          for (int round = 0; round < 100; round++) {
            kmalloc.tracking().advance();
            Thread.sleep(2);
          }
        } finally {
          stop.set(true);
        }
        for (Future<Long> result : results) {
          assertTrue(result.get() > 0, "seed=" + seed);
        }
      }
      handedOver.forEach(kmalloc::free);
    }
  }

  /** Frees its own and those of others; a watched one is told apart whoever frees it. */
  private static long churnWatched(
      Kmalloc kmalloc,
      ObjCgroup handle,
      Random random,
      AtomicBoolean stop,
      BlockingQueue<Long> handedOver) {
    ObjectTracking tracking = kmalloc.tracking();
    Map<Long, Boolean> mine = new HashMap<>();
    long nrWatched = 0;
    while (!stop.get()) {
      try (Scope scope = handle.enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 200; i++) {
          if (mine.size() < 50 || random.nextBoolean()) {
            long address = bound.allocate(random.nextInt(20) == 0 ? 40_000 : 500);
            assertFalse(tracking.isWatched(address), "just allocated");
            mine.put(address, random.nextInt(3) == 0 && tracking.watch(address));
          } else {
            long address = new ArrayList<>(mine.keySet()).get(random.nextInt(mine.size()));
            boolean watched = mine.remove(address);
            nrWatched += watched ? 1 : 0;
            assertEquals(watched, tracking.isWatched(address));
            if (!handedOver.offer(address)) {
              bound.free(address);
            }
          }
          Long other = random.nextInt(3) == 0 ? handedOver.poll() : null;
          if (other != null && random.nextBoolean()) {
            boolean _ = tracking.watch(other);
          }
          if (other != null) {
            bound.free(other);
          }
        }
      }
    }
    mine.keySet().forEach(kmalloc::free);
    return nrWatched;
  }

  @Test
  void pin_allocatorClosedMeanwhile_memoryStaysReadableUntilUnpin() {
    Instance instance = Instance.create();
    Kmalloc kmalloc = instance.kmalloc;
    long address = kmalloc.allocate(64);
    assertTrue(kmalloc.tracking().pin());
    kmalloc.free(address);
    kmalloc.close();
    assertEquals(0, Instance.read(address, 0) & 0x100, "readable");
    assertFalse(kmalloc.tracking().pin(), "closed");
    assertEquals(0, instance.pages.releasedBytes());
    kmalloc.tracking().unpin();
    assertTrue(instance.pages.releasedBytes() > 0);
  }
}
