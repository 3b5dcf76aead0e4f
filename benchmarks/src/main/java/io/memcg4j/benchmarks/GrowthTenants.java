package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;

/**
 * Tenants in turn, each with a request: a scope, an allocation, its free. Then all are idle, and
 * what they hold is counted; of one tenant that is mostly what the instance itself holds.
 */
final class GrowthTenants {
  private static final int MIN_REQUESTS = 10_000;
  private static final long LIMIT_BYTES = 1L << 30;

  private final Kmalloc kmalloc;
  private final ObjCgroup[] tenants;
  private int next;

  private GrowthTenants(Kmalloc kmalloc, ObjCgroup[] tenants) {
    this.kmalloc = kmalloc;
    this.tenants = tenants;
  }

  static void measure(int nrTenants, GrowthFork fork) {
    MemCgroup root = MemCgroup.root();
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      long heapBefore = TenantsFork.usedHeap();
      ObjCgroup[] tenants = new ObjCgroup[nrTenants];
      for (int i = 0; i < nrTenants; i++) {
        MemCgroup group = root.create("tenant" + i);
        group.setMax(LIMIT_BYTES);
        tenants[i] = ObjCgroup.of(group);
      }
      GrowthTenants work = new GrowthTenants(kmalloc, tenants);
      fork.time(GrowthFork.REQUEST, Math.max(nrTenants, MIN_REQUESTS), work::requests);
      fork.put(
          GrowthFork.HEAP, (double) (TenantsFork.usedHeap() - heapBefore) / work.tenants.length);
      fork.put(GrowthFork.MAPPED, (double) kmalloc.info().mappedBytes() / nrTenants);
      fork.put(GrowthFork.CHARGED, (double) root.usage() / nrTenants);
    }
  }

  private long requests(int nrTimes) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      ObjCgroup tenant = tenants[next];
      next = next + 1 == tenants.length ? 0 : next + 1;
      try (Scope _ = tenant.enter()) {
        long address = kmalloc.allocate(KmallocLoop.SIZE);
        sum += address;
        kmalloc.free(address);
      }
    }
    return sum;
  }
}
