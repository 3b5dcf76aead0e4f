package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.slab.Kmalloc;
import java.lang.invoke.VarHandle;

/** Tenants so many groups deep, each group with a limit. */
final class GrowthDepth {
  private static final long LIMIT_BYTES = 1L << 40;
  private static final int NR_TIMES = 5_000;

  private GrowthDepth() {}

  static void measure(int depth, GrowthFork fork) {
    MemCgroup root = MemCgroup.root();
    MemCgroup parent = root;
    for (int level = 1; level < depth; level++) {
      parent = limited(parent, "level" + level);
    }
    MemCgroup leaf = limited(parent, "leaf");
    MemCgroup other = limited(parent, "other");
    CpuSlot slot = root.slots().claimShared();
    try {
      fork.time(GrowthFork.STOCK, NR_TIMES, nrTimes -> fromStock(leaf, slot, nrTimes));
    } finally {
      slot.release();
    }
    fork.time(GrowthFork.COUNTERS, NR_TIMES, nrTimes -> fromCounters(leaf, nrTimes));
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      ObjCgroup tenant = ObjCgroup.of(leaf);
      fork.time(GrowthFork.REQUEST, NR_TIMES, nrTimes -> requests(kmalloc, tenant, nrTimes));
      try (Scope _ = ObjCgroup.of(other).enter()) {
        fork.time(GrowthFork.SCOPE, NR_TIMES, nrTimes -> switches(tenant, nrTimes));
      }
    }
    refusal(depth, fork);
  }

  private static MemCgroup limited(MemCgroup parent, String name) {
    MemCgroup group = parent.create(name);
    group.setMax(LIMIT_BYTES);
    return group;
  }

  /** The group below the root is full, and so refuses what all below it have granted. */
  private static void refusal(int depth, GrowthFork fork) {
    MemCgroup root = MemCgroup.root();
    MemCgroup full = root.create("full");
    full.setMax(10 * MemCgroup.PAGE_SIZE);
    full.forceCharge(10);
    MemCgroup group = full;
    for (int level = 1; level < depth; level++) {
      group = limited(group, "level" + level);
    }
    MemCgroup leaf = group;
    CpuSlot slot = root.slots().claimShared();
    try {
      fork.time(
          GrowthFork.REFUSAL,
          NR_TIMES,
          nrTimes -> {
            for (int i = 0; i < nrTimes; i++) {
              check(leaf.charge(slot, 1) == full);
            }
            return nrTimes;
          });
    } finally {
      slot.release();
    }
  }

  private static long fromStock(MemCgroup leaf, CpuSlot slot, int nrTimes) {
    for (int i = 0; i < nrTimes; i++) {
      check(leaf.tryCharge(slot, MemCgroup.CHARGE_BATCH) == null);
      // A stock is plain memory: without these the compiler drops what cancels out.
      VarHandle.releaseFence();
      leaf.uncharge(slot, MemCgroup.CHARGE_BATCH);
      VarHandle.releaseFence();
    }
    return nrTimes;
  }

  private static long fromCounters(MemCgroup leaf, int nrTimes) {
    for (int i = 0; i < nrTimes; i++) {
      check(leaf.tryChargeNow(MemCgroup.CHARGE_BATCH) == null);
      leaf.unchargeNow(MemCgroup.CHARGE_BATCH);
    }
    return nrTimes;
  }

  private static long requests(Kmalloc kmalloc, ObjCgroup tenant, int nrTimes) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      try (Scope _ = tenant.enter()) {
        long address = kmalloc.allocate(KmallocLoop.SIZE);
        sum += address;
        kmalloc.free(address);
      }
    }
    return sum;
  }

  private static long switches(ObjCgroup tenant, int nrTimes) {
    for (int i = 0; i < nrTimes; i++) {
      tenant.enter().close();
    }
    return nrTimes;
  }

  private static void check(boolean asExpected) {
    if (!asExpected) {
      throw new IllegalStateException("granted where it is full, or refused where it is not");
    }
  }
}
