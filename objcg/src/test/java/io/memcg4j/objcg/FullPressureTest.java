package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Full is when somebody waits and nobody works: who works is seen by the scopes. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class FullPressureTest {
  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup a = root.create("a");
  private final MemCgroup b = root.create("b");

  /** A thread that waits for memory of a group until it is let go. */
  private final class Waiting {
    final AtomicBoolean mayEnd = new AtomicBoolean();
    final FutureTask<Boolean> task =
        new FutureTask<>(() -> a.awaitRoom(mayEnd::get, Duration.ofMinutes(1)));

    void start() throws InterruptedException {
      Thread.ofVirtual().start(task);
      while (a.pressure().some().totalMicros() == 0) {
        Thread.sleep(1);
      }
    }

    void end() throws Exception {
      mayEnd.set(true);
      assertTrue(task.get());
    }
  }

  @Test
  void oneWaitsNobodyWorks_isFullAtEachLevel() throws Exception {
    Waiting waiting = new Waiting();
    waiting.start();
    assertTrue(a.pressure().full().totalMicros() > 0);
    assertTrue(root.pressure().full().totalMicros() > 0);
    assertEquals(0, b.pressure().some().totalMicros());
    waiting.end();
    long total = a.pressure().full().totalMicros();
    assertEquals(total, a.pressure().full().totalMicros());
    assertEquals(total, a.pressure().some().totalMicros());
  }

  @Test
  void anotherWorksBeside_isFullBelowAndNotAbove_untilItRests() throws Exception {
    AtomicBoolean works = new AtomicBoolean(true);
    CountDownLatch inScope = new CountDownLatch(1);
    CountDownLatch mayLeave = new CountDownLatch(1);
    FutureTask<Void> worker =
        new FutureTask<>(() -> {
          try (Scope _ = ObjCgroup.of(b).enter()) {
            inScope.countDown();
            while (works.get()) {
              Thread.onSpinWait();
            }
            mayLeave.await();
          }
          return null;
        });
    new Thread(worker, "worker").start();
    inScope.await();
    Waiting waiting = new Waiting();
    waiting.start();
    assertTrue(a.pressure().full().totalMicros() > 0, "nobody works in the group itself");
    assertTrue(root.pressure().some().totalMicros() > 0);
    assertEquals(0, root.pressure().full().totalMicros(), "the other one gets on");
    works.set(false);
    while (root.pressure().full().totalMicros() == 0) { // as soon as it is parked
      Thread.sleep(1);
    }
    mayLeave.countDown();
    worker.get();
    waiting.end();
    assertTrue(
        root.pressure().full().totalMicros() < root.pressure().some().totalMicros(),
        () -> root.pressure().toString());
  }

  /** Whoever waits himself is at work for nobody, although he holds a scope. */
  @Test
  void bothWait_isFull() throws Exception {
    AtomicBoolean mayEnd = new AtomicBoolean();
    AtomicBoolean tried = new AtomicBoolean();
    FutureTask<Boolean> task =
        new FutureTask<>(() -> {
          try (Scope _ = ObjCgroup.of(a).enter()) {
            return a.awaitRoom(
                () -> {
                  while (tried.getAndSet(true) && !mayEnd.get()) {
                    Thread.onSpinWait(); // runs, as a shrinker would, but waits for memory
                  }
                  return mayEnd.get();
                },
                Duration.ofMinutes(1));
          }
        });
    new Thread(task, "waiting").start();
    while (root.pressure().full().totalMicros() == 0) {
      Thread.sleep(1);
    }
    mayEnd.set(true);
    assertTrue(task.get());
    assertEquals(root.pressure().some().totalMicros(), root.pressure().full().totalMicros());
  }
}
