package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.AllocationProfile.Site;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Live memory by call site. */
class AllocationProfileTest {
  private static long one(Kmalloc kmalloc, int size) {
    return kmalloc.allocate(size);
  }

  private static long two(Kmalloc kmalloc, int size) {
    return kmalloc.allocate(size);
  }

  private static long other(Kmalloc.Bound bound, int size) {
    return bound.allocate(size);
  }

  private static Site find(Kmalloc kmalloc, String method) {
    return kmalloc.profile().top(100).stream()
        .filter(site -> site.frame().contains("AllocationProfileTest." + method + "("))
        .findFirst()
        .orElseThrow(() -> new AssertionError(method + " not in " + kmalloc.profile().top(100)));
  }

  @Test
  void exact_everyObjectCountsAtItsCallSite_untilItIsFreedAnywhere() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      kmalloc.profile().exact();
      List<Long> ones = new ArrayList<>();
      List<Long> others = new ArrayList<>();
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 500; i++) {
          ones.add(one(kmalloc, 64));
          others.add(other(bound, 200));
        }
        ones.add(one(kmalloc, 100_000));
      }
      List<Site> sitesOfOne = // called from two lines, so there are two stacks
          kmalloc.profile().top(10).stream().filter(s -> s.frame().contains(".one(")).toList();
      assertEquals(500 * 64 + 102_400, sitesOfOne.stream().mapToLong(Site::liveBytes).sum());
      assertEquals(501, sitesOfOne.stream().mapToLong(Site::nrLive).sum());
      assertEquals(500, find(kmalloc, "other").nrLive());
      for (long address : ones) {
        int site = kmalloc.tracking().callSite(address + 3);
        assertTrue(sitesOfOne.stream().anyMatch(s -> s.site() == site), "site=" + site);
      }
      try (Scope scope = instance.handle("b").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        others.subList(0, 300).forEach(bound::free);
      }
      Instance.elsewhere(() -> {
        ones.forEach(kmalloc::free);
        return 0;
      });
      assertEquals(200, find(kmalloc, "other").nrLive());
      assertEquals(1, kmalloc.profile().top(100).size(), "sites of freed objects are gone");
      assertTrue(kmalloc.profile().format(10).contains("     200 "));
      others.subList(300, 500).forEach(kmalloc::free);
      assertEquals(List.of(), kmalloc.profile().top(100));
      instance.assertNothingLeft();
    }
  }

  @Test
  void exact_switchedOnAndOffInsideAScope_takesEffectAtTheNextOperation() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        long before = other(bound, 64);
        kmalloc.profile().exact();
        long during = other(bound, 64);
        assertEquals(1, find(kmalloc, "other").nrLive());
        assertEquals(0, kmalloc.tracking().callSite(before));
        kmalloc.profile().off();
        assertEquals(List.of(), kmalloc.profile().top(100));
        assertEquals(0, kmalloc.tracking().callSite(during));
        long after = other(bound, 64);
        assertFalse(kmalloc.profile().isOn());
        bound.free(before);
        bound.free(during);
        bound.free(after);
      }
      instance.assertNothingLeft();
    }
  }

  @Test
  void exact_otherThreadIsInsideItsScope_itsNextAllocationsAreRecorded() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      try (Scope scope = instance.handle("a").enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        long before = other(bound, 64);
        Instance.elsewhere(() -> {
          kmalloc.profile().exact();
          return 0;
        });
        List<Long> mine = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
          mine.add(other(bound, 64));
        }
        assertEquals(200, find(kmalloc, "other").nrLive());
        mine.forEach(bound::free);
        bound.free(before);
      }
      assertEquals(List.of(), kmalloc.profile().top(100));
    }
  }

  @Test
  void sampled_estimatesLiveBytes_andTakesBackWhatItAdded() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      kmalloc.profile().sample(64 << 10);
      Random random = new Random(7);
      List<Long> mine = new ArrayList<>();
      long liveBytes = 0;
      try (Scope _ = instance.handle("a").enter()) {
        while (liveBytes < 96L << 20) {
          int size = 16 + random.nextInt(800);
          liveBytes += Kmalloc.roundUp(size);
          mine.add(one(kmalloc, size));
        }
        // 1536 samples are expected: the deviation of the estimate is below 3 %.
        long estimate = find(kmalloc, "one").liveBytes();
        assertTrue(
            Math.abs(estimate - liveBytes) < liveBytes / 5,
            "estimate=" + estimate + " live=" + liveBytes);
        mine.forEach(kmalloc::free);
      }
      assertEquals(List.of(), kmalloc.profile().top(100), "nothing is live");
      instance.assertNothingLeft();
    }
  }

  /** Each request takes a word for one object, and gives it back when the next tenant comes. */
  @Test
  void sampled_tenantsInTurn_countsWhatIsAllocatedNotWhatWasReady() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      kmalloc.profile().sample(64 << 10);
      List<Long> mine = new ArrayList<>();
      long liveBytes = 0;
      List<ObjCgroup> tenants = new ArrayList<>();
      for (int i = 0; i < 64; i++) {
        tenants.add(instance.handle("tenant" + i));
      }
      for (int i = 0; liveBytes < 48L << 20; i++) {
        try (Scope _ = tenants.get(i % tenants.size()).enter()) {
          mine.add(one(kmalloc, 256));
          liveBytes += 256;
        }
      }
      // 768 samples are expected: the deviation of the estimate is below 4 %.
      long estimate = find(kmalloc, "one").liveBytes();
      assertTrue(
          Math.abs(estimate - liveBytes) < liveBytes / 5,
          "estimate=" + estimate + " live=" + liveBytes);
      mine.forEach(kmalloc::free);
      assertEquals(List.of(), kmalloc.profile().top(100), "nothing is live");
    }
  }

  /** Two sizes from two sites a request: each site is estimated by what it keeps. */
  @ParameterizedTest
  @CsvSource({"64, 256", "256, 8"})
  void sampled_tenantsInTurn_eachSiteByItsOwnBytes(int oneBytes, int otherBytes) {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      kmalloc.profile().sample(64 << 10);
      List<Long> mine = new ArrayList<>();
      List<ObjCgroup> tenants = new ArrayList<>();
      for (int i = 0; i < 64; i++) {
        tenants.add(instance.handle("tenant" + i));
      }
      int nrRequests = 120_000;
      for (int i = 0; i < nrRequests; i++) {
        try (Scope _ = tenants.get(i % tenants.size()).enter()) {
          mine.add(one(kmalloc, oneBytes));
          mine.add(two(kmalloc, otherBytes));
        }
      }
      assertEstimate(kmalloc, "one", (long) nrRequests * oneBytes);
      assertEstimate(kmalloc, "two", (long) nrRequests * otherBytes);
      mine.forEach(kmalloc::free);
    }
  }

  @Test
  void sampled_meanLowered_startsAnew() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      List<Long> mine = new ArrayList<>();
      kmalloc.profile().sample(1L << 40);
      try (Scope _ = instance.handle("tenant").enter()) {
        for (int i = 0; i < 10_000; i++) {
          mine.add(two(kmalloc, 256));
        }
        kmalloc.profile().sample(64 << 10);
        for (int i = 0; i < 100_000; i++) {
          mine.add(one(kmalloc, 256));
        }
      }
      assertEstimate(kmalloc, "one", 100_000 * 256L);
      mine.forEach(kmalloc::free);
    }
  }

  /** Within a third, and sixteen samples of 64 KiB where few are expected. */
  private static void assertEstimate(Kmalloc kmalloc, String method, long liveBytes) {
    long estimate =
        kmalloc.profile().top(1000).stream()
            .filter(site -> site.frame().contains("." + method + "("))
            .mapToLong(AllocationProfile.Site::liveBytes)
            .sum();
    assertTrue(
        Math.abs(estimate - liveBytes) < liveBytes / 3 + (1 << 20),
        method + ": estimate=" + estimate + " live=" + liveBytes);
  }

  @Test
  void free_lastKnownObjectOfAWord_makesItsFreesFastAgain() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      SlabRange range = kmalloc.allocator().range();
      try (Scope _ = instance.handle("a").enter()) {
        kmalloc.profile().exact();
        long first = one(kmalloc, 64);
        long second = one(kmalloc, 64);
        kmalloc.profile().off();
        long unknown = one(kmalloc, 64);
        Slab slab = Objects.requireNonNull(range.findSlow(first));
        Word word = slab.wordOf(slab.indexOf(first));
        assertEquals(word, slab.wordOf(slab.indexOf(second)));
        assertEquals(word, slab.wordOf(slab.indexOf(unknown)));
        assertTrue(word.isTracked());
        kmalloc.free(first);
        assertTrue(word.isTracked(), "one is known still");
        Thread elsewhere = Thread.ofPlatform().start(() -> kmalloc.free(second));
        elsewhere.join();
        kmalloc.shrink(); // collects what was freed elsewhere
        assertFalse(word.isTracked());
        long known = one(kmalloc, 64);
        assertTrue(SlotSlabs.freeFast(range, known, magazines(kmalloc)));
        kmalloc.free(unknown);
      }
      instance.assertNothingLeft();
    }
  }

  private static Magazines magazines(Kmalloc kmalloc) {
    return Objects.requireNonNull(kmalloc.allocator().armedMagazines(true), "slot not armed");
  }

  @Test
  void close_liveObjectsWithKnownCallSite_areReportedWithIt() {
    Instance instance = Instance.create();
    Kmalloc kmalloc = instance.kmalloc;
    kmalloc.profile().exact();
    ObjCgroup handle = instance.handle("a");
    long address;
    try (Scope _ = handle.enter()) {
      address = one(kmalloc, 64);
    }
    IllegalStateException e = assertThrows(IllegalStateException.class, kmalloc::close);
    assertTrue(e.getMessage().contains("AllocationProfileTest.one("), e.getMessage());
    assertTrue(e.getMessage().contains("group=/a"), e.getMessage());
    assertTrue(e.getMessage().contains("oldestMillis="), e.getMessage());
    assertTrue(kmalloc.tracking().ageMillis(address + 1) >= 0);
    assertEquals(-1, kmalloc.tracking().ageMillis(address - 64));
    kmalloc.free(address);
    kmalloc.close();
  }

  @Test
  void reallocate_largeObjectInPlace_keepsItsSite() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      kmalloc.profile().exact();
      long address = one(kmalloc, 20_000);
      assertEquals(address, kmalloc.reallocate(address, 32_000));
      assertEquals(32_768, find(kmalloc, "one").liveBytes());
      kmalloc.free(address);
      assertEquals(List.of(), kmalloc.profile().top(100));
    }
  }

  @Test
  void sample_intervalOutOfRange_isRefused() {
    try (Instance instance = Instance.create()) {
      assertThrows(IllegalArgumentException.class, () -> instance.kmalloc.profile().sample(100));
    }
  }

  @Test
  void exact_everyWayToAllocate_isRecordedAtItsCaller() throws Exception {
    try (Instance instance = Instance.create();
        KmemCache cache = KmemCache.create(instance.kmalloc, "sites", 100);
        Scope scope = instance.handle("a").enter()) {
      Kmalloc kmalloc = instance.kmalloc;
      kmalloc.profile().exact();
      List<Long> mine = new ArrayList<>();
      mine.add(kmalloc.allocateZeroed(64));
      mine.add(kmalloc.allocateAligned(64, 64));
      mine.add(kmalloc.reallocate(kmalloc.allocate(10), 10_000));
      mine.add(kmalloc.bind(scope).allocateZeroed(64));
      mine.add(kmalloc.waiting().allocateAwait(64, Duration.ofSeconds(9)));
      mine.add(cache.allocate());
      long[] bulk = new long[3];
      cache.allocateBulk(bulk, 0, 3);
      mine.addAll(List.of(bulk[0], bulk[1], bulk[2]));
      try (Arena confined = AccountedArena.ofConfined(kmalloc);
          Arena shared = AccountedArena.ofShared(kmalloc)) {
        confined.allocate(10);
        confined.allocate(100_000);
        shared.allocate(10);
        mine.add(new ObjectSegments(kmalloc).allocate(10).address());
        for (Site site : kmalloc.profile().top(100)) {
          assertTrue(site.frame().contains(".AllocationProfileTest.exact_every"), site.frame());
        }
        assertTrue(kmalloc.profile().top(100).size() >= 11);
      }
      mine.forEach(kmalloc::free);
      kmalloc.shrink();
      assertEquals(List.of(), kmalloc.profile().top(100));
    }
  }
}
