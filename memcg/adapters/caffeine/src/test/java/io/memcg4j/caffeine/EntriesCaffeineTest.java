package io.memcg4j.caffeine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Each entry is charged before it comes and uncharged once when it goes, whatever the reason. */
final class EntriesCaffeineTest {
  private static final int KIB = 1024;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("cache");
  private final AtomicLong nanos = new AtomicLong();
  private final MemcgCache<String, Integer> cache =
      MemcgCache.<String, Integer>builder(group, (_, nrBytes) -> nrBytes)
          .name("results")
          .expireAfterWrite(Duration.ofMinutes(1))
          .ticker(nanos::get)
          .build();

  @AfterEach
  void nothingIsLeft() {
    cache.close();
    cache.close();
    assertEquals(0, root.usage());
    assertEquals(0, root.flush().heap());
    assertEquals(List.of(), group.charges());
    assertEquals(List.of(), group.shrinkers());
  }

  @Test
  void put_chargesTheGroup() {
    assertTrue(cache.put("a", 10 * KIB));
    assertEquals(10 * KIB, cache.nrBytes());
    assertEquals(12 * KIB, group.usage());
    assertEquals(10 * KIB, group.flush().heap());
    assertEquals("results", group.charges().getFirst().name());
    assertEquals(10 * KIB, cache.getIfPresent("a"));
  }

  @Test
  void put_otherValue_unchargesTheOld() {
    cache.put("a", 100 * KIB);
    cache.put("a", 10 * KIB);
    cache.put("a", 10 * KIB);
    assertEquals(10 * KIB, cache.nrBytes());
    assertEquals(1, cache.estimatedSize());
  }

  @Test
  void invalidate_uncharges() {
    cache.put("a", 10 * KIB);
    cache.put("b", 20 * KIB);
    cache.put("c", 0);
    cache.invalidate("a");
    cache.invalidate("a");
    assertEquals(20 * KIB, cache.nrBytes());
    cache.invalidateAll();
    assertEquals(0, cache.nrBytes());
  }

  @Test
  void expiry_uncharges() {
    cache.put("a", 10 * KIB);
    nanos.addAndGet(Duration.ofMinutes(2).toNanos());
    cache.cleanUp();
    assertEquals(0, cache.nrBytes());
    assertNull(cache.getIfPresent("a"));
  }

  @Test
  void put_overExpiredValue_unchargesItOnce() {
    cache.put("a", 10 * KIB);
    nanos.addAndGet(Duration.ofMinutes(2).toNanos());
    cache.put("a", 20 * KIB);
    cache.cleanUp();
    assertEquals(20 * KIB, cache.nrBytes());
  }

  @Test
  void put_fullGroup_drivesColdestOut() {
    group.setMax(100 * KIB);
    for (int i = 0; i < 50; i++) {
      assertTrue(cache.put("k" + i, 8 * KIB));
      assertTrue(group.usage() <= 100 * KIB);
    }
    assertTrue(cache.nrBytes() >= 80 * KIB, cache.stats()::toString);
    assertEquals(0, cache.stats().nrRefused());
    assertTrue(cache.stats().caffeine().evictionWeight() > 0);
  }

  @Test
  void put_largerThanMax_isRefusedAndDrivesNothingOut() {
    group.setMax(100 * KIB);
    cache.put("a", 50 * KIB);
    assertFalse(cache.put("b", 101 * KIB));
    assertEquals(50 * KIB, cache.nrBytes());
    assertNull(cache.getIfPresent("b"));
    assertEquals(1, cache.stats().nrRefused());
  }

  @Test
  void put_refused_olderValueIsGone() {
    group.setMax(100 * KIB);
    cache.put("a", 50 * KIB);
    assertFalse(cache.put("a", 101 * KIB));
    assertNull(cache.getIfPresent("a"));
    assertEquals(0, cache.nrBytes());
  }

  @Test
  void put_memoryIsOthers_isRefused() {
    group.setMax(100 * KIB);
    try (Charge other = group.charge("other", MemoryClass.FOREIGN)) {
      other.set(96 * KIB);
      assertTrue(cache.put("a", 4 * KIB));
      assertFalse(cache.put("b", 8 * KIB));
      assertEquals(8 * KIB, cache.get("b", _ -> 8 * KIB));
      assertNull(cache.getIfPresent("b"));
      assertEquals(2, cache.stats().nrRefused());
    }
    assertTrue(cache.put("b", 80 * KIB));
  }

  @Test
  void put_otherCacheHasEverything_getsItsPart() {
    group.setMax(1024 * KIB);
    MemcgCache<String, Integer> other =
        MemcgCache.<String, Integer>builder(group, (_, nrBytes) -> nrBytes).build();
    for (int i = 0; i < 256; i++) {
      other.put("k" + i, 4 * KIB);
    }
    assertTrue(cache.put("a", 128 * KIB));
    assertEquals(128 * KIB, cache.getIfPresent("a"));
    other.close();
  }

  @Test
  void setMax_lowered_cacheGivesBack_andGrowsAgainLater() {
    group.setMax(1024 * KIB);
    for (int i = 0; i < 100; i++) {
      cache.put("k" + i, 10 * KIB);
    }
    group.setMax(100 * KIB);
    assertTrue(group.usage() <= 100 * KIB, () -> "usage=" + group.usage());
    assertTrue(cache.stats().givenBackBytes() >= 800 * KIB, cache.stats()::toString);
    group.setMax(2048 * KIB);
    for (int i = 0; i < 180; i++) {
      cache.put("k" + i, 10 * KIB);
    }
    assertTrue(cache.nrBytes() > 1700 * KIB, cache.stats()::toString);
  }

  @Test
  void setHigh_cacheStaysBelow() {
    group.setHigh(200 * KIB);
    for (int i = 0; i < 100; i++) {
      cache.put("k" + i, 10 * KIB);
    }
    group.setHigh(100 * KIB);
    for (int i = 0; i < 100; i++) {
      cache.put("k" + i, 10 * KIB);
      assertTrue(group.usage() <= 120 * KIB, () -> "usage=" + group.usage());
    }
  }

  @Test
  void reclaim_givesColdestBack() {
    for (int i = 0; i < 1000; i++) {
      cache.put("k" + i, 4 * KIB);
    }
    for (int round = 0; round < 5; round++) {
      for (int i = 900; i < 1000; i++) {
        cache.getIfPresent("k" + i);
      }
    }
    long freed = root.reclaim(2000 * KIB);
    assertTrue(freed >= 2000 * KIB, () -> "freed=" + freed);
    assertEquals(4000 * KIB - freed, cache.nrBytes());
    assertEquals(freed, cache.stats().givenBackBytes());
    int nrHotLeft = 0;
    for (int i = 900; i < 1000; i++) {
      nrHotLeft += cache.getIfPresent("k" + i) == null ? 0 : 1;
    }
    int left = nrHotLeft; // Caffeine may lose a few of the reads that make an entry hot
    assertTrue(left >= 80, () -> "nrHotLeft=" + left);
  }

  @Test
  void shrink_everything() {
    cache.put("a", 10 * KIB);
    assertEquals(0, cache.shrink(0));
    assertEquals(10 * KIB, cache.shrink(Long.MAX_VALUE));
    assertEquals(0, cache.nrBytes());
    assertTrue(cache.put("a", 10 * KIB));
    assertEquals(10 * KIB, cache.getIfPresent("a"));
  }

  @Test
  void maximumBytes_boundsBelowTheGroup() {
    try (MemcgCache<String, Integer> small =
        MemcgCache.<String, Integer>builder(group, (_, nrBytes) -> nrBytes)
            .maximumBytes(40 * KIB)
            .memoryClass(MemoryClass.FOREIGN)
            .build()) {
      for (int i = 0; i < 100; i++) {
        assertTrue(small.put("k" + i, 10 * KIB));
      }
      assertEquals(40 * KIB, small.nrBytes());
      assertEquals(40 * KIB, group.flush().foreign());
      assertFalse(small.put("large", 41 * KIB));
      small.shrink(Long.MAX_VALUE);
      for (int i = 0; i < 100; i++) {
        assertTrue(small.put("k" + i, 10 * KIB));
      }
      assertEquals(40 * KIB, small.nrBytes());
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> MemcgCache.<String, Integer>builder(group, (_, _) -> 1).maximumBytes(-1));
  }

  @Test
  void weigher_thatThrows_leavesNothingCharged() {
    MemcgCache<String, Integer> bad =
        MemcgCache.<String, Integer>builder(
                group,
                (_, nrBytes) -> {
                  if (nrBytes == 13) {
                    throw new UnsupportedOperationException("13");
                  }
                  return nrBytes;
                })
            .build();
    assertThrows(UnsupportedOperationException.class, () -> bad.put("a", 13));
    assertThrows(UnsupportedOperationException.class, () -> bad.get("a", _ -> 13));
    assertThrows(IllegalArgumentException.class, () -> bad.put("a", -1));
    assertThrows(IllegalArgumentException.class, () -> bad.get("a", _ -> -1));
    assertEquals(0, bad.nrBytes());
    assertEquals(14, bad.get("a", _ -> 14)); // no load is left under way
    bad.close();
  }

  @Test
  void loader_thatThrows_leavesNothingCharged() {
    assertThrows(
        UnsupportedOperationException.class,
        () ->
            cache.get(
                "a",
                _ -> {
                  throw new UnsupportedOperationException();
                }));
    assertEquals(0, cache.nrBytes());
    assertNull(cache.get("a", _ -> null));
    assertEquals(KIB, cache.get("a", _ -> KIB));
    assertEquals(KIB, cache.get("a", _ -> 2 * KIB));
    assertEquals(2, cache.stats().caffeine().loadFailureCount());
    assertEquals(1, cache.stats().caffeine().loadSuccessCount());
    assertEquals(1, cache.stats().caffeine().hitCount());
  }

  @Test
  void loader_thatAsksForItsOwnKey_fails() {
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class, () -> cache.get("a", key -> cache.get(key, _ -> 1)));
    assertEquals("loader asks for its own key: name=results group=/cache", e.getMessage());
    assertEquals(7, cache.get("a", _ -> cache.get("b", _ -> 7)));
  }

  @Test
  void loader_thatChargesTheGroup_mayDriveEntriesOut() {
    group.setMax(100 * KIB);
    for (int i = 0; i < 24; i++) {
      cache.put("k" + i, 4 * KIB);
    }
    try (Charge scratch = group.charge("scratch", MemoryClass.FOREIGN)) {
      assertEquals(
          4 * KIB,
          cache.get(
              "loaded",
              _ -> {
                scratch.set(60 * KIB);
                return 4 * KIB;
              }));
      assertTrue(cache.nrBytes() <= 40 * KIB, cache.stats()::toString);
    }
  }

  @Test
  void invalidate_duringLoad_valueIsNotCached() {
    Integer loaded =
        cache.get(
            "a",
            key -> {
              cache.invalidate(key);
              return KIB;
            });
    assertEquals(KIB, loaded);
    assertNull(cache.getIfPresent("a"));
    assertEquals(0, cache.nrBytes());
    assertEquals(
        KIB,
        cache.get(
            "a",
            _ -> {
              cache.invalidateAll();
              return KIB;
            }));
    assertEquals(0, cache.nrBytes());
  }

  @Test
  void put_duringLoad_putStays() {
    Integer loaded =
        cache.get(
            "a",
            key -> {
              cache.put(key, 2 * KIB);
              return KIB;
            });
    assertEquals(2 * KIB, loaded);
    assertEquals(2 * KIB, cache.getIfPresent("a"));
    assertEquals(2 * KIB, cache.nrBytes());
  }

  @Test
  void close_duringLoad_leavesNothingCharged() {
    assertThrows(
        IllegalStateException.class,
        () ->
            cache.get(
                "a",
                _ -> {
                  cache.close();
                  return KIB;
                }));
    assertEquals(0, group.usage());
  }

  @Test
  void closed_takesNothingMore() {
    cache.put("a", KIB);
    cache.close();
    IllegalStateException e = assertThrows(IllegalStateException.class, () -> cache.put("a", KIB));
    assertEquals("cache is closed: name=results group=/cache", e.getMessage());
    assertThrows(IllegalStateException.class, () -> cache.get("a", _ -> KIB));
    assertNull(cache.getIfPresent("a"));
    assertEquals(0, cache.shrink(KIB));
    assertEquals(0, cache.nrBytes());
  }
}
