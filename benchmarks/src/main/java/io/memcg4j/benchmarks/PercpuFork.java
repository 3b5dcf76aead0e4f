package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** One measurement of {@code bench percpu}; runs in a process of its own. */
final class PercpuFork {
  static final String NANOS = "time";
  static final String HEAP = "heap";
  static final String NATIVE = "native";
  static final String CHARGED = "charged";

  private static final int NR_MANY = 1 << 13;
  private static final int NR_ADDS_WHEN_CONTENDED = 2_000;
  private static final int BATCH = 1_000;
  private static final int MAX_SPINS = 1 << 20;
  private static final int BARRIER_SECONDS = 300;

  private PercpuFork() {}

  /** Counters of one kind, by number. */
  interface Counters {
    /** Makes the calling thread ready; what it returns adds for this thread only. */
    Adder enter();

    long sum(int number);

    /** Makes counters and lets go of them. */
    TenantsFork.Work pairs();

    /** Bytes that all counters take, by metric; the heap is measured by the caller. */
    Map<String, Double> bytes();
  }

  /** Adds for one thread. */
  interface Adder extends AutoCloseable {
    void addTo(int number, int nrTimes);

    void addToEach(int nrCounters, int nrTimes);

    @Override
    void close();
  }

  /** Arguments: name, case, subject, rounds, counters. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    String caseName = args[1];
    String subject = args[2];
    int nrRounds = Integer.parseInt(args[3]);
    int nrCounters = Integer.parseInt(args[4]);
    int slash = caseName.indexOf('/');
    String kind = slash < 0 ? caseName : caseName.substring(0, slash);
    int nrThreads = slash < 0 ? 1 : Integer.parseInt(caseName.substring(slash + 1));
    return switch (kind) {
      case "add" -> {
        Counters one = make(subject, 1);
        yield Map.of(NANOS, best(one, nrThreads, nrRounds, (adder, n) -> adder.addTo(0, n)));
      }
      case "addmany" -> {
        Counters many = make(subject, NR_MANY);
        yield Map.of(
            NANOS, best(many, nrThreads, nrRounds, (adder, n) -> adder.addToEach(NR_MANY, n)));
      }
      case "sum" -> Map.of(NANOS, sum(make(subject, NR_MANY), nrRounds));
      case "pair" ->
          Map.of(NANOS, TenantsFork.best(List.of(make(subject, 1).pairs()), nrRounds, 10 * BATCH));
      case "memory" -> memory(subject, nrCounters, nrThreads, 1, nrCounters);
      case "memory-contended" ->
          memory(subject, nrCounters / 100, nrThreads, NR_ADDS_WHEN_CONTENDED, 1);
      default -> throw new IllegalArgumentException("unknown case: name=" + caseName);
    };
  }

  private interface Loop {
    void run(Adder adder, int nrTimes);
  }

  /** The threads that add keep their scope over all rounds, as a request handler would. */
  private static double best(Counters counters, int nrThreads, int nrRounds, Loop loop)
      throws InterruptedException {
    List<TenantsFork.Work> works = new ArrayList<>();
    for (int i = 0; i < nrThreads; i++) {
      Adder[] mine = new Adder[1];
      works.add(nrTimes -> {
        Adder adder = mine[0];
        if (adder == null) {
          adder = counters.enter(); // on the thread that works; ends with the process
          mine[0] = adder;
        }
        loop.run(adder, nrTimes);
      });
    }
    return TenantsFork.best(works, nrRounds, 100 * BATCH);
  }

  private static double sum(Counters counters, int nrRounds) throws InterruptedException {
    try (Adder adder = counters.enter()) {
      adder.addToEach(NR_MANY, NR_MANY);
    }
    long[] sink = new long[1];
    return TenantsFork.best(
        List.of(nrTimes -> {
          for (int i = 0; i < nrTimes; i++) {
            sink[0] += counters.sum(i & (NR_MANY - 1));
          }
        }),
        nrRounds,
        10 * BATCH);
  }

  /**
   * Bytes per counter after each of the threads has added to each counter; with {@code stride} 1
   * all threads add to the same one at the same time, so that an adder that spreads under
   * contention does so.
   */
  private static Map<String, Double> memory(
      String subject, int nrCounters, int nrThreads, int nrTimes, int stride)
      throws InterruptedException {
    make(subject, 10).bytes(); // classes, native calls
    long before = usedHeap();
    Counters counters = make(subject, nrCounters);
    CyclicBarrier barrier = new CyclicBarrier(Math.max(1, nrThreads));
    AtomicInteger arrived = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < nrThreads; t++) {
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                try (Adder adder = counters.enter()) {
                  for (int i = 0; i < nrCounters; i++) {
                    if (i % stride == 0) {
                      meet(arrived, (i / stride + 1) * nrThreads);
                    }
                    adder.addTo(i, nrTimes);
                  }
                  // All scopes are open at the same time.
                  barrier.await(BARRIER_SECONDS, TimeUnit.SECONDS);
                } catch (Exception e) {
                  throw new IllegalStateException(e);
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    if (counters.sum(nrCounters - 1) != (long) nrThreads * nrTimes) {
      throw new IllegalStateException("wrong sum: value=" + counters.sum(nrCounters - 1));
    }
    Map<String, Double> bytes = new LinkedHashMap<>();
    bytes.put(HEAP, (double) (usedHeap() - before) / nrCounters);
    counters.bytes().forEach((metric, value) -> bytes.put(metric, value / nrCounters));
    return bytes;
  }

  /** Spins, as threads that are woken up do not run at the same time; gives up after some ms. */
  private static void meet(AtomicInteger arrived, int nrExpected) {
    arrived.incrementAndGet();
    for (int spins = 0; arrived.get() < nrExpected && spins < MAX_SPINS; spins++) {
      Thread.onSpinWait();
    }
  }

  private static long usedHeap() {
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  private static Counters make(String subject, int nrCounters) {
    return switch (subject) {
      case PercpuBench.PERCPU -> new Percpu(nrCounters, true);
      case PercpuBench.UNBOUND -> new Percpu(nrCounters, false);
      case PercpuBench.LONG_ADDER -> new Adders(nrCounters);
      case PercpuBench.ATOMIC_LONG -> new Atomics(nrCounters);
      default -> throw new IllegalArgumentException("unknown subject: name=" + subject);
    };
  }

  private static final class Percpu implements Counters {
    private final MemCgroup root = MemCgroup.root();
    private final MemCgroup group = root.create("a");
    private final Kmalloc kmalloc = Kmalloc.create(root);
    private final PercpuAllocator percpu = kmalloc.percpu();
    private final ObjCgroup tenant = ObjCgroup.of(group);
    private final long[] counters;
    private final boolean bound;

    Percpu(int nrCounters, boolean bound) {
      this.bound = bound;
      counters = new long[nrCounters];
      try (Scope _ = tenant.enter()) {
        for (int i = 0; i < nrCounters; i++) {
          counters[i] = percpu.allocate(Long.BYTES);
        }
      }
    }

    @Override
    public Adder enter() {
      Scope scope = tenant.enter();
      return bound ? new Bound(scope) : new Unbound(scope);
    }

    private final class Bound implements Adder {
      private final Scope scope;

      Bound(Scope scope) {
        this.scope = scope;
      }

      @Override
      public void addTo(int number, int nrTimes) {
        long counter = counters[number];
        CpuSlot slot = scope.frame().slot();
        for (int i = 0; i < nrTimes; i++) {
          percpu.add(counter, slot, 1);
        }
      }

      @Override
      public void addToEach(int nrCounters, int nrTimes) {
        CpuSlot slot = scope.frame().slot();
        for (int i = 0; i < nrTimes; i++) {
          percpu.add(counters[i & (nrCounters - 1)], slot, 1);
        }
      }

      @Override
      public void close() {
        scope.close();
      }
    }

    private final class Unbound implements Adder {
      private final Scope scope;

      Unbound(Scope scope) {
        this.scope = scope;
      }

      @Override
      public void addTo(int number, int nrTimes) {
        long counter = counters[number];
        for (int i = 0; i < nrTimes; i++) {
          percpu.add(counter, 1);
        }
      }

      @Override
      public void addToEach(int nrCounters, int nrTimes) {
        for (int i = 0; i < nrTimes; i++) {
          percpu.add(counters[i & (nrCounters - 1)], 1);
        }
      }

      @Override
      public void close() {
        scope.close();
      }
    }

    @Override
    public long sum(int number) {
      return percpu.sum(counters[number]);
    }

    @Override
    public TenantsFork.Work pairs() {
      long[] made = new long[BATCH];
      return nrTimes -> {
        try (Scope _ = tenant.enter()) {
          for (int i = 0; i < nrTimes; i += BATCH) {
            for (int k = 0; k < BATCH; k++) {
              made[k] = percpu.allocate(Long.BYTES);
            }
            for (long counter : made) {
              percpu.free(counter);
            }
          }
        }
      };
    }

    @Override
    public Map<String, Double> bytes() {
      long first = percpu.address(counters[0], 0);
      long last = percpu.address(counters[counters.length - 1], percpu.nrUnits() - 1);
      return Map.of(
          NATIVE,
          (double) residentBytes(first, last),
          CHARGED,
          (double) (counters.length * percpu.chargeBytes(Long.BYTES)));
    }
  }

  /** What of a range of addresses has memory behind it, as Linux tells for each mapping. */
  private static long residentBytes(long first, long last) {
    long kib = 0;
    boolean inside = false;
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
        int dash = line.indexOf('-');
        int space = line.indexOf(' ');
        if (dash > 0 && dash < space && line.indexOf(':') > space) {
          long start = Long.parseUnsignedLong(line.substring(0, dash), 16);
          long end = Long.parseUnsignedLong(line.substring(dash + 1, space), 16);
          inside = Long.compareUnsigned(start, last) <= 0 && Long.compareUnsigned(end, first) > 0;
        } else if (inside && line.startsWith("Rss:")) {
          kib += Long.parseLong(line.substring(4, line.lastIndexOf(' ')).strip());
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return kib << 10;
  }

  private static final class Adders implements Counters {
    private final LongAdder[] counters;

    Adders(int nrCounters) {
      counters = new LongAdder[nrCounters];
      for (int i = 0; i < nrCounters; i++) {
        counters[i] = new LongAdder();
      }
    }

    @Override
    public Adder enter() {
      return new OfAdders();
    }

    private final class OfAdders implements Adder {
      @Override
      public void addTo(int number, int nrTimes) {
        LongAdder counter = counters[number];
        for (int i = 0; i < nrTimes; i++) {
          counter.increment();
        }
      }

      @Override
      public void addToEach(int nrCounters, int nrTimes) {
        for (int i = 0; i < nrTimes; i++) {
          counters[i & (nrCounters - 1)].increment();
        }
      }

      @Override
      public void close() {}
    }

    @Override
    public long sum(int number) {
      return counters[number].sum();
    }

    @Override
    public TenantsFork.Work pairs() {
      LongAdder[] made = new LongAdder[BATCH];
      return nrTimes -> {
        for (int i = 0; i < nrTimes; i++) {
          made[i % BATCH] = new LongAdder();
        }
      };
    }

    @Override
    public Map<String, Double> bytes() {
      return Map.of(NATIVE, 0.0);
    }
  }

  private static final class Atomics implements Counters {
    private final AtomicLong[] counters;

    Atomics(int nrCounters) {
      counters = new AtomicLong[nrCounters];
      for (int i = 0; i < nrCounters; i++) {
        counters[i] = new AtomicLong();
      }
    }

    @Override
    public Adder enter() {
      return new OfAtomics();
    }

    private final class OfAtomics implements Adder {
      @Override
      public void addTo(int number, int nrTimes) {
        AtomicLong counter = counters[number];
        for (int i = 0; i < nrTimes; i++) {
          counter.getAndIncrement();
        }
      }

      @Override
      public void addToEach(int nrCounters, int nrTimes) {
        for (int i = 0; i < nrTimes; i++) {
          counters[i & (nrCounters - 1)].getAndIncrement();
        }
      }

      @Override
      public void close() {}
    }

    @Override
    public long sum(int number) {
      return counters[number].get();
    }

    @Override
    public TenantsFork.Work pairs() {
      AtomicLong[] made = new AtomicLong[BATCH];
      return nrTimes -> {
        for (int i = 0; i < nrTimes; i++) {
          made[i % BATCH] = new AtomicLong();
        }
      };
    }

    @Override
    public Map<String, Double> bytes() {
      return Map.of(NATIVE, 0.0);
    }
  }
}
