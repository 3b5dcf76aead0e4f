package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** Virtual threads that wait for a shared slot must let its owner run. */
final class ClaimSharedTest {
  @Test
  void claimShared_ownerIsBlocked_waitersDoNotKeepItFromTheCarriers() throws Exception {
    CpuSlots slots = CpuSlots.create(1, 1);
    CountDownLatch held = new CountDownLatch(1);
    Thread owner =
        Thread.ofVirtual()
            .start(() -> {
              CpuSlot slot = slots.claimShared();
              held.countDown();
              LockSupport.park(); // as on a lock that a platform thread holds
              slot.release();
            });
    held.await();
    int nrWaiters = 8 * Runtime.getRuntime().availableProcessors();
    CountDownLatch begun = new CountDownLatch(nrWaiters);
    AtomicInteger nrInterrupted = new AtomicInteger();
    List<Thread> waiters = new ArrayList<>();
    for (int i = 0; i < nrWaiters; i++) {
      boolean interrupt = i % 2 == 0;
      waiters.add(
          Thread.ofVirtual()
              .start(() -> {
                if (interrupt) {
                  Thread.currentThread().interrupt();
                }
                begun.countDown();
                slots.claimShared().release();
                nrInterrupted.addAndGet(Thread.interrupted() ? 1 : 0);
              }));
    }
    begun.await();
    Thread.sleep(50); // so that they wait in earnest; nothing depends on it
    LockSupport.unpark(owner);
    assertTrue(owner.join(Duration.ofMinutes(1)), "the owner never ran again");
    for (Thread waiter : waiters) {
      assertTrue(waiter.join(Duration.ofMinutes(1)));
    }
    assertEquals(nrWaiters / 2, nrInterrupted.get(), "the status of an interrupt is kept");
  }
}
