package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class SlotWorkTest {
  private final CpuSlots slots = CpuSlots.create(2, 1);
  private final int[] nrRuns = new int[3];
  private final SlotWork work = work(slot -> nrRuns[slot.index()]++);

  private SlotWork work(Consumer<CpuSlot> action) {
    return new SlotWork(slots) {
      @Override
      protected void run(CpuSlot slot) {
        assertSame(Thread.currentThread(), slot.ownerRacy());
        action.accept(slot);
      }
    };
  }

  private CpuSlot claim(int hint) {
    return Objects.requireNonNull(slots.tryClaim(hint));
  }

  private void assertRuns(int... expected) {
    assertArrayEquals(expected, nrRuns);
  }

  @Test
  void submit_allIdle_runsEverywhereAtOnce() {
    assertEquals(0, slots.submit(work));
    assertRuns(1, 1, 1);
    assertEquals(0, slots.submit(work));
    assertRuns(2, 2, 2);
    assertEquals(0, slots.nrBusy());
  }

  @Test
  void submit_busySlot_isLeftToItsOwner() {
    CpuSlot busy = claim(1);
    assertFalse(busy.workPending());
    assertEquals(1, slots.submit(work));
    assertRuns(1, 0, 1);
    assertTrue(busy.workPending());
    busy.runWork();
    assertRuns(1, 1, 1);
    assertFalse(busy.workPending());
    busy.runWork();
    busy.release();
    assertRuns(1, 1, 1);
  }

  @Test
  void release_workPending_runsItFirst() {
    CpuSlot busy = claim(1);
    slots.submit(work);
    busy.release();
    assertRuns(1, 1, 1);
    assertEquals(0, slots.nrBusy());
  }

  @Test
  void submit_againWhileQueued_isDoneOnce() {
    CpuSlot busy = claim(0);
    for (int i = 1; i <= 100; i++) {
      assertEquals(1, slots.submit(work));
      assertRuns(0, i, i);
    }
    busy.runWork();
    assertRuns(1, 100, 100);
    slots.submit(work);
    busy.release();
    assertRuns(2, 101, 101);
  }

  @Test
  void submit_ownSlotNamed_isDoneAtOnce() {
    CpuSlot own = claim(0);
    CpuSlot other = claim(1);
    assertEquals(1, slots.submit(work, own));
    assertRuns(1, 0, 1);
    assertFalse(own.workPending());
    other.release();
    own.release();
    assertRuns(1, 1, 1);
  }

  @Test
  void submit_ownSlotNamed_doesPendingWorkFirst() {
    CpuSlot own = claim(0);
    slots.submit(work);
    assertRuns(0, 1, 1);
    slots.submit(work, own);
    assertRuns(2, 2, 2);
    assertFalse(own.workPending());
  }

  @Test
  void submit_overflowNamed_meansNone() {
    claim(0);
    assertEquals(1, slots.submit(work, slots.overflow()));
    assertRuns(0, 1, 1);
  }

  @Test
  void submit_severalWorks_allAreDone() {
    int[] nrOthers = new int[1];
    CpuSlot busy = claim(0);
    for (int i = 0; i < 5; i++) {
      slots.submit(work(slot -> nrOthers[0]++));
    }
    slots.submit(work);
    assertEquals(10, nrOthers[0]);
    busy.release();
    assertEquals(15, nrOthers[0]);
    assertRuns(1, 1, 1);
  }

  @Test
  void submit_duringTheRun_isANewRequest() {
    CpuSlot busy = claim(0);
    int[] nrLeft = {3};
    SlotWork[] again = new SlotWork[1];
    again[0] =
        work(slot -> {
          if (slot == busy) {
            nrRuns[0]++;
            if (nrLeft[0]-- > 0) {
              slots.submit(again[0]);
            }
          }
        });
    slots.submit(again[0]);
    busy.runWork();
    assertEquals(1, nrRuns[0]);
    assertTrue(busy.workPending());
    busy.release();
    assertEquals(4, nrRuns[0]);
    assertEquals(0, slots.nrBusy());
  }

  @Test
  void submit_ownerThreadDied_isDoneByTheSubmitter() throws Exception {
    Threads.runAndEnd(() -> claim(1));
    assertEquals(0, slots.submit(work));
    assertRuns(1, 1, 1);
    assertEquals(0, slots.nrBusy());
  }

  @Test
  void release_workThrows_slotIsFreeAndOtherWorkIsKept() {
    CpuSlot busy = claim(0);
    slots.submit(work);
    SlotWork failing =
        work(slot -> {
          if (slot == busy) {
            throw new IllegalStateException("on purpose");
          }
        });
    slots.submit(failing);
    assertThrows(IllegalStateException.class, busy::release);
    assertEquals(0, slots.nrBusy());
    assertRuns(0, 1, 1);
    claim(0).release();
    assertRuns(1, 1, 1);
  }

  @Test
  void isArmed_onlyForTheTokenThatWasArmed() {
    CpuSlot slot = claim(0);
    long token = 7;
    assertFalse(slot.isArmed(token));
    slot.rearm(token);
    assertTrue(slot.isArmed(token));
    assertFalse(slot.isArmed(8));
    slot.disarm();
    assertFalse(slot.isArmed(token));
    slot.rearm(token);
    slot.release();
    assertFalse(slot.isArmed(token));
  }

  @Test
  void submit_armedSlot_isDisarmed() {
    CpuSlot slot = claim(0);
    long token = 7;
    slot.rearm(token);
    slots.submit(work);
    assertFalse(slot.isArmed(token));
    slot.rearm(token);
    assertTrue(slot.isArmed(token));
    assertRuns(1, 1, 1);
  }

  @Test
  void submit_againToAnArmedSlot_disarmsItAgain() {
    CpuSlot slot = claim(0);
    long token = 7;
    slots.submit(work);
    slots.submit(work);
    slot.rearm(token);
    slots.submit(work);
    assertFalse(slot.isArmed(token));
  }

  @Test
  void rearm_workIsLeftMeanwhile_isDoneBeforeItReturns() {
    CpuSlot slot = claim(0);
    long token = 7;
    int[] nrLeft = {2};
    SlotWork[] again = new SlotWork[1];
    again[0] =
        work(on -> {
          if (on == slot && nrLeft[0]-- > 0) {
            slots.submit(again[0]);
          }
        });
    slots.submit(again[0]);
    slot.rearm(token);
    assertEquals(-1, nrLeft[0]);
    assertTrue(slot.isArmed(token));
    assertFalse(slot.workPending());
  }
}
