package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.TestAllocator.Live;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Many virtual threads in scopes. What they hold together is bounded by the slots, whose number is
 * fixed: each has at most {@code STOCK_GROUPS} hot stocks, and one for each scope and word of its
 * own. A scope beyond the slots is a few words on the heap of its thread.
 */
class VirtualThreadsTest {
  private static final int PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root(CpuSlots.create(16, 4));
  private final ObjCgroups registry = ObjCgroups.of(root);
  private final TestAllocator allocator = new TestAllocator(root);
  private final List<ObjCgroup> handles = new ArrayList<>();
  private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
  private final Semaphore inside = new Semaphore(0);

  private void makeGroups(MemCgroup parent, int nrGroups) {
    for (int i = 0; i < nrGroups; i++) {
      handles.add(ObjCgroup.of(parent.create("g" + i)));
    }
  }

  private Thread start(Runnable body) {
    return Thread.ofVirtual()
        .start(() -> {
          try {
            body.run();
          } catch (Throwable e) {
            failures.add(e);
            inside.release(); // nobody waits for ever
          }
        });
  }

  private void joinAll(List<Thread> threads) throws InterruptedException {
    for (Thread thread : threads) {
      thread.join();
    }
    assertNull(failures.peek(), () -> "failures=" + failures.size());
  }

  private int nrAllowedStocks() {
    return root.slots().nrSlots() * (MemCgroup.STOCK_GROUPS + 1);
  }

  private void everythingIsGivenBack() {
    root.drain();
    assertEquals(0, root.usage());
    assertEquals(0, root.slots().nrBusy());
    handles.forEach(handle -> handle.group().remove());
    assertEquals(1, registry.nrHandles());
    assertEquals(0, registry.nrStocks());
  }

  @Test
  void enter_100000ParkedInside_holdNoMoreThanTheSlotsDo() throws InterruptedException {
    int nrThreads = 100_000;
    MemCgroup tenants = root.create("tenants");
    makeGroups(tenants, 1_000);
    tenants.setMax(1L << 30);
    CountDownLatch goOn = new CountDownLatch(1);
    AtomicInteger nrWithSlot = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < nrThreads; i++) {
      ObjCgroup handle = handles.get(i % handles.size());
      threads.add(
          start(() -> {
            try (Scope scope = handle.enter()) {
              nrWithSlot.addAndGet(scope.frame().holdsSlot() ? 1 : 0);
              Live before = allocator.allocate(64);
              inside.release();
              goOn.await();
              Live after = allocator.allocate(64);
              assertTrue(before.owner() == handle && after.owner() == handle);
              allocator.free(before);
              allocator.free(after);
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          }));
    }
    inside.acquire(nrThreads);
    assertEquals(root.slots().nrScopeSlots(), nrWithSlot.get());
    assertEquals(root.slots().nrScopeSlots(), root.slots().nrBusy(), "no shared slot is kept");
    int nrStocks = registry.nrStocks();
    int nrKept = root.slots().nrSlots() * SlotStocks.MAX_KEPT;
    assertTrue(nrStocks <= nrAllowedStocks() + nrKept, "nrStocks=" + nrStocks);
    assertEquals(1_001, registry.nrHandles());
    long atRest = 1_000 * TestAllocator.pageBytes(nrThreads / 1_000 * 64L);
    long parked = tenants.usage() - atRest;
    assertTrue(
        parked <= tenants.max() / MemCgroup.MAX_STOCK_FRACTION, "parked=" + parked + " of 1 GiB");
    root.drain();
    long parkedByBusy = tenants.usage() - atRest;
    assertTrue(parkedByBusy <= parked, "parked=" + parked + " after=" + parkedByBusy);
    goOn.countDown();
    joinAll(threads);
    everythingIsGivenBack();
  }

  /** Scopes that are left and entered while their threads change carriers. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void enter_manyNotParked_chargesAreExact(long seed) throws InterruptedException {
    makeGroups(root, 50);
    ConcurrentLinkedQueue<Live> passedOn = new ConcurrentLinkedQueue<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 3_000; i++) {
      Random random = new Random(seed * 10_000 + i);
      threads.add(
          start(() -> {
            for (int round = 0; round < 10; round++) {
              ObjCgroup outer = handles.get(random.nextInt(handles.size()));
              ObjCgroup inner = handles.get(random.nextInt(handles.size()));
              try (Scope scope = outer.enter()) {
                Live object = allocator.allocate(1 + random.nextInt(5_000));
                assertEquals(outer, object.owner());
                passedOn.add(object);
                Thread.yield();
                try (Scope nested = inner.enter()) {
                  Thread.yield();
                  passedOn.add(allocator.allocate(1 + random.nextInt(500)));
                  assertEquals(scope.frame().slot(), nested.frame().slot());
                }
                assertEquals(outer, scope.current());
              }
              for (int nrFrees = random.nextInt(5); nrFrees > 0; nrFrees--) {
                Live object = passedOn.poll();
                if (object != null) {
                  allocator.free(object);
                }
              }
            }
          }));
    }
    joinAll(threads);
    passedOn.forEach(allocator::free);
    everythingIsGivenBack();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void endOfThread_insideAScope_givesItsSlotToOthers(boolean virtual) throws InterruptedException {
    makeGroups(root, 3);
    int nrScopeSlots = root.slots().nrScopeSlots();
    for (int i = 0; i < 5 * nrScopeSlots; i++) {
      ObjCgroup handle = handles.get(i % 3);
      List<Boolean> gotSlot = new ArrayList<>();
      Thread.Builder builder = virtual ? Thread.ofVirtual() : Thread.ofPlatform();
      Thread dead =
          builder.start(() -> {
            Scope forgotten = handle.enter();
            gotSlot.add(forgotten.frame().holdsSlot());
            allocator.free(allocator.allocate(3 * PAGE));
          });
      dead.join();
      assertEquals(List.of(true), gotSlot, "i=" + i);
    }
    root.drain();
    assertEquals(0, root.usage(), "a drain reaches the slots of the dead");
    assertEquals(0, root.slots().nrBusy());
    for (int i = 0; i < nrScopeSlots; i++) {
      // Each slot once: what the dead have pinned there is let go of.
      assertTrue(root.slots().tryClaim(root.slots().slot(i)));
    }
    try (Scope scope = handles.get(0).enter()) {
      assertFalse(scope.frame().holdsSlot());
    }
    for (int i = 0; i < nrScopeSlots; i++) {
      root.slots().slot(i).release();
    }
  }
}
