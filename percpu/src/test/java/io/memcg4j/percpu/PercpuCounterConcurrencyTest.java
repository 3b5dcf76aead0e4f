package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Eight threads add while others read: nothing is lost, and no limit is passed. */
@Timeout(value = 5, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PercpuCounterConcurrencyTest {
  private static final int NR_ADDERS = 8;
  private static final int NR_READERS = 2;
  private static final int NR_ROUNDS = 20_000;

  private final CpuSlots slots = CpuSlots.create(6, 2);
  private final PercpuCounter counter = new PercpuCounter(slots, 8);
  private final AtomicInteger nrAdding = new AtomicInteger(NR_ADDERS);

  private CpuSlot claim(SplittableRandom random) {
    if (random.nextInt(20) == 0) {
      return slots.overflow();
    }
    CpuSlot slot = slots.tryClaim(random.nextInt(6));
    return slot == null ? slots.claimShared() : slot;
  }

  private void leave(CpuSlot slot) {
    if (slot != slots.overflow()) {
      slot.release();
    }
  }

  /** What an adder does with a slot. */
  private interface Adder {
    void add(CpuSlot slot, SplittableRandom random);
  }

  private void run(Threads.Kind kind, Adder adder, Runnable reader) throws Exception {
    Threads.run(
        kind,
        NR_ADDERS + NR_READERS,
        thread -> {
          if (thread >= NR_ADDERS) {
            while (nrAdding.get() > 0) {
              reader.run();
              LockSupport.parkNanos(100_000);
            }
            return;
          }
          try {
            SplittableRandom random = new SplittableRandom(thread);
            for (int i = 0; i < NR_ROUNDS; i++) {
              CpuSlot slot = claim(random);
              for (int n = random.nextInt(4); n >= 0; n--) {
                adder.add(slot, random);
              }
              leave(slot);
            }
          } finally {
            nrAdding.decrementAndGet();
          }
        });
  }

  @ParameterizedTest
  @EnumSource
  void add_manyThreads_sumIsExact(Threads.Kind kind) throws Exception {
    AtomicLong expected = new AtomicLong();
    run(
        kind,
        (slot, random) -> {
          long amount = random.nextLong(-10, 11);
          counter.add(slot, amount);
          expected.addAndGet(amount);
        },
        counter::sum);
    assertEquals(expected.get(), counter.sum());
    assertTrue(Math.abs(expected.get() - counter.approximate()) < counter.errorBound());
  }

  /** Each sum is between what was added before it began and what was begun before it ended. */
  @ParameterizedTest
  @EnumSource
  void sum_whileOthersAdd_missesNothingAndCountsNothingTwice(Threads.Kind kind) throws Exception {
    AtomicLong begun = new AtomicLong();
    AtomicLong ended = new AtomicLong();
    run(
        kind,
        (slot, random) -> {
          long amount = random.nextLong(1, 6);
          begun.addAndGet(amount);
          counter.add(slot, amount);
          ended.addAndGet(amount);
        },
        () -> {
          long atLeast = ended.get();
          long sum = counter.sum();
          long atMost = begun.get();
          assertTrue(atLeast <= sum && sum <= atMost, atLeast + " <= " + sum + " <= " + atMost);
        });
    assertEquals(ended.get(), counter.sum());
  }

  @ParameterizedTest
  @EnumSource
  void limitedAdd_manyThreads_fillsUpToTheLimitAndNeverPassesIt(Threads.Kind kind)
      throws Exception {
    long limit = 3L * NR_ADDERS * NR_ROUNDS / 2;
    AtomicLong added = new AtomicLong();
    run(
        kind,
        (slot, random) -> {
          long amount = random.nextInt(50) == 0 ? random.nextLong(1, 40) : random.nextLong(1, 4);
          if (counter.limitedAdd(slot, limit, amount)) {
            added.addAndGet(amount);
          }
        },
        () -> assertTrue(counter.sum() <= limit));
    assertEquals(added.get(), counter.sum());
    CpuSlot slot = slots.claimShared();
    long room = limit - counter.sum();
    assertTrue(room >= 0);
    assertEquals(room, fill(slot, limit));
    slot.release();
    assertEquals(limit, counter.sum());
  }

  private long fill(CpuSlot slot, long limit) {
    long nrAdded = 0;
    while (counter.limitedAdd(slot, limit, 1)) {
      nrAdded++;
    }
    return nrAdded;
  }

  /** The value goes up and down near the limit all the time; what is held is never above it. */
  @ParameterizedTest
  @EnumSource
  void limitedAdd_othersTakeAway_heldIsNeverAboveTheLimit(Threads.Kind kind) throws Exception {
    long limit = counter.errorBound() + 20;
    AtomicLong held = new AtomicLong(); // raised after, and lowered before the counter: never above
    AtomicLong worst = new AtomicLong();
    run(
        kind,
        (slot, random) -> {
          long amount = random.nextLong(1, 8);
          if (counter.limitedAdd(slot, limit, amount)) {
            long now = held.addAndGet(amount);
            worst.accumulateAndGet(now, Math::max);
            if (random.nextInt(8) == 0) {
              Thread.yield();
            }
            held.addAndGet(-amount);
            counter.add(slot, -amount);
          }
        },
        () -> {
          CpuSlot slot = slots.overflow();
          long amount = limit - 5;
          if (counter.limitedAdd(slot, limit, amount)) {
            worst.accumulateAndGet(held.addAndGet(amount), Math::max);
            Thread.yield();
            held.addAndGet(-amount);
            counter.add(slot, -amount);
          }
        });
    assertTrue(worst.get() <= limit, () -> "worst=" + worst + " limit=" + limit);
    assertEquals(0, counter.sum());
  }

  @ParameterizedTest
  @EnumSource
  void set_othersAdd_eachAdditionIsBeforeOrAfterIt(Threads.Kind kind) throws Exception {
    long unit = 1L << 32; // set puts multiples of it; additions stay far below it
    AtomicLong nrSets = new AtomicLong();
    run(
        kind,
        (slot, random) -> counter.add(slot, 1),
        () -> {
          counter.set(nrSets.incrementAndGet() * unit);
          long rest = counter.sum() & (unit - 1);
          assertTrue(rest <= 4L * NR_ADDERS * NR_ROUNDS);
        });
    counter.set(7);
    assertEquals(7, counter.sum());
  }
}
