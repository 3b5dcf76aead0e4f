package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/**
 * One tenant loops on requests that are refused; the requests of another one fit all the time. None
 * of them may be refused.
 *
 * <p>The system property {@code memcg4j.noisy.requests} sets how many requests the good tenant
 * makes in each test; the default is {@value #NR_REQUESTS}.
 */
class NoisyNeighbourTest {
  private static final long NR_REQUESTS = 10_000_000;
  private static final long MEBIBYTE = 1 << 20;
  private static final long PAGES_OF_4_MIB = 4 * MEBIBYTE / MemCgroup.PAGE_SIZE;

  private final long nrRequests = Long.getLong("memcg4j.noisy.requests", NR_REQUESTS);
  private final CpuSlots slots = CpuSlots.create(4, 2);
  private final MemCgroup root = MemCgroup.root(slots);
  private final MemCgroup parent = root.create("parent");
  private final MemCgroup noisy = parent.create("noisy");
  private final MemCgroup good = parent.create("good");

  @Test
  void charge_besideRefusedRequests_isNeverRefused() throws Exception {
    parent.setMax(MEBIBYTE);
    CpuSlot own = slots.claimShared();
    run(
        nrRequests,
        () -> {
          CpuSlot slot = slots.tryClaim(1);
          assertNotNull(slot);
          boolean refused = noisy.charge(slot, PAGES_OF_4_MIB) != null;
          slot.release();
          return refused;
        },
        () -> {
          if (good.charge(own, 200) != null) {
            return true;
          }
          good.uncharge(own, 200);
          return false;
        });
    own.release();
  }

  @Test
  void tryChargeNow_besideRefusedRequests_isNeverRefused() throws Exception {
    parent.setMax(MEBIBYTE);
    run(nrRequests / 5, () -> noisy.tryChargeNow(PAGES_OF_4_MIB) != null, this::chargeFitsNot);
  }

  /**
   * The noisy requests fit the parent, are refused above it, and never look before they reserve.
   */
  @Test
  void tryChargeNow_besideReservedAndRefusedRequests_isNeverRefused() throws Exception {
    parent.setMax(5 * MEBIBYTE);
    root.setMax(2 * MEBIBYTE);
    assertNull(good.tryChargeNow(MEBIBYTE / MemCgroup.PAGE_SIZE));
    run(
        nrRequests / 5,
        () -> noisy.counter().reserveAndCommit(PAGES_OF_4_MIB) != null,
        this::chargeFitsNot);
    good.unchargeNow(MEBIBYTE / MemCgroup.PAGE_SIZE);
  }

  private boolean chargeFitsNot() {
    if (good.tryChargeNow(200) != null) {
      return true;
    }
    good.unchargeNow(200);
    return false;
  }

  private static void run(
      long nrRequests, BooleanSupplier noisyIsRefused, BooleanSupplier goodIsRefused)
      throws InterruptedException {
    AtomicBoolean done = new AtomicBoolean();
    AtomicLong nrNoisy = new AtomicLong();
    AtomicLong nrNoisyGranted = new AtomicLong();
    Thread noise =
        Thread.ofPlatform()
            .start(() -> {
              while (!done.get()) {
                if (!noisyIsRefused.getAsBoolean()) {
                  nrNoisyGranted.incrementAndGet();
                }
                nrNoisy.incrementAndGet();
              }
            });
    long nrRefused = 0;
    while (nrNoisy.get() == 0) {
      Thread.onSpinWait();
    }
    for (long i = 0; i < nrRequests; i++) {
      if (goodIsRefused.getAsBoolean()) {
        nrRefused++;
      }
    }
    done.set(true);
    noise.join();
    System.out.println(
        "noisy neighbour: goodRequests=%d goodRefused=%d noisyRefused=%d"
            .formatted(nrRequests, nrRefused, nrNoisy.get()));
    assertEquals(0, nrRefused);
    assertEquals(0, nrNoisyGranted.get());
    assertTrue(nrNoisy.get() > 0);
  }
}
