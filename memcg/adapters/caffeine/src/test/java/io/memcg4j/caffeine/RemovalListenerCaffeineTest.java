package io.memcg4j.caffeine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.benmanes.caffeine.cache.RemovalCause;
import io.memcg4j.memcg.MemCgroup;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Who registered for it is told of each entry that leaves, once, with the reason. */
final class RemovalListenerCaffeineTest {
  private static final int KIB = 1024;

  private record Removal(String key, int value, RemovalCause cause) {}

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("cache");
  private final AtomicLong nanos = new AtomicLong();
  private final List<Removal> told = new ArrayList<>(); // by the one thread of the executor
  private final List<Thread> threads = new ArrayList<>();

  private MemcgCache<String, Integer> cache(ExecutorService executor) {
    return MemcgCache.<String, Integer>builder(group, (_, nrBytes) -> nrBytes)
        .expireAfterWrite(Duration.ofMinutes(1))
        .ticker(nanos::get)
        .removalListener(
            (key, value, cause) -> {
              told.add(new Removal(String.valueOf(key), value == null ? -1 : value, cause));
              threads.add(Thread.currentThread());
              throw new IllegalStateException("broken on purpose");
            },
            executor)
        .build();
  }

  @Test
  void everyReason_isToldOnce_onAnotherThread() {
    group.setMax(1024 * KIB);
    try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
      MemcgCache<String, Integer> cache = cache(executor);
      cache.put("replaced", 10 * KIB);
      cache.put("replaced", 11 * KIB);
      cache.invalidate("replaced");
      cache.put("expired", 12 * KIB);
      nanos.addAndGet(Duration.ofMinutes(2).toNanos());
      cache.cleanUp();
      cache.put("reclaimed", 13 * KIB);
      assertTrue(group.reclaim(13 * KIB) > 0);
      cache.put("too large", 2048 * KIB); // never was in it
      cache.put("closed", 14 * KIB);
      cache.close();
    }
    assertEquals(
        List.of(
            new Removal("replaced", 10 * KIB, RemovalCause.REPLACED),
            new Removal("replaced", 11 * KIB, RemovalCause.EXPLICIT),
            new Removal("expired", 12 * KIB, RemovalCause.EXPIRED),
            new Removal("reclaimed", 13 * KIB, RemovalCause.SIZE),
            new Removal("closed", 14 * KIB, RemovalCause.EXPLICIT)),
        told);
    threads.forEach(thread -> assertNotSame(Thread.currentThread(), thread));
    assertEquals(0, root.usage());
  }

  /** An executor that takes nothing any more costs the calls, not the accounting. */
  @Test
  void executorIsShutDown_entriesAreUncharged() {
    ExecutorService executor = Executors.newSingleThreadExecutor();
    executor.close();
    MemcgCache<String, Integer> cache = cache(executor);
    cache.put("a", 10 * KIB);
    cache.invalidate("a");
    assertEquals(0, cache.nrBytes());
    cache.close();
    assertEquals(List.of(), told);
    assertEquals(0, root.usage());
  }
}
