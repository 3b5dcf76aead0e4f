package io.memcg4j.caffeine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.memcg4j.memcg.MemCgroup;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A group's limit does not make a worse cache than Caffeine with that maximum. */
final class HitRateCaffeineTest {
  private static final long MAX_BYTES = 64L << 20;
  private static final long FED_BYTES = 10L << 30;

  @ParameterizedTest
  @CsvSource({"2000, 0.9, 1", "2000, 1.1, 2", "500, 0.7, 3"})
  void feedTenGigabytes_neverOverMax_hitRateOfCaffeine(int nrKeys, double exponent, long seed)
      throws InterruptedException {
    MemCgroup root = MemCgroup.root();
    MemCgroup group = root.create("cache");
    group.setMax(MAX_BYTES);
    AtomicBoolean done = new AtomicBoolean();
    AtomicLong highest = new AtomicLong();
    Thread watch =
        Thread.ofPlatform()
            .start(() -> {
              while (!done.get()) {
                highest.accumulateAndGet(group.usage(), Math::max);
                Thread.onSpinWait();
              }
            });
    Cache<Integer, Integer> plain =
        Caffeine.newBuilder()
            .executor(Runnable::run)
            .maximumWeight(MAX_BYTES)
            .weigher((Integer key, Integer _) -> weigh(key))
            .recordStats()
            .build();
    MemcgCache<Integer, Integer> cache =
        MemcgCache.<Integer, Integer>builder(group, (key, _) -> weigh(key)).build();
    SplittableRandom random = new SplittableRandom(seed);
    Zipf zipf = new Zipf(nrKeys, exponent);
    long[] fed = {0};
    while (fed[0] < FED_BYTES) {
      int key = zipf.next(random);
      assertEquals(key, plain.get(key, k -> k));
      cache.get(
          key,
          k -> {
            fed[0] += weigh(k);
            return k;
          });
    }
    MemcgCache.Stats stats = cache.stats();
    done.set(true);
    watch.join();

    double expected = plain.stats().hitRate();
    assertTrue(
        Math.abs(stats.hitRate() - expected) < 0.02,
        () -> "hitRate=" + stats.hitRate() + " plain=" + expected + " " + stats);
    assertTrue(stats.nrBytes() > MAX_BYTES * 9 / 10, stats::toString);
    assertTrue(highest.get() <= MAX_BYTES, () -> "highest=" + highest);
    assertTrue(group.peak() <= MAX_BYTES, () -> "peak=" + group.peak());
    assertEquals(0, stats.nrRefused());

    cache.invalidateAll();
    assertEquals(0, cache.nrBytes());
    assertEquals(0, group.usage());
    cache.close();
    assertEquals(0, root.usage());
    assertEquals(0, root.flush().heap());
  }

  /** 64 KiB to 1 MiB, in odd numbers of bytes. */
  private static int weigh(int key) {
    return (64 << 10) + (int) (new SplittableRandom(key).nextInt() & 0x7fffffffL) % (960 << 10);
  }
}
