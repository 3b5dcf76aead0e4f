package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.Test;

/** Readers without a lock while a writer rebalances all the time; and a twin that loses keys. */
final class AddressTreeReadersTest {
  private static final int NR_STEADY = 500; // ranges that are there all the time
  private static final int NR_CHURNED_BETWEEN = 8;
  private static final long STRIDE = 1000;
  private static final int NR_READERS = 2;
  private static final long MIN_LOOKUPS = 300_000;
  private static final long MAX_NANOS = 8_000_000_000L;

  /** What the test needs of a tree. */
  private interface Index {
    void insert(long start, long nrBytes);

    void remove(long start);

    boolean contains(long address);
  }

  private record Misses(long missed, long lookups) {}

  private static Index addressTree() {
    AddressTree<Boolean> tree = new AddressTree<>();
    return new Index() {
      @Override
      public void insert(long start, long nrBytes) {
        tree.insert(start, nrBytes, true);
      }

      @Override
      public void remove(long start) {
        tree.remove(start);
      }

      @Override
      public boolean contains(long address) {
        return tree.find(address) != null;
      }
    };
  }

  private static Index rotatingTree(long seed) {
    RotatingTree tree = new RotatingTree(seed);
    return new Index() {
      @Override
      public void insert(long start, long nrBytes) {
        tree.insert(start, nrBytes);
      }

      @Override
      public void remove(long start) {
        tree.remove(start);
      }

      @Override
      public boolean contains(long address) {
        return tree.contains(address);
      }
    };
  }

  /** Looks for ranges that are never removed, until enough was looked at, or one is missing. */
  private static Misses missedSteady(Index index, long seed) throws InterruptedException {
    for (int i = 0; i < NR_STEADY; i++) {
      index.insert(i * STRIDE, 10);
    }
    AtomicLong missed = new AtomicLong();
    AtomicLong lookups = new AtomicLong();
    AtomicBoolean stop = new AtomicBoolean();
    long deadline = System.nanoTime() + MAX_NANOS;
    List<Thread> threads = new ArrayList<>();
    threads.add(
        Thread.ofPlatform()
            .start(() -> {
              Random random = new Random(seed);
              boolean[] there = new boolean[NR_STEADY * NR_CHURNED_BETWEEN];
              while (!stop.get()) {
                int n = random.nextInt(there.length);
                long start =
                    (n / NR_CHURNED_BETWEEN) * STRIDE + 100 + n % NR_CHURNED_BETWEEN * 100L;
                if (there[n]) {
                  index.remove(start);
                } else {
                  index.insert(start, 50);
                }
                there[n] = !there[n];
              }
            }));
    for (int reader = 0; reader < NR_READERS; reader++) {
      Random random = new Random(seed + 1 + reader);
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                while (!stop.get()) {
                  for (int i = 0; i < 1000; i++) {
                    long address = random.nextInt(NR_STEADY) * STRIDE + random.nextInt(10);
                    if (!index.contains(address)) {
                      missed.incrementAndGet();
                    }
                  }
                  boolean enough = lookups.addAndGet(1000) >= MIN_LOOKUPS;
                  if (enough || missed.get() > 0 || System.nanoTime() - deadline > 0) {
                    stop.set(true);
                  }
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    return new Misses(missed.get(), lookups.get());
  }

  @Test
  void find_whileRebalancing_missesNoPresentRange() throws InterruptedException {
    Misses misses = missedSteady(addressTree(), 11);
    assertTrue(misses.lookups() > 0);
    assertEquals(0, misses.missed(), misses::toString);
  }

  @Test
  void find_inATreeThatRotatesInPlace_missesPresentRanges() throws InterruptedException {
    long missed = 0;
    for (int attempt = 0; attempt < 20 && missed == 0; attempt++) {
      missed = missedSteady(rotatingTree(attempt), attempt).missed();
    }
    assertTrue(missed > 0, "the twin was not caught");
  }

  /** What was removed is not found by lookups that begin afterwards, and versions do not mix. */
  @Test
  void find_afterRemoveAndReplace_isOfOneVersion() throws InterruptedException {
    int nrKeys = 64;
    AddressTree<Long> tree = new AddressTree<>();
    // Modulo 4: absent, being inserted, present, being removed. A value is its range's size.
    AtomicLongArray epochs = new AtomicLongArray(nrKeys);
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLong wrong = new AtomicLong();
    AtomicLong lookups = new AtomicLong();
    long deadline = System.nanoTime() + MAX_NANOS;
    Thread reader =
        Thread.ofPlatform()
            .start(() -> {
              Random random = new Random(5);
              while (!stop.get()) {
                int key = random.nextInt(nrKeys);
                long before = epochs.get(key);
                AddressTree.Range<Long> range = tree.findRange(key * STRIDE);
                boolean steady = epochs.get(key) == before;
                boolean lost = (before & 3) == 2 && range == null;
                boolean risen = (before & 3) == 0 && range != null;
                if (steady && (lost || risen)) {
                  wrong.incrementAndGet();
                }
                if (range != null
                    && (range.start() != key * STRIDE || range.nrBytes() != range.value())) {
                  wrong.incrementAndGet();
                }
                if (lookups.incrementAndGet() >= MIN_LOOKUPS || System.nanoTime() - deadline > 0) {
                  stop.set(true);
                }
              }
            });
    Random random = new Random(6);
    while (!stop.get()) {
      int key = random.nextInt(nrKeys);
      long size = 1L + random.nextInt((int) STRIDE);
      if ((epochs.get(key) & 3) == 0) {
        epochs.incrementAndGet(key);
        tree.insert(key * STRIDE, size, size);
        epochs.incrementAndGet(key);
      } else if (random.nextBoolean()) {
        tree.replace(key * STRIDE, size, size);
      } else {
        epochs.incrementAndGet(key);
        tree.remove(key * STRIDE);
        epochs.incrementAndGet(key);
      }
    }
    reader.join();
    assertEquals(0, wrong.get(), () -> "lookups=" + lookups.get());
  }
}
