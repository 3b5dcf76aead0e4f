package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Plain counters on slots, used by owners and drained by anybody: nothing is lost or doubled. */
@Timeout(value = 5, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CpuSlotsConcurrencyTest {
  private static final int NR_THREADS = 8;
  private static final int NR_ROUNDS = 20_000;

  private final CpuSlots slots = CpuSlots.create(3, 2);
  private final PerCpu<Cell> cells = new PerCpu<>(slots, index -> new Cell());
  private final AtomicLong drained = new AtomicLong();
  private final SlotWork drain =
      new SlotWork(slots) {
        @Override
        protected void run(CpuSlot slot) {
          Cell cell = cells.get(slot);
          drained.addAndGet(cell.value);
          cell.value = 0;
        }
      };

  private static final class Cell {
    long value;
  }

  private CpuSlot claim(int hint) {
    CpuSlot slot = slots.tryClaim(hint);
    return slot == null ? slots.claimShared() : slot;
  }

  @ParameterizedTest
  @EnumSource
  void claimAndDrain_manyThreads_totalIsExact(Threads.Kind kind) throws Exception {
    Threads.run(
        kind,
        NR_THREADS,
        thread -> {
          int hint = thread;
          for (int i = 0; i < NR_ROUNDS; i++) {
            CpuSlot slot = claim(hint);
            hint = slot.index();
            cells.get(slot).value++;
            if (i % 50 == thread) {
              slots.submit(drain, slot);
            } else if (i % 7 == 0) {
              slot.runWork();
            }
            cells.get(slot).value++;
            slot.release();
            if (i % 100 == thread) {
              slots.submit(drain);
            }
          }
        });
    assertEquals(0, slots.nrBusy());
    assertEquals(0, slots.submit(drain));
    cells.forEach(cell -> assertEquals(0, cell.value));
    assertEquals(2L * NR_THREADS * NR_ROUNDS, drained.get());
  }

  /** Owners die inside their claim; the next owner goes on with what they wrote. */
  @ParameterizedTest
  @EnumSource
  void takeOver_manyThreadsDie_totalIsExact(Threads.Kind kind) throws Exception {
    int nrDeaths = 300;
    Threads.run(
        kind,
        4,
        thread -> {
          for (int i = 0; i < nrDeaths; i++) {
            Thread dying =
                kind.factory()
                    .newThread(() -> {
                      CpuSlot slot = slots.tryClaim(thread);
                      if (slot == null) {
                        slot = slots.claimShared();
                        cells.get(slot).value++;
                        slot.release();
                      } else {
                        cells.get(slot).value++;
                      }
                    });
            dying.start();
            if (i % 3 == 0) {
              slots.submit(drain);
            }
            dying.join();
          }
        });
    assertEquals(0, slots.submit(drain));
    assertEquals(4L * nrDeaths, drained.get());
    assertEquals(0, slots.nrBusy());
  }

  /** When the submitter and all owners have left, everything was done, with no further claim. */
  @ParameterizedTest
  @EnumSource
  void submit_ownersComeAndGo_nothingIsLeftBehind(Threads.Kind kind) throws Exception {
    int nrWorks = 5_000;
    AtomicLong nrRuns = new AtomicLong();
    AtomicBoolean submitted = new AtomicBoolean();
    Threads.run(
        kind,
        4,
        thread -> {
          if (thread == 0) {
            try {
              for (int i = 0; i < nrWorks; i++) {
                slots.submit(counting(nrRuns));
              }
            } finally {
              submitted.set(true);
            }
          } else {
            while (!submitted.get()) {
              claim(thread).release();
              LockSupport.parkNanos(100_000);
            }
          }
        });
    assertEquals((long) nrWorks * slots.nrSlots(), nrRuns.get());
    for (int i = 0; i < slots.nrSlots(); i++) {
      assertFalse(slots.slot(i).workPending());
    }
  }

  private SlotWork counting(AtomicLong nrRuns) {
    return new SlotWork(slots) {
      @Override
      protected void run(CpuSlot slot) {
        nrRuns.incrementAndGet();
      }
    };
  }
}
