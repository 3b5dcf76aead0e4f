package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CpuSlotsTest {
  private final CpuSlots slots = CpuSlots.create(3, 2);

  private CpuSlot claim(int hint) {
    return Objects.requireNonNull(slots.tryClaim(hint));
  }

  @Test
  void create_default_hasBothKindsWithinTheDocumentedBounds() {
    CpuSlots byDefault = CpuSlots.create();
    int nrShared = byDefault.nrSlots() - byDefault.nrScopeSlots();
    assertTrue(byDefault.nrScopeSlots() >= 16 && byDefault.nrScopeSlots() <= 256);
    assertTrue(nrShared >= 4);
  }

  @ParameterizedTest
  @CsvSource({"-1, 1", "0, 0", "1, -1", "4096, 1", "0, 4097", "2147483647, 2147483647"})
  void create_outOfRange_throws(int nrScopeSlots, int nrSharedSlots) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> CpuSlots.create(nrScopeSlots, nrSharedSlots));
    assertTrue(String.valueOf(e.getMessage()).contains("nrScopeSlots=" + nrScopeSlots));
  }

  @Test
  void create_extremes_areAccepted() {
    assertEquals(4096, CpuSlots.create(4095, 1).nrSlots());
    assertEquals(4096, CpuSlots.create(0, 4096).nrSlots());
    assertNull(CpuSlots.create(0, 1).tryClaim(0));
  }

  @Test
  void slot_everyIndex_knowsItsIndexAndKind() {
    for (int i = 0; i < slots.nrSlots(); i++) {
      assertEquals(i, slots.slot(i).index());
      assertEquals(i >= slots.nrScopeSlots(), slots.slot(i).isShared());
    }
    assertThrows(IndexOutOfBoundsException.class, () -> slots.slot(5));
    assertThrows(IndexOutOfBoundsException.class, () -> slots.slot(-1));
  }

  @Test
  void overflow_isNoSlotOfTheSet() {
    assertEquals(-1, slots.overflow().index());
    assertTrue(slots.overflow().isShared());
    assertSame(slots.overflow(), slots.overflow());
    assertFalse(slots.overflow().workPending());
  }

  @Test
  void firstHint_ofAProcessor_isItsFirstIdleSlot() {
    int perCpu = 3;
    CpuSlots some = CpuSlots.create(perCpu * Runtime.getRuntime().availableProcessors(), 1);
    Thread thread = Thread.ofVirtual().unstarted(() -> {});
    int cpu = Runtime.getRuntime().availableProcessors() - 1;
    for (int i = 0; i < perCpu; i++) {
      assertEquals(perCpu * cpu + i, some.firstHint(thread, cpu));
      assertNotNull(some.tryClaim(perCpu * cpu + i));
    }
    assertEquals(thread.threadId(), some.firstHint(thread, cpu));
    assertEquals(thread.threadId(), some.firstHint(thread, CurrentCpu.UNKNOWN));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 5, 1000, Integer.MAX_VALUE})
  void first_anyProcessor_isInRange(int cpu) {
    Thread thread = Thread.currentThread();
    for (int nrSlots : new int[] {1, 3, 16, 256}) {
      CpuSlots some = CpuSlots.create(nrSlots, nrSlots);
      int hint = some.firstHint(thread, cpu);
      assertTrue(hint >= 0 && hint < nrSlots, "hint " + hint + " of " + nrSlots);
      int shared = some.firstShared(thread, cpu);
      assertTrue(shared >= 0 && shared < nrSlots, "shared " + shared + " of " + nrSlots);
    }
    assertEquals(thread.threadId(), CpuSlots.create(0, 1).firstHint(thread, cpu));
  }

  @Test
  void firstShared_ofNeighbours_areDifferentSlots() {
    int nrCpus = Runtime.getRuntime().availableProcessors();
    CpuSlots some = CpuSlots.create(0, 2 * nrCpus);
    for (int cpu = 0; cpu < nrCpus; cpu++) {
      assertEquals(2 * cpu, some.firstShared(Thread.currentThread(), cpu));
    }
  }

  @Test
  void firstHint_platformThread_isItsId() {
    assertEquals(Thread.currentThread().threadId(), slots.firstHint());
  }

  @Test
  void tryClaim_hintIdle_getsIt() {
    for (int hint : new int[] {2, 0, 1}) {
      assertEquals(hint, claim(hint).index());
    }
  }

  @Test
  void tryClaim_hintBusy_getsTheNextAround() {
    assertEquals(1, claim(1).index());
    assertEquals(2, claim(1).index());
    assertEquals(0, claim(1).index());
    assertNull(slots.tryClaim(1));
    assertEquals(3, slots.nrBusy());
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, Integer.MIN_VALUE, 3, 4, 5, Integer.MAX_VALUE})
  void tryClaim_hintIsNoScopeSlot_getsAScopeSlot(int hint) {
    CpuSlot slot = claim(hint);
    assertTrue(slot.index() >= 0 && slot.index() < slots.nrScopeSlots());
    assertFalse(slot.isShared());
  }

  @Test
  void tryClaim_sameHintAgain_getsTheSameSlot() {
    CpuSlot first = claim(2);
    first.release();
    assertSame(first, claim(2));
  }

  @Test
  void tryClaim_afterRelease_succeeds() {
    claim(0);
    CpuSlot middle = claim(1);
    claim(2);
    assertNull(slots.tryClaim(0));
    middle.release();
    assertSame(middle, slots.tryClaim(0));
  }

  @Test
  void claimShared_sameThread_comesBackToTheSameSlot() {
    CpuSlot first = slots.claimShared();
    assertTrue(first.isShared());
    first.release();
    CpuSlot again = slots.claimShared();
    assertSame(first, again);
    CpuSlot other = slots.claimShared();
    assertNotSame(first, other);
    assertTrue(other.isShared());
  }

  @Test
  void claimShared_allBusy_waitsForARelease() throws Exception {
    CpuSlot first = slots.claimShared();
    CpuSlot second = slots.claimShared();
    AtomicReference<CpuSlot> got = new AtomicReference<>();
    Thread waiter =
        new Thread(() -> {
          CpuSlot slot = slots.claimShared();
          got.set(slot);
          slot.release();
        });
    waiter.start();
    Threads.await(() -> waiter.getState() != Thread.State.NEW);
    assertNull(got.get());
    second.release();
    waiter.join();
    assertSame(second, got.get());
    first.release();
    assertEquals(0, slots.nrBusy());
  }

  @Test
  void tryClaim_ownerThreadDied_takesTheSlotOver() throws Exception {
    int[] plain = new int[1];
    Threads.runAndEnd(() -> {
      claim(0);
      claim(1);
      claim(2);
      plain[0] = 42;
    });
    assertEquals(3, slots.nrBusy());
    CpuSlot slot = claim(1);
    assertEquals(1, slot.index());
    assertEquals(42, plain[0]);
    slot.release();
    assertSame(slot, claim(1));
  }

  @Test
  void tryClaim_deadOwnerWasCollected_takesTheSlotOver() throws Exception {
    WeakReference<Thread> owner = new WeakReference<>(claimOnAnotherThread());
    for (int i = 0; i < 1_000 && owner.get() != null; i++) {
      System.gc();
      Thread.sleep(1);
    }
    assertNull(owner.get(), "a slot must not keep its dead owner");
    assertEquals(1, slots.nrBusy());
    assertNull(slots.slot(0).ownerRacy());
    assertEquals(0, claim(0).index());
  }

  private Thread claimOnAnotherThread() throws InterruptedException {
    Thread thread = new Thread(() -> claim(0));
    thread.start();
    thread.join();
    return thread;
  }

  @Test
  void ownerRacy_namesTheThreadWhileItHoldsTheSlot() {
    assertNull(slots.slot(0).ownerRacy());
    CpuSlot slot = claim(0);
    assertSame(Thread.currentThread(), slot.ownerRacy());
    slot.release();
    assertNull(slot.ownerRacy());
    CpuSlot borrowed = slots.claimShared();
    assertSame(Thread.currentThread(), borrowed.ownerRacy());
    borrowed.release();
    assertNull(borrowed.ownerRacy());
  }

  @Test
  void claimShared_ownerThreadDied_takesTheSlotOver() throws Exception {
    Threads.runAndEnd(() -> {
      slots.claimShared();
      slots.claimShared();
    });
    slots.claimShared().release();
  }

  @Test
  void release_notTheOwner_isNoticedByAssertions() throws Exception {
    CpuSlot idle = slots.slot(0);
    assertThrows(AssertionError.class, idle::release);
    CpuSlot slot = claim(0);
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Threads.runAndEnd(() -> {
      try {
        slot.release();
      } catch (AssertionError e) {
        thrown.set(e);
      }
    });
    assertNotNull(thrown.get());
    assertEquals(1, slots.nrBusy());
  }

  @Test
  void tryClaim_parkedVirtualThread_keepsItsSlot() throws Exception {
    CountDownLatch claimed = new CountDownLatch(1);
    CountDownLatch leave = new CountDownLatch(1);
    Thread holder =
        Thread.ofVirtual()
            .start(() -> {
              CpuSlot slot = claim(0);
              claimed.countDown();
              try {
                leave.await();
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              } finally {
                slot.release();
              }
            });
    claimed.await();
    assertEquals(1, claim(0).index());
    leave.countDown();
    holder.join();
    assertEquals(0, claim(0).index());
  }

  @Test
  void toString_namesIndexAndOwner() {
    CpuSlot slot = claim(2);
    assertTrue(slot.toString().contains("index=2"));
    assertTrue(slot.toString().contains(Thread.currentThread().getName()));
  }
}
