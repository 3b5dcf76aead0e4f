package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Read sections and grace periods. */
final class SrcuTest {
  private static final long SEED = 0x5bc0_11aaL;

  private final Srcu srcu = new Srcu();

  @Test
  void poll_noSection_hasEndedAtOnce() {
    for (int i = 0; i < 10; i++) {
      assertTrue(srcu.poll(srcu.startPoll()));
      srcu.synchronize();
    }
    assertEquals(0, srcu.nrSections());
  }

  @Test
  void poll_sectionOpenBefore_waitsForIt() {
    int outer = srcu.readLock();
    int inner = srcu.readLock();
    long cookie = srcu.startPoll();
    assertFalse(srcu.poll(cookie));
    srcu.readUnlock(outer);
    assertFalse(srcu.poll(cookie));
    assertEquals(1, srcu.nrSections());
    srcu.readUnlock(inner);
    assertTrue(srcu.poll(cookie));
    assertTrue(srcu.poll(cookie));
  }

  @Test
  void poll_sectionsOpenedAfterwards_doNotHinder() {
    int before = srcu.readLock();
    long cookie = srcu.startPoll();
    assertFalse(srcu.poll(cookie)); // the phases change places, so what follows is in the other one
    int after = srcu.readLock();
    srcu.readUnlock(before);
    assertTrue(srcu.poll(cookie));
    long later = srcu.startPoll();
    assertFalse(srcu.poll(later));
    srcu.readUnlock(after);
    assertTrue(srcu.poll(later));
  }

  /** A cookie that is taken while a grace period is under way needs the next one. */
  @Test
  void startPoll_whileGracePeriodRuns_needsTheNextOne() {
    int first = srcu.readLock();
    long early = srcu.startPoll();
    assertFalse(srcu.poll(early));
    int second = srcu.readLock();
    long late = srcu.startPoll();
    srcu.readUnlock(first);
    assertTrue(srcu.poll(early));
    assertFalse(srcu.poll(late));
    srcu.readUnlock(second);
    assertTrue(srcu.poll(late));
  }

  /** It has read the active phase and counts itself there only when the phases have changed. */
  @Test
  void poll_readerThatCountsItselfLate_isWaitedFor() {
    for (int i = 0; i < 4; i++) {
      int phase = srcu.activePhase();
      for (int grace = 0; grace <= i; grace++) {
        srcu.synchronize();
      }
      int token = srcu.enter(phase);
      long cookie = srcu.startPoll();
      for (int look = 0; look < 5; look++) {
        assertFalse(srcu.poll(cookie), "phase not waited for");
      }
      srcu.readUnlock(token);
      assertTrue(srcu.poll(cookie));
    }
  }

  @Test
  void synchronize_sectionLeftByAnotherThread_returns() throws Exception {
    for (int i = 0; i < 50; i++) {
      int token = srcu.readLock();
      CountDownLatch done = new CountDownLatch(2);
      for (int w = 0; w < 2; w++) {
        Thread.ofVirtual()
            .start(() -> {
              srcu.synchronize();
              done.countDown();
            });
      }
      assertFalse(done.await(i == 0 ? 20 : 0, TimeUnit.MILLISECONDS));
      Thread leaver = Thread.ofVirtual().start(() -> srcu.readUnlock(token));
      assertTrue(done.await(60, TimeUnit.SECONDS), "sleeps over the last reader");
      leaver.join();
    }
  }

  @Test
  void synchronize_interrupted_waitsAndKeepsTheInterrupt() throws Exception {
    int token = srcu.readLock();
    AtomicBoolean interrupted = new AtomicBoolean();
    Thread waiter =
        Thread.ofPlatform()
            .start(() -> {
              srcu.synchronize();
              interrupted.set(Thread.currentThread().isInterrupted());
            });
    waiter.interrupt();
    waiter.join(50);
    assertTrue(waiter.isAlive(), "ended by an interrupt");
    srcu.readUnlock(token);
    waiter.join(60_000);
    assertFalse(waiter.isAlive(), "hangs");
    assertTrue(interrupted.get(), "interrupt lost");
  }

  @Test
  void readUnlock_notOpen_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> srcu.readUnlock(-1));
    assertThrows(IllegalArgumentException.class, () -> srcu.readUnlock(Integer.MAX_VALUE));
    int token = srcu.readLock();
    srcu.readUnlock(token);
    assertThrows(IllegalStateException.class, () -> srcu.readUnlock(token));
    assertTrue(srcu.poll(srcu.startPoll()), "nothing changed by it");
  }

  /** Readers check what a writer replaces and spoils after a grace period: none sees it spoilt. */
  @Test
  void readersAndWriters_random_noReaderSeesASpoiltObject() throws Exception {
    AtomicReference<int[]> shared = new AtomicReference<>(new int[] {1});
    AtomicInteger nrSpoilt = new AtomicInteger();
    AtomicInteger nrRunning = new AtomicInteger(2);
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      Random random = new Random(SEED + t);
      Thread.Builder kind = t < 2 ? Thread.ofPlatform() : Thread.ofVirtual();
      threads.add(
          kind.start(() -> {
            while (nrRunning.get() > 0) {
              int token = srcu.readLock();
              int[] object = shared.get();
              if (random.nextInt(64) == 0) {
                LockSupport.parkNanos(20_000);
              }
              if (object[0] != 1) {
                nrSpoilt.getAndIncrement();
              }
              srcu.readUnlock(token);
            }
          }));
    }
    for (int w = 0; w < 2; w++) {
      boolean polls = w == 0;
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                for (int i = 0; i < 2000; i++) {
                  int[] old = shared.getAndSet(new int[] {1});
                  if (polls) {
                    long cookie = srcu.startPoll();
                    while (!srcu.poll(cookie)) {
                      LockSupport.parkNanos(1000);
                    }
                  } else {
                    srcu.synchronize();
                  }
                  old[0] = 0;
                }
                nrRunning.getAndDecrement();
              }));
    }
    for (Thread thread : threads) {
      thread.join(60_000);
      assertFalse(thread.isAlive(), () -> "hangs: seed=" + SEED);
    }
    assertEquals(0, nrSpoilt.get(), () -> "seed=" + SEED);
    assertEquals(0, srcu.nrSections());
  }
}
