package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class WaitQueueTest {
  private static final long PAGE = MemCgroup.PAGE_SIZE;
  private static final Duration LONG = Duration.ofMinutes(1);

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup a = root.create("a");

  private Charge charge(String name) {
    return a.charge(name, MemoryClass.HEAP);
  }

  private void awaitWaiting(int nrWaiting) throws InterruptedException {
    while (a.nrWaiting() != nrWaiting) {
      Thread.sleep(1);
    }
  }

  @Test
  void setAwait_roomComes_isGranted() throws Exception {
    a.setMax(10 * PAGE);
    Charge held = charge("held");
    held.set(8 * PAGE);
    Charge waiting = charge("waiting");
    CompletableFuture<Boolean> granted = a.setAsync(waiting, 5 * PAGE, LONG).toCompletableFuture();
    awaitWaiting(1);
    assertFalse(granted.isDone());
    held.set(5 * PAGE);
    assertTrue(granted.get());
    assertEquals(10 * PAGE, a.usage());
    assertEquals(0, a.nrWaiting());
  }

  @Test
  void setAwait_limitIsRaised_isGranted() throws Exception {
    a.setMax(10 * PAGE);
    charge("held").set(10 * PAGE);
    CompletableFuture<Boolean> granted =
        a.setAsync(charge("waiting"), PAGE, LONG).toCompletableFuture();
    awaitWaiting(1);
    a.setMax(11 * PAGE);
    assertTrue(granted.get());
  }

  @Test
  void setAwait_timeOver_falseAndNothingCharged() throws Exception {
    a.setMax(10 * PAGE);
    charge("held").set(10 * PAGE);
    assertFalse(a.setAwait(charge("waiting"), PAGE, Duration.ofMillis(5)));
    assertFalse(a.setAwait(charge("waiting"), PAGE, Duration.ZERO));
    assertEquals(10 * PAGE, a.usage());
    assertEquals(0, a.nrWaiting());
  }

  @Test
  void setAwait_interrupted_throwsAndLeavesTheQueue() throws Exception {
    a.setMax(10 * PAGE);
    charge("held").set(10 * PAGE);
    Charge waiting = charge("waiting");
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> a.setAwait(waiting, PAGE, LONG));
    assertEquals(0, a.nrWaiting());
    assertEquals(0, waiting.nrBytes());
  }

  /** The large one came first: small ones that would fit wait behind it. */
  @Test
  void setAwait_largeFirst_isNotOvertakenBySmallOnes() throws Exception {
    a.setMax(100 * PAGE);
    List<Charge> held = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      Charge one = charge("held");
      one.set(PAGE);
      held.add(one);
    }
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    CompletableFuture<?> large =
        a.setAsync(charge("large"), 50 * PAGE, LONG)
            .thenAccept(granted -> order.add("large"))
            .toCompletableFuture();
    awaitWaiting(1);
    List<CompletableFuture<?>> small = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      int number = i;
      small.add(
          a.setAsync(charge("small"), PAGE, LONG)
              .thenAccept(granted -> order.add("small" + number))
              .toCompletableFuture());
      awaitWaiting(2 + i);
    }
    for (int i = 0; i < 49; i++) {
      held.get(i).close();
    }
    Thread.sleep(30); // a chance to go wrong; nothing depends on it
    assertEquals(List.of(), order);
    held.get(49).close();
    large.get();
    for (int i = 50; i < 60; i++) {
      held.get(i).close();
    }
    for (CompletableFuture<?> one : small) {
      one.get();
    }
    assertEquals("large", order.getFirst());
    assertEquals(11, order.size());
  }

  /** Many virtual and platform threads, more than fits: all are served, and nothing is lost. */
  @Test
  void setAwait_manyThreads_allServedNeverOver() throws Exception {
    a.setMax(16 * PAGE);
    for (ExecutorService executor :
        List.of(Executors.newVirtualThreadPerTaskExecutor(), Executors.newFixedThreadPool(6))) {
      try (executor) {
        List<Future<?>> results = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
          SplittableRandom random = new SplittableRandom(i);
          results.add(
              executor.submit(() -> {
                for (int round = 0; round < 10; round++) {
                  try (Charge mine = charge("mine")) {
                    assertTrue(a.setAwait(mine, (1 + random.nextInt(16)) * PAGE, LONG));
                    assertTrue(a.usage() <= 16 * PAGE);
                  }
                }
                return null;
              }));
        }
        for (Future<?> result : results) {
          result.get();
        }
      }
    }
    assertEquals(0, a.usage());
    assertEquals(0, a.nrWaiting());
    assertTrue(a.pressure().some().totalMicros() > 0);
  }

  /** Small ones that would fit at once keep coming: the large one that waits is still served. */
  @Test
  void setAwait_fitsWhileALargeOneWaits_waitsBehindIt() throws Exception {
    a.setMax(100 * PAGE);
    Charge held = charge("held");
    held.set(100 * PAGE);
    Charge large = charge("large");
    CompletableFuture<Boolean> granted = a.setAsync(large, 50 * PAGE, LONG).toCompletableFuture();
    awaitWaiting(1);
    held.set(70 * PAGE); // room for 30
    Charge small = charge("small");
    assertFalse(a.setAwait(small, PAGE, Duration.ofMillis(20)));
    assertEquals(70 * PAGE, a.usage());
    held.set(50 * PAGE);
    assertTrue(granted.get());
    held.set(40 * PAGE);
    assertTrue(a.setAwait(small, PAGE, LONG));
  }

  /** It waits for the group above, and keeps its place below: who came later comes later. */
  @Test
  void setAwait_refusedAboveThenBelow_isServedInOrder() throws Exception {
    MemCgroup b = root.create("b");
    root.setMax(20 * PAGE);
    a.setMax(10 * PAGE);
    Charge held = b.charge("held", MemoryClass.HEAP);
    held.set(18 * PAGE);
    Charge first = charge("first");
    CompletableFuture<Boolean> firstGranted =
        a.setAsync(first, 8 * PAGE, LONG).toCompletableFuture();
    while (root.nrWaiting() != 1) {
      Thread.sleep(1);
    }
    assertEquals(0, a.nrWaiting());
    Charge second = charge("second");
    CompletableFuture<Boolean> secondGranted =
        a.setAsync(second, 2 * PAGE, LONG).toCompletableFuture();
    while (root.nrWaiting() != 2) {
      Thread.sleep(1);
    }
    a.setMax(5 * PAGE); // the first one has to wait here from now on, and lets the second one by
    held.set(10 * PAGE);
    assertTrue(secondGranted.get());
    awaitWaiting(1);
    assertFalse(firstGranted.isDone());
    while (root.nrWaiting() != 0) {
      Thread.sleep(1); // while the second one was still there it may have lined up behind it
    }
    held.set(20 * PAGE - 2 * PAGE);
    a.setMax(10 * PAGE); // now it is refused above, and is in both queues
    while (root.nrWaiting() != 1) {
      Thread.sleep(1);
    }
    assertEquals(1, a.nrWaiting());
    held.close();
    assertTrue(firstGranted.get());
    assertEquals(10 * PAGE, a.usage());
    assertEquals(0, a.nrWaiting() + root.nrWaiting());
  }

  /** Whoever waits for a group above is told when its own group goes. */
  @Test
  void setAwait_groupIsRemoved_endsUngranted() throws Exception {
    MemCgroup b = a.create("b");
    a.setMax(10 * PAGE);
    charge("held").set(10 * PAGE);
    CompletableFuture<Boolean> other =
        a.setAsync(charge("other"), PAGE, LONG).toCompletableFuture();
    awaitWaiting(1);
    Charge waiting = b.charge("waiting", MemoryClass.HEAP);
    CompletableFuture<Boolean> granted = b.setAsync(waiting, PAGE, LONG).toCompletableFuture();
    awaitWaiting(2);
    b.remove();
    assertFalse(granted.get());
    assertEquals(0, waiting.nrBytes());
    assertFalse(other.isDone());
    awaitWaiting(1);
    a.setMax(11 * PAGE);
    assertTrue(other.get());
  }

  @Test
  void roomWait_cancelled_endsUngranted() throws Exception {
    a.setMax(PAGE);
    charge("held").set(PAGE);
    RoomWait wait = new RoomWait(a, RoomWait.deadline(LONG), null);
    CompletableFuture<RoomWait.Outcome> outcome = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(() -> {
          try {
            outcome.complete(wait.await(() -> a.tryChargeNow(1)));
          } catch (InterruptedException e) {
            outcome.completeExceptionally(e);
          }
        });
    awaitWaiting(1);
    wait.cancel();
    assertEquals(RoomWait.Outcome.CANCELLED, outcome.get());
    assertEquals(0, a.nrWaiting());
  }

  @Test
  void roomWait_refusedByAnotherPath_saysSo() throws Exception {
    MemCgroup b = root.create("b");
    RoomWait wait = new RoomWait(a, RoomWait.deadline(LONG), null);
    assertEquals(RoomWait.Outcome.MOVED, wait.await(() -> b));
    assertEquals(0, b.nrWaiting());
  }
}
