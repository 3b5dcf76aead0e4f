package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.memcg.OomHandler;
import io.memcg4j.memcg.Shrinker;
import io.memcg4j.memcg.Throttle;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** The limit-hit walk from an allocation: shrinkers that free objects, policy, high. */
final class ReclaimTest {
  private static final int MIB = 1 << 20;
  private static final int SIZE = 1000;

  /** Objects in the order in which they were cached; gives the oldest back. */
  private static final class ObjectCache implements Shrinker {
    private final Kmalloc kmalloc;
    private final Deque<Long> objects = new ConcurrentLinkedDeque<>();

    ObjectCache(Kmalloc kmalloc) {
      this.kmalloc = kmalloc;
    }

    @Override
    public long count() {
      return (long) objects.size() * SIZE;
    }

    @Override
    public long scan(long nrBytes) {
      long nrFreed = 0;
      while (nrFreed < nrBytes) {
        Long address = objects.poll();
        if (address == null) {
          break;
        }
        kmalloc.free(address);
        nrFreed += SIZE;
      }
      return nrFreed;
    }
  }

  private static int fill(ObjectCache cache, long nrBytes) {
    int nrObjects = (int) (nrBytes / SIZE);
    for (int i = 0; i < nrObjects; i++) {
      cache.objects.add(cache.kmalloc.allocate(SIZE));
    }
    return nrObjects;
  }

  @Test
  void allocate_inScope_shrinkerOfTheSameThreadMakesRoom() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      MemCgroup group = handle.group();
      group.setMax(8 * MIB);
      ObjectCache cache = new ObjectCache(kmalloc);
      group.addShrinker(cache);
      List<Long> mine = new ArrayList<>();
      try (Scope scope = handle.enter()) {
        fill(cache, 7 * MIB);
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 6 * MIB / SIZE; i++) {
          mine.add(bound.allocate(SIZE));
        }
      }
      assertTrue(group.usage() <= 8 * MIB);
      assertTrue(cache.count() <= 2 * MIB);
      assertTrue(group.events().max() > 0);
      assertEquals(0, group.events().oom());
      mine.forEach(kmalloc::free);
      cache.scan(Long.MAX_VALUE);
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_withoutASlotOfItsOwn_shrinkerMakesRoomToo() throws Exception {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      handle.group().setMax(4 * MIB);
      ObjectCache cache = new ObjectCache(kmalloc);
      handle.group().addShrinker(cache);
      CountDownLatch done = new CountDownLatch(1);
      int nrSlots = instance.root.slots().nrSlots();
      CountDownLatch held = new CountDownLatch(nrSlots);
      List<Thread> holders = new ArrayList<>();
      for (int i = 0; i < nrSlots; i++) {
        holders.add(Thread.ofVirtual().start(() -> hold(handle, held, done)));
      }
      held.await();
      List<Long> mine = new ArrayList<>();
      try (Scope scope = handle.enter()) {
        assertFalse(scope.frame().holdsSlot());
        fill(cache, 3 * MIB);
        for (int i = 0; i < 3 * MIB / SIZE; i++) {
          mine.add(kmalloc.allocate(SIZE));
        }
      }
      done.countDown();
      for (Thread holder : holders) {
        holder.join();
      }
      mine.forEach(kmalloc::free);
      cache.scan(Long.MAX_VALUE);
      instance.assertNothingLeft();
    }
  }

  private static void hold(ObjCgroup handle, CountDownLatch held, CountDownLatch done) {
    try (Scope _ = handle.enter()) {
      held.countDown();
      done.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void allocate_policyKillsASession_isGranted_tryAllocateKillsNobody() throws InterruptedException {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup session = instance.handle("session");
      ObjectCache held = new ObjectCache(kmalloc);
      try (Scope _ = session.enter()) {
        fill(held, 3 * MIB);
      }
      CountDownLatch closed = new CountDownLatch(1);
      session
          .group()
          .setOomKill(
              () -> {
                held.scan(Long.MAX_VALUE);
                closed.countDown();
              },
              Duration.ofSeconds(30),
              0);
      instance.root.setMax(4 * MIB);
      instance.root.setOomHandler(OomHandler.KILL_LARGEST);
      ObjCgroup other = instance.handle("other");
      List<Long> mine = new ArrayList<>();
      try (Scope _ = other.enter()) {
        long refused;
        do {
          refused = kmalloc.tryAllocate(SIZE);
          if (refused != Kmalloc.NULL) {
            mine.add(refused);
          }
        } while (refused != Kmalloc.NULL);
        assertTrue(held.count() > 2 * MIB);
        for (int i = 0; i < 2 * MIB / SIZE; i++) {
          mine.add(kmalloc.allocate(SIZE));
        }
      }
      assertEquals(1, session.group().events().oomKill());
      mine.forEach(kmalloc::free);
      assertTrue(closed.await(30, TimeUnit.SECONDS));
      instance.assertNothingLeft();
    }
  }

  @Test
  void allocate_refused_exceptionTellsRoundsAndWhatWasFreed() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      handle.group().setMax(MIB);
      ObjectCache cache = new ObjectCache(kmalloc);
      handle.group().addShrinker(cache);
      List<Long> mine = new ArrayList<>();
      try (Scope _ = handle.enter()) {
        fill(cache, 200_000);
        MemoryLimitException e =
            assertThrows(
                MemoryLimitException.class,
                () -> {
                  while (true) {
                    mine.add(kmalloc.allocate(SIZE));
                  }
                });
        assertTrue(e.reclaimRounds() >= 1, e.getMessage());
        assertEquals(0, cache.count(), "first everything that could be given back");
      }
      mine.forEach(kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  /** test_memcg_high: slowed, never refused; and the shrinker keeps it near the line. */
  @Test
  void allocate_aboveHigh_reclaimsDownToIt() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      ObjectCache cache = new ObjectCache(kmalloc);
      handle.group().addShrinker(cache);
      handle.group().setHigh(4 * MIB);
      try (Scope scope = handle.enter()) {
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 40 * MIB / SIZE; i++) {
          cache.objects.add(bound.allocate(SIZE));
        }
      }
      assertTrue(handle.group().events().high() > 0);
      assertEquals(0, handle.group().events().max());
      long usage = handle.group().usage();
      assertTrue(usage < 6 * MIB, () -> "usage=" + usage);
      cache.scan(Long.MAX_VALUE);
      instance.assertNothingLeft();
    }
  }

  /** An event loop does not sleep; it is told how long it should have. */
  @Test
  void allocate_aboveHighWithDeferredThrottle_saysHowLong() {
    try (Instance instance = Instance.create()) {
      Kmalloc kmalloc = instance.kmalloc;
      ObjCgroup handle = instance.handle("a");
      handle.group().setHigh(4 * MIB);
      List<Long> mine = new ArrayList<>();
      try (Scope scope = handle.enter().deferThrottle(true)) {
        assertFalse(scope.takeThrottle().isNeeded());
        Kmalloc.Bound bound = kmalloc.bind(scope);
        for (int i = 0; i < 8 * MIB / SIZE; i++) {
          mine.add(bound.allocate(SIZE));
        }
        Throttle due = scope.takeThrottle();
        assertTrue(due.isNeeded());
        assertEquals("/a", due.groupPath());
        assertFalse(scope.takeThrottle().isNeeded());
      }
      assertEquals(0, handle.group().pressure().some().totalMicros());
      mine.forEach(kmalloc::free);
      instance.assertNothingLeft();
    }
  }
}
