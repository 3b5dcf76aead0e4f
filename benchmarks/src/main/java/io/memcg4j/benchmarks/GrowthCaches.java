package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.KmemCache;

/**
 * Typed caches in turn, an allocation and its free each; then what they hold idle is given back.
 */
final class GrowthCaches {
  private static final int MIN_PAIRS = 10_000;

  private final KmemCache.Bound[] bound;
  private int next;

  private GrowthCaches(KmemCache[] caches, Scope scope) {
    bound = new KmemCache.Bound[caches.length];
    for (int i = 0; i < caches.length; i++) {
      bound[i] = caches[i].bind(scope);
    }
  }

  static void measure(int nrCaches, GrowthFork fork) {
    MemCgroup root = MemCgroup.root();
    ObjCgroup tenant = ObjCgroup.of(KmallocCase.userGroup(root, "tenant"));
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      KmemCache[] caches = new KmemCache[nrCaches];
      for (int i = 0; i < nrCaches; i++) {
        caches[i] = KmemCache.create(kmalloc, "cache" + i, KmallocLoop.SIZE);
      }
      try (Scope scope = tenant.enter()) {
        GrowthCaches work = new GrowthCaches(caches, scope);
        fork.time(GrowthFork.PAIR, Math.max(nrCaches, MIN_PAIRS), work::pairs);
      }
      fork.put(GrowthFork.MAPPED, (double) kmalloc.info().mappedBytes() / nrCaches);
      PeerRounds rounds = fork.rounds(Integer.MAX_VALUE);
      while (rounds.next()) {
        try (Scope scope = tenant.enter()) {
          new GrowthCaches(caches, scope).pairs(nrCaches);
        }
        long start = System.nanoTime();
        kmalloc.shrink();
        rounds.add(GrowthFork.SHRINK, System.nanoTime() - start, nrCaches);
      }
      fork.put(rounds.results());
      for (KmemCache cache : caches) {
        cache.close();
      }
    }
  }

  private long pairs(int nrTimes) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      KmemCache.Bound cache = bound[next];
      next = next + 1 == bound.length ? 0 : next + 1;
      long address = cache.allocate();
      sum += address;
      cache.free(address);
    }
    return sum;
  }
}
