package io.memcg4j.benchmarks;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.servlet.MemcgFilter;
import io.memcg4j.slab.Kmalloc;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;

/** One measurement of {@code bench tenants}; runs in a process of its own. */
final class TenantsFork {
  static final String NANOS = "time";
  static final String BYTES = "size";

  private static final int NR_PAGES = MemCgroup.CHARGE_BATCH;
  private static final long BATCH_BYTES = (long) NR_PAGES << MemCgroup.PAGE_SHIFT;
  private static final long WARMUP_NANOS = 600_000_000L;
  private static final long GIB = 1L << 30;

  private TenantsFork() {}

  /** Something that is done again and again, by one thread. */
  interface Work {
    /** Does it so many times. */
    void run(int nrTimes);
  }

  /** Arguments: name, case, subject, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    String caseName = args[1];
    String subject = args[2];
    int nrRounds = Integer.parseInt(args[3]);
    if (caseName.startsWith("pair/")) {
      TenantsPair pair = TenantsPair.parse(caseName);
      List<Work> works = new ArrayList<>();
      Object shared = pairWorld(pair, subject);
      for (int thread = 0; thread < pair.nrThreads(); thread++) {
        works.add(pairWork(shared, pair, thread));
      }
      return Map.of(NANOS, best(works, nrRounds, 20_000));
    }
    return switch (caseName) {
      case "refusal/depth5" -> Map.of(NANOS, best(List.of(refusal()), nrRounds, 20_000));
      case "scope/enter" -> Map.of(NANOS, best(List.of(scopeEnter()), nrRounds, 20_000));
      case "scope/enterAllocate" ->
          Map.of(NANOS, best(List.of(scopeAllocate(false)), nrRounds, 20_000));
      case "scope/nestedAllocate" ->
          Map.of(NANOS, best(List.of(scopeAllocate(true)), nrRounds, 20_000));
      case "scope/nested" -> Map.of(NANOS, best(List.of(scopeNested()), nrRounds, 20_000));
      case "scope/among1" -> Map.of(NANOS, best(List.of(scopeAmong(1)), nrRounds, 20_000));
      case "scope/among8" -> Map.of(NANOS, best(List.of(scopeAmong(8)), nrRounds, 20_000));
      case "scope/among1000" -> Map.of(NANOS, best(List.of(scopeAmong(1000)), nrRounds, 20_000));
      case "scope/wrappedRun" -> Map.of(NANOS, best(List.of(wrappedRun()), nrRounds, 20_000));
      case "scope/wrapAndRun" -> Map.of(NANOS, best(List.of(wrapAndRun()), nrRounds, 20_000));
      case "scope/request" -> Map.of(NANOS, best(List.of(request()), nrRounds, 20_000));
      case "stat/read10000" -> Map.of(NANOS, best(List.of(statRead(10_000)), nrRounds, 2_000));
      case "stat/flush100of1000" -> Map.of(NANOS, best(List.of(flush(1_000)), nrRounds, 20));
      case "stat/flush100of100000" -> Map.of(NANOS, best(List.of(flush(100_000)), nrRounds, 20));
      case "group/createRemove" -> Map.of(NANOS, best(List.of(createRemove()), nrRounds, 2_000));
      case "group/heap" -> Map.of(BYTES, groupBytes());
      default -> throw new IllegalArgumentException("unknown case: name=" + caseName);
    };
  }

  /** Nanoseconds per time, the best of the rounds; a round ends when the last thread has. */
  static double best(List<Work> works, int nrRounds, int nrTimes) throws InterruptedException {
    // What lives long is old then, as in a server, where stores into it cost more.
    collectGarbage();
    long[] ends = new long[works.size()];
    long[] starts = new long[works.size()];
    double[] best = {Double.MAX_VALUE};
    CyclicBarrier barrier =
        new CyclicBarrier(
            works.size(),
            () -> {
              long first = starts[0];
              long last = ends[0];
              for (int i = 1; i < starts.length; i++) {
                first = Math.min(first, starts[i]);
                last = Math.max(last, ends[i]);
              }
              if (last > first) {
                best[0] = Math.min(best[0], (double) (last - first) / nrTimes);
              }
            });
    List<Thread> threads = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    for (int i = 0; i < works.size(); i++) {
      int number = i;
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  Work work = works.get(number);
                  long warm = System.nanoTime();
                  while (System.nanoTime() - warm < WARMUP_NANOS) {
                    work.run(nrTimes);
                  }
                  barrier.await();
                  for (int round = 0; round < nrRounds; round++) {
                    starts[number] = System.nanoTime();
                    work.run(nrTimes);
                    ends[number] = System.nanoTime();
                    barrier.await();
                  }
                } catch (Exception e) {
                  synchronized (failures) {
                    failures.add(e);
                  }
                  barrier.reset();
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    if (!failures.isEmpty()) {
      throw new IllegalStateException("a thread failed", failures.getFirst());
    }
    return best[0];
  }

  // ---- charge and uncharge of one batch

  /** A chain of plain atomic counters with limits, as people write it. */
  private record Chain(List<AtomicLong> used, long limit) {
    boolean charge(long nrPages) {
      for (int i = 0; i < used.size(); i++) {
        if (used.get(i).addAndGet(nrPages) > limit) {
          for (int done = 0; done <= i; done++) {
            used.get(done).addAndGet(-nrPages);
          }
          return false;
        }
      }
      return true;
    }

    void uncharge(long nrPages) {
      for (AtomicLong level : used) {
        level.addAndGet(-nrPages);
      }
    }
  }

  private static Object pairWorld(TenantsPair pair, String subject) {
    return switch (subject) {
      case TenantsBench.STOCK, TenantsBench.COUNTERS -> {
        MemCgroup root = MemCgroup.root();
        List<MemCgroup> leaves = new ArrayList<>();
        MemCgroup parent = root;
        for (int depth = 1; depth < pair.depth(); depth++) {
          parent = parent.create("d" + depth);
          parent.setMax(1024 * GIB);
        }
        for (int leaf = 0; leaf < pair.nrLeaves(); leaf++) {
          MemCgroup group = parent.create("leaf" + leaf);
          group.setMax(1024 * GIB);
          leaves.add(group);
        }
        yield new Groups(root, leaves, subject.equals(TenantsBench.STOCK));
      }
      case TenantsBench.ARROW -> {
        BufferAllocator parent = new RootAllocator();
        for (int depth = 1; depth < pair.depth(); depth++) {
          parent = parent.newChildAllocator("d" + depth, 0, 1024 * GIB);
        }
        List<BufferAllocator> leaves = new ArrayList<>();
        for (int leaf = 0; leaf < pair.nrLeaves(); leaf++) {
          leaves.add(parent.newChildAllocator("leaf" + leaf, 0, 1024 * GIB));
        }
        yield leaves;
      }
      case TenantsBench.ATOMICS -> {
        AtomicLong[] upper = new AtomicLong[pair.depth()];
        for (int i = 0; i < upper.length; i++) {
          upper[i] = new AtomicLong();
        }
        List<Chain> leaves = new ArrayList<>();
        for (int leaf = 0; leaf < pair.nrLeaves(); leaf++) {
          AtomicLong[] mine = upper.clone();
          mine[0] = new AtomicLong();
          leaves.add(new Chain(List.of(mine), GIB));
        }
        yield leaves;
      }
      default -> throw new IllegalArgumentException("unknown subject: name=" + subject);
    };
  }

  private record Groups(MemCgroup root, List<MemCgroup> leaves, boolean stock) {}

  private static Work pairWork(Object world, TenantsPair pair, int thread) {
    int leaf = thread % pair.nrLeaves();
    if (world instanceof Groups groups) {
      return groupWork(groups, groups.leaves().get(leaf));
    }
    Object mine = ((List<?>) world).get(leaf);
    if (mine instanceof Chain chain) {
      return nrTimes -> {
        for (int i = 0; i < nrTimes; i++) {
          check(chain.charge(NR_PAGES));
          chain.uncharge(NR_PAGES);
        }
      };
    }
    BufferAllocator allocator = (BufferAllocator) mine;
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        check(allocator.forceAllocate(BATCH_BYTES));
        allocator.releaseBytes(BATCH_BYTES);
      }
    };
  }

  private static Work groupWork(Groups groups, MemCgroup leaf) {
    if (!groups.stock()) {
      return nrTimes -> {
        for (int i = 0; i < nrTimes; i++) {
          check(leaf.tryChargeNow(NR_PAGES) == null);
          leaf.unchargeNow(NR_PAGES);
        }
      };
    }
    return nrTimes -> {
      CpuSlot slot = groups.root().slots().claimShared();
      try {
        for (int i = 0; i < nrTimes; i++) {
          check(leaf.tryCharge(slot, NR_PAGES) == null);
          // A stock is plain memory: without these the compiler drops what cancels out.
          VarHandle.releaseFence();
          leaf.uncharge(slot, NR_PAGES);
          VarHandle.releaseFence();
        }
      } finally {
        slot.release();
      }
    };
  }

  private static void check(boolean granted) {
    if (!granted) {
      throw new IllegalStateException("refused");
    }
  }

  // ---- the rest

  private static Work refusal() {
    MemCgroup root = MemCgroup.root();
    MemCgroup full = root.create("d1");
    MemCgroup group = full;
    for (int depth = 2; depth <= 5; depth++) {
      group = group.create("d" + depth);
    }
    MemCgroup leaf = group;
    full.setMax(10 * MemCgroup.PAGE_SIZE);
    full.forceCharge(10);
    CpuSlot slot = root.slots().claimShared();
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        check(leaf.charge(slot, 1) != null);
      }
    };
  }

  private static Work scopeEnter() {
    ObjCgroup tenant = ObjCgroup.of(MemCgroup.root().create("a"));
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        tenant.enter().close();
      }
    };
  }

  private static Work scopeNested() {
    MemCgroup root = MemCgroup.root();
    ObjCgroup tenant = ObjCgroup.of(root.create("a"));
    ObjCgroup inner = ObjCgroup.of(root.create("b"));
    return nrTimes -> {
      try (Scope _ = tenant.enter()) {
        for (int i = 0; i < nrTimes; i++) {
          inner.enter().close();
        }
      }
    };
  }

  /** A scope with one allocation and its free inside; nested, with one more after it. */
  private static Work scopeAllocate(boolean nested) {
    MemCgroup root = MemCgroup.root();
    ObjCgroup tenant = ObjCgroup.of(root.create("a"));
    ObjCgroup inner = ObjCgroup.of(root.create("b"));
    Kmalloc kmalloc = Kmalloc.create(root);
    return nrTimes -> {
      try (Scope _ = nested ? tenant.enter() : null) {
        for (int i = 0; i < nrTimes; i++) {
          try (Scope _ = inner.enter()) {
            kmalloc.free(kmalloc.allocate(64));
          }
          if (nested) {
            kmalloc.free(kmalloc.allocate(64));
          }
        }
      }
    };
  }

  private static Work scopeAmong(int nrTenants) {
    MemCgroup root = MemCgroup.root();
    ObjCgroup[] tenants = new ObjCgroup[nrTenants];
    for (int i = 0; i < nrTenants; i++) {
      tenants[i] = ObjCgroup.of(root.create("t" + i));
    }
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        tenants[i % nrTenants].enter().close();
      }
    };
  }

  private static Work wrappedRun() {
    ObjCgroup tenant = ObjCgroup.of(MemCgroup.root().create("a"));
    Runnable task;
    try (Scope _ = tenant.enter()) {
      task = ObjCgroup.wrap((Runnable) TenantsFork::nothing);
    }
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        task.run();
      }
    };
  }

  /** Captured in a scope and run in it, as by an executor that runs tasks in the caller. */
  private static Work wrapAndRun() {
    ObjCgroup tenant = ObjCgroup.of(MemCgroup.root().create("a"));
    return nrTimes -> {
      try (Scope _ = tenant.enter()) {
        for (int i = 0; i < nrTimes; i++) {
          ObjCgroup.wrap((Runnable) TenantsFork::nothing).run();
        }
      }
    };
  }

  /** What the servlet filter adds to a request that does nothing. */
  private static Work request() {
    MemcgFilter filter = MemcgFilter.of(MemCgroup.root().create("a"));
    HttpServletRequest request = unused(HttpServletRequest.class);
    HttpServletResponse response = unused(HttpServletResponse.class);
    FilterChain chain = (_, _) -> nothing();
    return nrTimes -> {
      try {
        for (int i = 0; i < nrTimes; i++) {
          filter.doFilter(request, response, chain);
        }
      } catch (IOException | ServletException e) {
        throw new IllegalStateException("a request failed", e);
      }
    };
  }

  private static void nothing() {
    VarHandle.releaseFence(); // not to be optimized away with what is around it
  }

  /** Something that is handed on and never asked. */
  private static <T> T unused(Class<T> type) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (_, method, _) -> {
              throw new IllegalStateException("asked for " + method.getName());
            }));
  }

  private static List<Charge> chargesOfGroups(MemCgroup root, int nrGroups) {
    List<Charge> charges = new ArrayList<>();
    for (int i = 0; i < nrGroups; i++) {
      charges.add(root.create("g" + i).charge("x", MemoryClass.HEAP));
    }
    return charges;
  }

  private static Work statRead(int nrGroups) {
    MemCgroup root = MemCgroup.root();
    chargesOfGroups(root, nrGroups).forEach(charge -> charge.set(100));
    root.flush();
    long[] sink = new long[1];
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        sink[0] += root.stat().heap();
      }
    };
  }

  private static Work flush(int nrGroups) {
    MemCgroup root = MemCgroup.root();
    List<Charge> charges = chargesOfGroups(root, nrGroups);
    long[] sink = new long[1];
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        for (int touched = 0; touched < 100; touched++) {
          charges.get(touched * (nrGroups / 100)).add((i & 1) == 0 ? 1 : -1, ChargeMode.NORMAL);
        }
        sink[0] += root.flush().heap();
      }
    };
  }

  private static Work createRemove() {
    MemCgroup root = MemCgroup.root();
    return nrTimes -> {
      for (int i = 0; i < nrTimes; i++) {
        root.create("g").remove();
      }
    };
  }

  private static double groupBytes() {
    int nrGroups = 200_000;
    MemCgroup root = MemCgroup.root();
    long before = usedHeap();
    for (int i = 0; i < nrGroups; i++) {
      root.create("g" + i);
    }
    long after = usedHeap();
    check(root.nrDescendants() == nrGroups);
    return (double) (after - before) / nrGroups;
  }

  private static void collectGarbage() {
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
  }

  /** Bytes of the Java heap in use, once what is garbage is gone. */
  static long usedHeap() {
    collectGarbage();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }
}
