package io.memcg4j.caffeine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Threads that put, load, invalidate, reclaim and close at the same time lose no byte. */
final class ConcurrentCaffeineTest {
  private static final int NR_THREADS = 4;
  private static final int NR_OPERATIONS = 50_000;
  private static final long MAX_BYTES = 4L << 20;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("cache");

  @Test
  void fourThreadsAndReclaim_neverOverMax_noDrift() throws Exception {
    group.setMax(MAX_BYTES);
    MemcgCache<Integer, Integer> cache =
        MemcgCache.<Integer, Integer>builder(group, (_, nrBytes) -> nrBytes).build();
    AtomicBoolean done = new AtomicBoolean();
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<?>> workers = new ArrayList<>();
      for (int i = 0; i < NR_THREADS; i++) {
        SplittableRandom random = new SplittableRandom(i);
        workers.add(threads.submit(() -> work(cache, group, random)));
      }
      Future<?> reclaimer =
          threads.submit(() -> {
            while (!done.get()) {
              root.reclaim(64 << 10);
              assertTrue(group.usage() <= MAX_BYTES, () -> "usage=" + group.usage());
              Thread.yield();
            }
          });
      for (Future<?> worker : workers) {
        worker.get();
      }
      done.set(true);
      reclaimer.get();
    }
    assertTrue(group.peak() <= MAX_BYTES, () -> "peak=" + group.peak());
    long expected = 0;
    cache.cleanUp();
    for (int key = 0; key < 1000; key++) {
      Integer nrBytes = cache.getIfPresent(key);
      expected += nrBytes == null ? 0 : nrBytes;
    }
    assertEquals(expected, cache.nrBytes());
    cache.invalidateAll();
    assertEquals(0, cache.nrBytes());
    assertEquals(0, root.usage());
    cache.close();
    assertEquals(0, root.flush().heap());
  }

  private static void work(
      MemcgCache<Integer, Integer> cache, MemCgroup group, SplittableRandom random) {
    for (int i = 0; i < NR_OPERATIONS; i++) {
      int key = random.nextInt(1000);
      int nrBytes = random.nextInt(64 << 10);
      switch (random.nextInt(8)) {
        case 0, 1 -> cache.put(key, nrBytes);
        case 2 -> cache.invalidate(key);
        case 3 -> cache.getIfPresent(key);
        case 4 -> cache.get(key, _ -> loadWithScratch(group, nrBytes));
        default -> cache.get(key, _ -> nrBytes);
      }
    }
  }

  /** Takes memory of the group while it loads, which may drive entries of the cache out. */
  private static int loadWithScratch(MemCgroup group, int nrBytes) {
    try (Charge scratch = group.charge("scratch", MemoryClass.FOREIGN)) {
      scratch.trySet(8L * nrBytes);
      return nrBytes;
    }
  }

  @Test
  void get_sameKey_oneThreadLoads() throws Exception {
    MemcgCache<Integer, Integer> cache =
        MemcgCache.<Integer, Integer>builder(group, (_, _) -> 100).build();
    AtomicInteger nrLoads = new AtomicInteger();
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<Integer>> values = new ArrayList<>();
      for (int key = 0; key < 1000; key++) {
        for (int i = 0; i < NR_THREADS; i++) {
          int wanted = key;
          values.add(
              threads.submit(() ->
                  cache.get(
                      wanted,
                      k -> {
                        nrLoads.incrementAndGet();
                        return k;
                      })));
        }
      }
      for (int i = 0; i < values.size(); i++) {
        assertEquals(i / NR_THREADS, values.get(i).get());
      }
    }
    assertEquals(1000, nrLoads.get());
    cache.close();
    assertEquals(0, root.usage());
  }

  @Test
  void close_whilePutting_leavesNothingCharged() {
    for (int round = 0; round < 200; round++) {
      MemcgCache<Integer, Integer> cache =
          MemcgCache.<Integer, Integer>builder(group, (_, _) -> 5000).build();
      try (ExecutorService threads = Executors.newCachedThreadPool()) {
        for (int i = 0; i < 2; i++) {
          threads.execute(() -> putUntilClosed(cache));
        }
        cache.close();
      }
      assertEquals(0, cache.nrBytes());
      assertEquals(0, cache.estimatedSize());
      assertEquals(0, root.usage());
    }
    assertEquals(0, root.flush().heap());
    assertEquals(List.of(), group.charges());
  }

  private static void putUntilClosed(MemcgCache<Integer, Integer> cache) {
    try {
      for (int key = 0; key < Integer.MAX_VALUE; key++) {
        cache.put(key, key);
      }
    } catch (IllegalStateException e) {
      assertTrue(String.valueOf(e.getMessage()).contains("closed"), e::toString);
    }
  }
}
