package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Allocations that wait for memory. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class KmallocWaitTest {
  private static final long PAGE = Instance.PAGE;
  private static final int NR_PAGES = 64;
  private static final Duration LONG = Duration.ofMinutes(1);

  private final Instance instance = Instance.of(CpuSlots.create(8, 2));
  private final Kmalloc kmalloc = instance.kmalloc;
  private final KmallocWait waiting = kmalloc.waiting();
  private final MemCgroup a = instance.root.create("a");

  KmallocWaitTest() {
    a.setMax(NR_PAGES * PAGE);
  }

  @AfterEach
  void nothingIsLeft() {
    assertEquals(0, a.nrWaiting());
    instance.assertNothingLeft();
    instance.close();
  }

  private long allocatePages(long nrPages) {
    try (Scope _ = instance.enter(a)) {
      return kmalloc.allocate(nrPages * PAGE);
    }
  }

  private CompletableFuture<Long> async(long nrBytes) {
    try (Scope _ = instance.enter(a)) {
      return waiting.allocateAsync(nrBytes, LONG).toCompletableFuture();
    }
  }

  /** A thread that waits inside a scope of its own. */
  private FutureTask<Long> waiter(boolean virtual, long nrBytes, Duration timeout) {
    FutureTask<Long> task =
        new FutureTask<>(() -> {
          try (Scope _ = instance.enter(a)) {
            return waiting.allocateAwait(nrBytes, timeout);
          }
        });
    if (virtual) {
      Thread.ofVirtual().start(task);
    } else {
      new Thread(task, "waiter").start();
    }
    return task;
  }

  private void awaitWaiting(int nrWaiting) throws InterruptedException {
    while (a.nrWaiting() != nrWaiting) {
      Thread.sleep(1);
    }
  }

  @Test
  void allocateAwait_fits_isGrantedAtOnce() throws Exception {
    try (Scope _ = instance.enter(a)) {
      long address = waiting.allocateAwait(100, Duration.ZERO);
      assertNotEquals(Kmalloc.NULL, address);
      kmalloc.free(address);
      assertEquals(Kmalloc.ZERO_SIZE, waiting.allocateAwait(0, LONG));
      assertThrows(IllegalArgumentException.class, () -> waiting.allocateAwait(-1, LONG));
      assertThrows(IllegalArgumentException.class, () -> waiting.allocateAsync(-1, LONG));
    }
    kmalloc.free(waiting.allocateAwait(100, LONG)); // outside any scope nothing waits
    assertEquals(0, a.events().max());
  }

  @Test
  void allocateAwait_anotherFrees_isGranted() throws Exception {
    for (boolean virtual : new boolean[] {false, true}) {
      long held = allocatePages(40);
      FutureTask<Long> waiter = waiter(virtual, 40 * PAGE, LONG);
      awaitWaiting(1);
      assertFalse(waiter.isDone());
      kmalloc.free(held);
      kmalloc.free(Instance.await(waiter));
    }
    assertTrue(a.pressure().some().totalMicros() > 0);
  }

  @Test
  void allocateAwait_timeOver_isNullAndNothingIsCharged() throws Exception {
    long held = allocatePages(60);
    for (Duration timeout :
        List.of(Duration.ofMillis(5), Duration.ZERO, Duration.ofSeconds(Long.MIN_VALUE))) {
      assertEquals(Kmalloc.NULL, Instance.await(waiter(true, 10 * PAGE, timeout)));
    }
    assertEquals(60 * PAGE, instance.drainedUsage(a));
    kmalloc.free(held);
  }

  @Test
  void allocateAwait_interrupted_throwsAndNothingIsCharged() throws Exception {
    long held = allocatePages(60);
    CountDownLatch done = new CountDownLatch(1);
    AtomicBoolean interrupted = new AtomicBoolean();
    Thread thread =
        Thread.ofVirtual()
            .start(() -> {
              try (Scope _ = instance.enter(a)) {
                waiting.allocateAwait(10 * PAGE, Duration.ofSeconds(Long.MAX_VALUE));
              } catch (InterruptedException e) {
                interrupted.set(true);
              }
              done.countDown();
            });
    awaitWaiting(1);
    thread.interrupt();
    done.await();
    assertTrue(interrupted.get());
    assertEquals(60 * PAGE, instance.drainedUsage(a));
    kmalloc.free(held);
  }

  /** The large one came first: small ones that would fit wait behind it. */
  @Test
  void allocateAsync_largeFirst_isNotOvertakenBySmallOnes() throws Exception {
    List<Long> held = new ArrayList<>();
    for (int i = 0; i < NR_PAGES / 4; i++) {
      held.add(allocatePages(4));
    }
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    List<CompletableFuture<Void>> all = new ArrayList<>();
    all.add(
        async(32 * PAGE)
            .thenAccept(address -> {
              order.add("large");
              kmalloc.free(address);
            }));
    awaitWaiting(1);
    for (int i = 0; i < 10; i++) {
      all.add(
          async(3 * PAGE)
              .thenAccept(address -> {
                order.add("small");
                kmalloc.free(address);
              }));
      awaitWaiting(2 + i);
    }
    for (int i = 0; i < 7; i++) {
      kmalloc.free(held.removeLast());
    }
    try (Scope _ = instance.enter(a)) { // nor by one that comes now
      assertEquals(Kmalloc.NULL, waiting.allocateAwait(PAGE, Duration.ofMillis(20)));
    }
    assertEquals(List.of(), order);
    kmalloc.free(held.removeLast());
    for (CompletableFuture<Void> one : all) {
      one.get();
    }
    assertEquals("large", order.getFirst());
    assertEquals(11, order.size());
    held.forEach(kmalloc::free);
  }

  /** Another tenant, on a slot of its own, frees small objects: the shared limit above has room. */
  @Test
  void allocateAwait_anotherTenantFreesOnAnotherSlot_isGranted() throws Exception {
    instance.root.setMax(NR_PAGES * PAGE);
    MemCgroup b = instance.root.create("b");
    CountDownLatch full = new CountDownLatch(1);
    CountDownLatch free = new CountDownLatch(1);
    FutureTask<Void> other =
        new FutureTask<>(() -> {
          try (Scope _ = instance.enter(b)) {
            List<Long> objects = new ArrayList<>();
            for (long o = kmalloc.tryAllocate(500); o != Kmalloc.NULL; ) {
              objects.add(o);
              o = kmalloc.tryAllocate(500);
            }
            full.countDown();
            free.await();
            for (int i = 0; i < objects.size() - 1; i++) {
              kmalloc.free(objects.get(i));
            }
            waitingIsOver.await(); // still inside the scope, doing nothing
            kmalloc.free(objects.getLast());
          }
          return null;
        });
    new Thread(other).start();
    full.await();
    FutureTask<Long> waiter = waiter(true, NR_PAGES / 2 * PAGE, LONG);
    while (instance.root.nrWaiting() != 1) {
      Thread.sleep(1);
    }
    free.countDown();
    kmalloc.free(Instance.await(waiter));
    waitingIsOver.countDown();
    Instance.await(other);
  }

  private final CountDownLatch waitingIsOver = new CountDownLatch(1);

  /**
   * While somebody waits, a free on a slot goes to the counters page by page, and into no stock.
   * Nobody looks meanwhile: the one that waits is kept busy.
   */
  @Test
  void free_whileSomebodyWaits_goesStraightToTheCounters() throws Exception {
    List<Long> objects = new ArrayList<>();
    CountDownLatch trying = new CountDownLatch(1);
    CountDownLatch mayEnd = new CountDownLatch(1);
    FutureTask<Boolean> waiter =
        new FutureTask<>(() ->
            a.awaitRoom(
                () -> {
                  if (a.nrWaiting() == 0) {
                    return false; // not in the queue yet
                  }
                  trying.countDown();
                  await(mayEnd);
                  return true;
                },
                LONG));
    try (Scope _ = instance.enter(a)) {
      for (int i = 0; i < 7 * (NR_PAGES - 8); i++) {
        objects.add(kmalloc.allocate(500));
      }
      Thread.ofVirtual().start(waiter);
      trying.await();
      int nrFreed = 0;
      while (objects.size() > 10) {
        kmalloc.free(objects.removeLast());
        nrFreed++;
        long live = Instance.roundToPages(objects.size() * Instance.chargeOf(500));
        if (nrFreed > 1) {
          assertEquals(live, a.usage(), "freed=" + nrFreed);
        }
      }
    }
    mayEnd.countDown();
    assertTrue(Instance.await(waiter));
    objects.forEach(kmalloc::free);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void allocateAsync_cancelled_leavesTheQueueAndNothingIsCharged() throws Exception {
    long held = allocatePages(60);
    CompletableFuture<Long> first = async(10 * PAGE);
    awaitWaiting(1);
    CompletableFuture<Long> second = async(4 * PAGE);
    awaitWaiting(2);
    first.cancel(false);
    assertThrows(CancellationException.class, first::get);
    kmalloc.free(second.get()); // it was next
    assertEquals(60 * PAGE, instance.drainedUsage(a));
    kmalloc.free(held);
  }

  /** Cancelled at just any moment: what was granted meanwhile is freed. */
  @Test
  void allocateAsync_cancelledAnywhere_losesNothing() throws Exception {
    for (int i = 0; i < 300; i++) {
      CompletableFuture<Long> stage = async(20 * PAGE);
      for (int spin = 0; spin < i * 20; spin++) {
        Thread.onSpinWait();
      }
      if (!stage.cancel(true)) {
        kmalloc.free(stage.get());
      }
    }
    // A thread may be about to free what it was granted.
    for (int nrCalm = 0; nrCalm < 100; nrCalm++) {
      Thread.sleep(1);
      nrCalm = kmalloc.info().nrObjects() == 0 ? nrCalm : 0;
    }
  }

  @Test
  void groupIsRemoved_whileSomebodyWaits_isAnError() throws Exception {
    MemCgroup b = a.create("b");
    long held = allocatePages(NR_PAGES);
    FutureTask<Long> waiter =
        new FutureTask<>(() -> {
          try (Scope _ = instance.enter(b)) {
            return waiting.allocateAwait(10 * PAGE, LONG);
          }
        });
    Thread.ofVirtual().start(waiter);
    awaitWaiting(1);
    CompletableFuture<Long> stage;
    try (Scope _ = instance.enter(b)) {
      stage = waiting.allocateAsync(10 * PAGE, LONG).toCompletableFuture();
    }
    awaitWaiting(2);
    b.remove();
    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> Instance.await(waiter));
    assertTrue(e.getMessage().startsWith("group was removed: group=/a/b "), e::getMessage);
    ExecutionException failed = assertThrows(ExecutionException.class, stage::get);
    assertInstanceOf(IllegalStateException.class, failed.getCause());
    kmalloc.free(held);
  }

  /** The one that waits is moved: its request is made again for the new group. */
  @Test
  void moveTo_whileWaiting_isServedFromTheNewGroup() throws Exception {
    MemCgroup b = instance.root.create("b");
    long held = allocatePages(NR_PAGES);
    CompletableFuture<Scope> scope = new CompletableFuture<>();
    FutureTask<Long> waiter =
        new FutureTask<>(() -> {
          try (Scope mine = instance.enter(a)) {
            scope.complete(mine);
            return waiting.allocateAwait(10 * PAGE, LONG);
          }
        });
    new Thread(waiter).start();
    awaitWaiting(1);
    scope.get().moveTo(ObjCgroup.of(b));
    long address = Instance.await(waiter);
    assertEquals(10 * PAGE, instance.drainedUsage(b));
    kmalloc.free(address);
    kmalloc.free(held);
  }

  /** More requests than fit, on more threads than there are slots: all are served, never over. */
  @Test
  void allocateAwait_manyVirtualThreads_allServedNeverOver() throws Exception {
    AtomicLong nrServed = new AtomicLong();
    List<FutureTask<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      int seed = i;
      FutureTask<Void> task =
          new FutureTask<>(() -> {
            for (int round = 0; round < 20; round++) {
              long nrBytes = seed % 3 == 0 ? 30 * PAGE : 100 + 97L * ((seed + round) % 70);
              try (Scope _ = instance.enter(a)) {
                long address = waiting.allocateAwait(nrBytes, LONG);
                assertNotEquals(Kmalloc.NULL, address);
                assertTrue(a.usage() <= NR_PAGES * PAGE);
                Thread.yield();
                kmalloc.free(address);
              }
              nrServed.incrementAndGet();
            }
            return null;
          });
      tasks.add(task);
      Thread.ofVirtual().start(task);
    }
    for (FutureTask<Void> task : tasks) {
      Instance.await(task);
    }
    assertEquals(60 * 20, nrServed.get());
  }
}
