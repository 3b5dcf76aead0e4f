package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Zero is found exactly once, by threads that take, pass on and give back at random. */
@Timeout(value = 5, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PercpuRefConcurrencyTest {
  private static final int NR_THREADS = 6;
  private static final int MAX_TAKEN_DYING = 4;
  private static final int NR_LIVES = 50;

  private final CpuSlots slots = CpuSlots.create(3, 2);

  /** References that exist, at least: counted after a get and before a put. */
  private final AtomicLong nrHeldAtLeast = new AtomicLong();

  private final AtomicInteger nrZeros = new AtomicInteger();
  private final AtomicLong nrHeldAtZero = new AtomicLong();
  private final PercpuRef ref = new PercpuRef(slots, this::onZero);

  static Stream<Arguments> seeds() {
    return Stream.of(Threads.Kind.values())
        .flatMap(
            kind -> Stream.iterate(1, seed -> seed + 1).limit(20).map(s -> Arguments.of(kind, s)));
  }

  private void onZero() {
    nrZeros.incrementAndGet();
    nrHeldAtZero.addAndGet(nrHeldAtLeast.get());
  }

  private CpuSlot claim(SplittableRandom random) {
    if (random.nextInt(10) == 0) {
      return slots.overflow();
    }
    CpuSlot slot = slots.tryClaim(random.nextInt(4));
    return slot == null ? slots.claimShared() : slot;
  }

  private void leave(CpuSlot slot) {
    if (slot != slots.overflow()) {
      slot.release();
    }
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void kill_referencesTakenPassedOnAndPut_findsZeroOnce(Threads.Kind kind, int seed)
      throws Exception {
    AtomicInteger pool = new AtomicInteger(); // references that any thread may put
    AtomicBoolean killed = new AtomicBoolean();
    Threads.run(
        kind,
        NR_THREADS,
        thread -> {
          SplittableRandom random = new SplittableRandom(seed * 31L + thread);
          int nrOps = 500 + random.nextInt(1_000);
          int killAt = thread == 0 ? random.nextInt(nrOps) : -1;
          for (int i = 0; i < nrOps; i++) {
            CpuSlot slot = claim(random);
            if (i == killAt) {
              ref.kill(slot);
              killed.set(true);
            }
            int nrSteps = random.nextInt(6);
            for (int step = 0; step < nrSteps; step++) {
              step(random, slot, pool, killed);
            }
            leave(slot);
          }
        });
    SplittableRandom random = new SplittableRandom(seed);
    assertEquals(pool.get(), ref.count(), () -> "seed=" + seed);
    assertEquals(pool.get() == 0 ? 1 : 0, nrZeros.get(), () -> "seed=" + seed);
    while (pool.get() > 0) {
      CpuSlot slot = claim(random);
      put(slot, pool);
      leave(slot);
    }
    assertTrue(ref.isZero(), () -> "seed=" + seed + " " + ref);
    assertEquals(1, nrZeros.get(), () -> "seed=" + seed);
    assertEquals(0, nrHeldAtZero.get(), () -> "seed=" + seed);
    assertEquals(0, nrHeldAtLeast.get(), () -> "seed=" + seed);
  }

  private void step(
      SplittableRandom random, CpuSlot slot, AtomicInteger pool, AtomicBoolean killed) {
    switch (random.nextInt(4)) {
      case 0 -> {
        boolean wasKilled = killed.get();
        if (ref.tryGetLive(slot)) {
          assertFalse(wasKilled);
          nrHeldAtLeast.incrementAndGet();
          pool.incrementAndGet();
        }
      }
      case 1 -> {
        boolean wasZero = ref.isZero();
        if (ref.tryGet(slot)) {
          assertFalse(wasZero);
          nrHeldAtLeast.incrementAndGet();
          pool.incrementAndGet();
        }
      }
      case 2 -> put(slot, pool);
      default -> {
        if (ref.tryGet(slot)) {
          nrHeldAtLeast.incrementAndGet();
          ref.get(slot); // legal: one is held
          assertFalse(ref.isZero());
          ref.put(slot);
          nrHeldAtLeast.decrementAndGet();
          ref.put(slot);
        }
      }
    }
  }

  private void put(CpuSlot slot, AtomicInteger pool) {
    if (pool.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      nrHeldAtLeast.decrementAndGet();
      ref.put(slot);
    }
  }

  /** Users that hold a reference must find the thing alive; each life ends once. */
  @ParameterizedTest
  @MethodSource("seeds")
  void reinit_manyLives_eachEndsOnce(Threads.Kind kind, int seed) throws Exception {
    AtomicInteger nrEnds = new AtomicInteger();
    AtomicBoolean alive = new AtomicBoolean(true);
    AtomicBoolean stop = new AtomicBoolean();
    PercpuRef lives =
        new PercpuRef(
            slots,
            () -> {
              alive.set(false);
              nrEnds.incrementAndGet();
            });
    Threads.run(
        kind,
        NR_THREADS,
        thread -> {
          SplittableRandom random = new SplittableRandom(seed * 31L + thread);
          if (thread == 0) {
            try {
              liveAndDie(lives, nrEnds, alive, random);
            } finally {
              stop.set(true);
            }
          }
          int life = 0;
          int nrTakenDying = 0;
          while (!stop.get()) {
            CpuSlot slot = claim(random);
            // Once it is dying, let it die: takers that relieve each other could go on for ever.
            boolean onlyLive = random.nextBoolean();
            if (lives.isDying()) {
              nrTakenDying = life == nrEnds.get() ? nrTakenDying : 0;
              life = nrEnds.get();
              onlyLive = nrTakenDying++ >= MAX_TAKEN_DYING;
            }
            if (onlyLive ? lives.tryGetLive(slot) : lives.tryGet(slot)) {
              assertTrue(alive.get());
              if (random.nextInt(4) == 0) {
                Thread.yield();
              }
              assertTrue(alive.get());
              lives.put(slot);
            }
            leave(slot);
            if (random.nextInt(8) == 0) {
              // No yield: virtual threads that only yield to each other keep their carriers from
              // the one that was queued outside.
              LockSupport.parkNanos(1000);
            }
          }
        });
    assertEquals(NR_LIVES, nrEnds.get(), () -> "seed=" + seed);
    assertEquals(1, lives.count(), () -> "seed=" + seed);
  }

  private static void liveAndDie(
      PercpuRef lives, AtomicInteger nrEnds, AtomicBoolean alive, SplittableRandom random)
      throws InterruptedException {
    for (int life = 1; life <= NR_LIVES; life++) {
      if (random.nextBoolean()) {
        lives.switchToAtomic();
      }
      lives.kill();
      int nrExpected = life;
      Threads.await(() -> nrEnds.get() >= nrExpected);
      assertTrue(lives.isZero());
      assertEquals(nrExpected, nrEnds.get());
      alive.set(true);
      lives.reinit();
    }
  }

  @Test
  void kill_manyKillers_oneWins() throws Exception {
    for (int round = 0; round < 200; round++) {
      AtomicInteger nrEnds = new AtomicInteger();
      AtomicInteger nrKills = new AtomicInteger();
      PercpuRef contended = new PercpuRef(slots, nrEnds::incrementAndGet);
      Threads.run(
          Threads.Kind.PLATFORM,
          3,
          thread -> {
            CpuSlot slot = slots.claimShared();
            boolean held = contended.tryGetLive(slot);
            slot.release();
            try {
              contended.kill();
              nrKills.incrementAndGet();
            } catch (IllegalStateException e) {
              // somebody else did
            }
            if (held) {
              slot = slots.claimShared();
              contended.put(slot);
              slot.release();
            }
          });
      assertEquals(1, nrKills.get());
      assertEquals(1, nrEnds.get());
    }
  }
}
