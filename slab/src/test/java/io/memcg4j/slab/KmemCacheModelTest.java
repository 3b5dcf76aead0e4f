package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random operations on caches of all kinds, beside a naive model of what has to be there. */
final class KmemCacheModelTest {
  private static final int NR_STEPS = 12_000;
  private static final long MADE = 0x0dd_ba11_cafe_f00dL;

  /** One cache with what the model knows of it. */
  private static final class Kind {
    final KmemCache cache;
    final int size;
    final boolean accounted;
    final boolean made;
    final List<Long> live = new ArrayList<>();
    final List<Long> deferred = new ArrayList<>();

    Kind(KmemCache cache, boolean accounted, boolean made) {
      this.cache = cache;
      this.size = cache.objectSize();
      this.accounted = accounted;
      this.made = made;
    }
  }

  private final Instance instance = Instance.create();
  private final MemCgroup group = instance.root.create("a");
  private final List<Kind> kinds = new ArrayList<>();

  /** Where objects are, with their sizes, deferred ones included. */
  private final TreeMap<Long, Integer> places = new TreeMap<>();

  private final Deque<ReadSection> sections = new ArrayDeque<>();

  private void add(KmemCache.Builder builder, boolean accounted, boolean made) {
    KmemCache.Builder ready =
        made ? builder.constructor(a -> Instance.writeLong(a, 0, MADE)) : builder;
    kinds.add(new Kind(ready.accounted(accounted).build(), accounted, made));
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13})
  void randomOperations_anyKindOfCache_areAsTheModel(long seed) {
    Random random = new Random(seed);
    Kmalloc kmalloc = instance.kmalloc;
    add(KmemCache.builder(kmalloc, "plain").size(40), true, false);
    add(KmemCache.builder(kmalloc, "made").size(200).hwcacheAlign(true), true, true);
    add(KmemCache.builder(kmalloc, "safe").size(1000).typesafe(true), true, true);
    add(KmemCache.builder(kmalloc, "free").size(72).alignment(128), false, false);
    add(KmemCache.builder(kmalloc, "page").size(4096).typesafe(true), false, false);
    try (Scope _ = instance.enter(group)) {
      for (int step = 0; step < NR_STEPS; step++) {
        step(kinds.get(random.nextInt(kinds.size())), random, "seed=" + seed + " step=" + step);
      }
      closeSections();
    }
    finish("seed=" + seed);
  }

  private void step(Kind kind, Random random, String where) {
    switch (random.nextInt(12)) {
      case 0, 1, 2, 3 -> allocated(kind, kind.cache.allocate(), where);
      case 4 -> {
        long[] many = new long[random.nextInt(70)];
        kind.cache.allocateBulk(many, 0, many.length);
        for (long address : many) {
          allocated(kind, address, where);
        }
      }
      case 5, 6, 7 -> {
        if (!kind.live.isEmpty()) {
          kind.cache.free(taken(kind, random, where, true));
        }
      }
      case 8 -> {
        long[] many = new long[Math.min(kind.live.size(), random.nextInt(70))];
        for (int i = 0; i < many.length; i++) {
          many[i] = taken(kind, random, where, true);
        }
        kind.cache.freeBulk(many, 0, many.length);
      }
      case 9 -> {
        if (!kind.live.isEmpty()) {
          long address = taken(kind, random, where, sections.isEmpty());
          kind.cache.freeDeferred(address);
          if (!sections.isEmpty()) {
            kind.deferred.add(address);
          }
        }
      }
      case 10 -> readers(random, where);
      default -> {
        if (random.nextInt(20) == 0) {
          kind.cache.shrink();
        }
        if (!kind.deferred.isEmpty()) {
          long address = kind.deferred.get(random.nextInt(kind.deferred.size()));
          assertThrows(IllegalArgumentException.class, () -> kind.cache.free(address), where);
        }
        assertEquals(kind.live.size(), kind.cache.info().nrObjects(), where);
      }
    }
  }

  private void readers(Random random, String where) {
    if (random.nextInt(8) == 0) {
      closeSections();
      for (Kind kind : kinds) {
        for (long address : kind.deferred) {
          check(kind, address, where);
          places.remove(address);
        }
        kind.deferred.clear();
      }
    } else if (sections.size() < 3) {
      sections.push(instance.kmalloc.readSection());
    }
    for (Kind kind : kinds) {
      assertTrue(kind.deferred.size() <= kind.cache.info().nrDeferred(), where);
    }
  }

  private void closeSections() {
    while (!sections.isEmpty()) {
      sections.pop().close();
    }
  }

  private void allocated(Kind kind, long address, String where) {
    Map.Entry<Long, Integer> before = places.floorEntry(address);
    assertTrue(before == null || before.getKey() + before.getValue() <= address, where);
    Long after = places.ceilingKey(address);
    assertTrue(after == null || address + kind.size <= after, where);
    if (kind.made) {
      assertEquals(MADE, Instance.readLong(address, 0), where);
    } else {
      Instance.writeLong(address, 0, ~address);
    }
    Instance.writeLong(address, kind.size - 8, address);
    places.put(address, kind.size);
    kind.live.add(address);
  }

  private long taken(Kind kind, Random random, String where, boolean forget) {
    int at = random.nextInt(kind.live.size());
    long address = kind.live.get(at);
    kind.live.set(at, kind.live.getLast());
    kind.live.removeLast();
    check(kind, address, where);
    if (forget) {
      places.remove(address);
    }
    return address;
  }

  private static void check(Kind kind, long address, String where) {
    assertEquals(kind.made ? MADE : ~address, Instance.readLong(address, 0), where);
    assertEquals(address, Instance.readLong(address, kind.size - 8), where);
  }

  private void finish(String where) {
    instance.allocator().deferredFrees().barrier();
    long charged = 0;
    for (Kind kind : kinds) {
      charged += kind.accounted ? (long) kind.live.size() * kind.cache.chargeBytes() : 0;
    }
    assertEquals(Instance.roundToPages(charged), instance.drainedUsage(group), where);
    for (Kind kind : kinds) {
      kind.live.forEach(kind.cache::freeDeferred);
      kind.cache.close();
    }
    instance.assertNothingLeft();
    instance.close();
  }
}
