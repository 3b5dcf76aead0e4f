package io.memcg4j.soak;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * Scans while threads allocate, free and move pointers: nothing that is held is reported. For as
 * long as {@code memcg4j.churn.seconds} says; an hour with {@code -Pproof}.
 */
final class ChurnTest {
  private static final int NR_THREADS = 4;
  private static final int NR_SLOTS = 512;
  private static final int NR_POINTERS = 32;
  private static final int MIN_SCANS = 5;
  private static final long NR_SECONDS = Long.getLong("memcg4j.churn.seconds", 5);

  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc = Kmalloc.builder(root).build();

  /** Blocks of pointers, held by the Java heap; JUnit holds this test. */
  private final long[][] tables = new long[NR_THREADS][NR_SLOTS];

  private volatile boolean isOver;

  /** Each block is held by a word of a table, and a moving one by two for a moment. */
  private void churn(int thread, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long[] table = tables[thread];
    ObjCgroup group = ObjCgroup.of(root.create("tenant-" + thread));
    while (!isOver) {
      try (Scope scope = group.enter()) {
        for (int i = 0; i < 100; i++) {
          step(table, random);
        }
      }
      Thread.onSpinWait();
    }
    for (long block : table) {
      if (block != 0) {
        freeWithAll(block);
      }
    }
    Arrays.fill(table, 0);
    root.children().stream()
        .filter(child -> child.name().equals("tenant-" + thread))
        .forEach(MemCgroup::remove);
  }

  private void step(long[] table, SplittableRandom random) {
    int slot = random.nextInt(NR_SLOTS);
    if (table[slot] == 0) {
      long block = kmalloc.allocate(NR_POINTERS * 8L);
      for (int word = 0; word < NR_POINTERS; word++) {
        put(block + word * 8L, 0);
      }
      table[slot] = block;
      return;
    }
    long from = table[slot] + random.nextInt(NR_POINTERS) * 8L;
    long pointer = get(from);
    switch (random.nextInt(4)) {
      case 0 -> {
        if (pointer == 0) {
          put(from, kmalloc.allocate(8 << random.nextInt(6)));
        }
      }
      case 1 -> {
        if (pointer != 0) {
          put(from, 0);
          kmalloc.free(pointer);
        }
      }
      case 2 -> {
        long other = table[random.nextInt(NR_SLOTS)];
        long to = other + random.nextInt(NR_POINTERS) * 8L;
        if (other != 0 && get(to) == 0) {
          put(to, pointer);
          put(from, 0);
        }
      }
      default -> {
        if (random.nextInt(50) == 0) {
          long block = table[slot];
          table[slot] = 0;
          freeWithAll(block);
        }
      }
    }
  }

  private static long get(long address) {
    return Kmalloc.MEMORY.get(JAVA_LONG, address);
  }

  private static void put(long address, long value) {
    Kmalloc.MEMORY.set(JAVA_LONG, address, value);
  }

  private void freeWithAll(long block) {
    for (int word = 0; word < NR_POINTERS; word++) {
      long pointer = get(block + word * 8L);
      if (pointer != 0) {
        kmalloc.free(pointer);
      }
    }
    kmalloc.free(block);
  }

  @Test
  void scan_duringChurn_reportsNothing() throws Exception {
    long seed = new SplittableRandom().nextLong();
    Kmemleak kmemleak = Kmemleak.builder(kmalloc).minAge(Duration.ZERO).workers(2).build();
    try (ExecutorService threads = Executors.newFixedThreadPool(NR_THREADS)) {
      List<Future<?>> churners = new ArrayList<>();
      for (int i = 0; i < NR_THREADS; i++) {
        int thread = i;
        churners.add(threads.submit(() -> churn(thread, seed + thread)));
      }
      int nrScans = 0;
      long nrBlocks = 0;
      try {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(NR_SECONDS);
        for (; nrScans < MIN_SCANS || System.nanoTime() < end; nrScans++) {
          LeakReport report = kmemleak.scan();
          assertEquals(List.of(), report.suspects(), () -> "seed=" + seed);
          assertTrue(nrScans == 0 || report.nrScanned() > 0, () -> "seed=" + seed + " " + report);
          nrBlocks += report.nrScanned();
          churners.forEach(churner -> assertFalse(churner.isDone(), () -> "seed=" + seed));
        }
      } finally {
        isOver = true;
      }
      System.out.printf(
          "churn: seconds=%d scans=%d blocksScanned=%d suspects=0%n",
          NR_SECONDS, nrScans, nrBlocks);
      for (Future<?> churner : churners) {
        churner.get(30, TimeUnit.SECONDS);
      }
    }
    assertEquals(List.of(), kmemleak.scan().suspects());
    kmalloc.close();
  }
}
