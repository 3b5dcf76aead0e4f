package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.Vmalloc;
import io.memcg4j.slab.VmallocArea;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** One measurement of {@code bench vmalloc}; runs in a process of its own. */
final class VmallocFork {
  static final String PAIR = "pair";
  static final String PAIR_CPU = "pairCpu";
  static final String WORST = "worst";
  static final String READ = "read";

  private static final int NR_LIVE = 15_000;
  private static final long AREA_BYTES = 4L * MemCgroup.PAGE_SIZE;
  private static final int MAX_LATENCIES = 1 << 20;

  private VmallocFork() {}

  /** The areas and how they are looked at. */
  private interface Areas {
    long allocate(long nrBytes);

    void free(long address);

    /** Pages of all areas, as /proc/meminfo shows them. */
    long meminfo();

    /** Something of every area, as /proc/vmallocinfo shows them. */
    long walk();

    /** The start of the area around an address. */
    long find(long address);
  }

  /** Ours as it is: the total is a counter, the index needs no lock. */
  private record Ours(Vmalloc vmalloc) implements Areas {
    @Override
    public long allocate(long nrBytes) {
      return vmalloc.allocate(nrBytes);
    }

    @Override
    public void free(long address) {
      vmalloc.free(address);
    }

    @Override
    public long meminfo() {
      return vmalloc.info().usedBytes();
    }

    @Override
    public long walk() {
      long[] sum = {0};
      vmalloc.forEach(area -> sum[0] += area.nrPages());
      return sum[0];
    }

    @Override
    public long find(long address) {
      VmallocArea area = vmalloc.find(address);
      return area == null ? 0 : area.start();
    }
  }

  /**
   * The same allocator with the index that Linux had until 2024: a red-black tree under the one
   * lock that allocation, free, lookup and every walk need; until 2015 also each read of the total,
   * which was a walk.
   */
  private static final class OneLock implements Areas {
    private final Vmalloc vmalloc;
    private final ReentrantLock lock = new ReentrantLock();
    private final TreeMap<Long, Long> areas = new TreeMap<>();

    OneLock(Vmalloc vmalloc) {
      this.vmalloc = vmalloc;
    }

    @Override
    public long allocate(long nrBytes) {
      long address = vmalloc.allocate(nrBytes);
      lock.lock();
      try {
        areas.put(address, nrBytes);
      } finally {
        lock.unlock();
      }
      return address;
    }

    @Override
    public void free(long address) {
      lock.lock();
      try {
        areas.remove(address);
      } finally {
        lock.unlock();
      }
      vmalloc.free(address);
    }

    @Override
    public long meminfo() {
      return walk() << MemCgroup.PAGE_SHIFT;
    }

    @Override
    public long walk() {
      long sum = 0;
      lock.lock();
      try {
        for (Map.Entry<Long, Long> area : areas.entrySet()) {
          sum += area.getValue() >>> MemCgroup.PAGE_SHIFT;
        }
      } finally {
        lock.unlock();
      }
      return sum;
    }

    @Override
    public long find(long address) {
      lock.lock();
      try {
        Map.@Nullable Entry<Long, Long> floor = areas.floorEntry(address);
        return floor != null && address < floor.getKey() + floor.getValue() ? floor.getKey() : 0;
      } finally {
        lock.unlock();
      }
    }
  }

  /** Arguments: name, case, subject, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    String[] parts = args[1].split("/", -1);
    if (parts.length != 2 || !VmallocBench.READERS.contains(parts[0])) {
      throw new IllegalArgumentException("unknown case: name=" + args[1]);
    }
    int nrThreads = Integer.parseInt(parts[1].substring("threads".length()));
    MemCgroup root = MemCgroup.root();
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      Vmalloc vmalloc = kmalloc.vmalloc();
      vmalloc.recordCallers(false);
      Areas areas =
          switch (args[2]) {
            case VmallocBench.MEMCG4J -> new Ours(vmalloc);
            case VmallocBench.ONE_LOCK -> new OneLock(vmalloc);
            default -> throw new IllegalArgumentException("unknown subject: name=" + args[2]);
          };
      long[] live = new long[NR_LIVE];
      for (int i = 0; i < NR_LIVE; i++) {
        live[i] = areas.allocate(MemCgroup.PAGE_SIZE);
      }
      Map<String, Double> metrics =
          measure(root, areas, live, nrThreads, parts[0], Integer.parseInt(args[3]));
      for (long address : live) {
        areas.free(address);
      }
      return metrics;
    }
  }

  private static Map<String, Double> measure(
      MemCgroup root, Areas areas, long[] live, int nrThreads, String reader, int nrRounds)
      throws InterruptedException {
    ContendedThreads threads = new ContendedThreads();
    List<Pairs> pairs = new ArrayList<>();
    for (int i = 0; i < nrThreads; i++) {
      Pairs mine = new Pairs(areas, ObjCgroup.of(root.create("tenant" + i)));
      pairs.add(mine);
      threads.add(100, mine);
    }
    SplittableRandom random = new SplittableRandom(1);
    int number =
        switch (reader) {
          case "meminfo" -> threads.add(1, _ -> areas.meminfo());
          case "walk" -> threads.add(1, _ -> areas.walk());
          case "find" -> threads.add(100, nrTimes -> find(areas, live, nrTimes, random));
          default -> -1;
        };
    ContendedThreads.Cost[] costs = threads.run(nrRounds);
    ContendedThreads.Cost[] allocating = Arrays.copyOf(costs, nrThreads);
    Map<String, Double> metrics = new HashMap<>();
    metrics.put(PAIR, ContendedThreads.median(ContendedThreads.Cost::wall, allocating));
    metrics.put(PAIR_CPU, ContendedThreads.median(ContendedThreads.Cost::cpu, allocating));
    metrics.put(WORST, pairs.stream().mapToDouble(Pairs::worstMicros).max().orElseThrow());
    if (number >= 0) {
      metrics.put(READ, costs[number].wall());
    }
    return metrics;
  }

  private static long find(Areas areas, long[] live, int nrTimes, SplittableRandom random) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      long start = live[random.nextInt(live.length)];
      if (areas.find(start + random.nextInt(MemCgroup.PAGE_SIZE)) != start) {
        throw new IllegalStateException("area missed: start=0x" + Long.toHexString(start));
      }
      sum += start;
    }
    return sum;
  }

  /** One thread's pairs, in the scope of a tenant, with the time that each took. */
  private static final class Pairs implements ContendedThreads.Work {
    private final Areas areas;
    private final ObjCgroup tenant;
    private final long[] latencies = new long[MAX_LATENCIES];
    private int nrLatencies;

    Pairs(Areas areas, ObjCgroup tenant) {
      this.areas = areas;
      this.tenant = tenant;
    }

    @Override
    public long run(int nrTimes) {
      long sum = 0;
      try (Scope _ = tenant.enter()) {
        long before = System.nanoTime();
        for (int i = 0; i < nrTimes; i++) {
          long address = areas.allocate(AREA_BYTES);
          sum += address;
          areas.free(address);
          long now = System.nanoTime();
          latencies[nrLatencies++ & (MAX_LATENCIES - 1)] = now - before;
          before = now;
        }
      }
      return sum;
    }

    /** The 99.9th percentile of the last million. */
    double worstMicros() {
      long[] sorted = Arrays.copyOf(latencies, Math.min(nrLatencies, MAX_LATENCIES));
      Arrays.sort(sorted);
      return sorted.length == 0 ? 0 : sorted[(int) (sorted.length * 0.999)] / 1e3;
    }
  }
}
