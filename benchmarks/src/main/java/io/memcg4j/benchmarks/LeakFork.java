package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.LockedMarking.Locking;
import io.memcg4j.leak.HeapRoots;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.ScanProgress;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/** One measurement of {@code bench leak}; runs in a process of its own. */
final class LeakFork {
  static final String MARK = "mark";
  static final String OBJECTS = "objects";
  static final String BYTES = "bytes";
  static final String SCAN = "scan";
  static final String P50 = "p50";
  static final String P99 = "p99";
  static final String P999 = "p99.9";
  static final String MAX = "max";
  static final String SCANS = "scans";
  static final String DUMP = "dump";
  static final String PARSE = "parse";
  static final String DUMP_BYTES = "dumpSize";
  static final String REPORT = "report";
  static final String LEAKS = "leaks";

  /** Rounds begin within this time after the first one; that one always runs. */
  static final long BUDGET_NANOS = 4_000_000_000L;

  private static final double NANOS_PER_MS = 1e6;
  private static final int WARMUP_SCANS = 5;
  private static final int HELD = 1 << 10;
  private static final int OPS_PER_ROUND = 1_000_000;
  private static final int MAX_COUNTED_NANOS = 1 << 20;
  private static final int WARMUP_ROUNDS = 5;
  private static final int MAX_LATENCY_ROUNDS = 50;

  /** Nothing is ever old: what no root reaches is looked into as well, in each scan. */
  private static final Duration NEVER_OLD = Duration.ofDays(1);

  /** However long they take: the first one warms up. */
  private static final int MIN_LOCKED_ROUNDS = 3;

  private LeakFork() {}

  /** Arguments: name, case, subject, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    String caseName = args[1];
    String subject = args[2];
    int nrRounds = Integer.parseInt(args[3]);
    String kind = caseName.substring(0, Math.max(0, caseName.indexOf('/')));
    return switch (kind) {
      case LeakBench.MARK -> mark(LeakGraph.Shape.parse(caseName), subject, nrRounds);
      case LeakBench.LATENCY ->
          latency(
              subject,
              Integer.parseInt(caseName.substring(caseName.indexOf("objects") + 7)),
              nrRounds);
      case LeakBench.REPORT ->
          LeakReportFork.measure(caseName, subject.equals(LeakBench.TWO_WORKERS) ? 2 : 1);
      case LeakBench.HEAP -> heap(ByteSize.parse(caseName.substring(kind.length() + 1)), nrRounds);
      default -> throw new IllegalArgumentException("unknown case: name=" + caseName);
    };
  }

  // ---- marking

  private static Map<String, Double> mark(LeakGraph.Shape shape, String subject, int nrRounds)
      throws InterruptedException {
    if (LeakBench.NATIVE.contains(subject)) {
      try {
        return NativeMarking.measure(subject, shape, nrRounds);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    try (LeakGraph graph = new LeakGraph(shape)) {
      return switch (subject) {
        case LeakBench.ONE_WORKER -> scans(graph, 1, nrRounds);
        case LeakBench.TWO_WORKERS -> scans(graph, 2, nrRounds);
        case LeakBench.PER_POINTER ->
            locked(graph, new LockedMarking(graph, Locking.PER_POINTER), nrRounds);
        case LeakBench.PER_BLOCK ->
            locked(graph, new LockedMarking(graph, Locking.PER_BLOCK), nrRounds);
        case LeakBench.NO_LOCK -> locked(graph, new LockedMarking(graph, Locking.NONE), nrRounds);
        default -> throw new IllegalArgumentException("unknown subject: name=" + subject);
      };
    }
  }

  /** Takes the time of the first step that marks. */
  private static final class MarkTime implements Consumer<ScanProgress> {
    private long startNanos;
    private long nanos;
    private long nrMarked;

    @Override
    public void accept(ScanProgress progress) {
      if (progress.pass() == 1 && progress.step() == ScanProgress.Step.MARK) {
        startNanos = System.nanoTime();
      } else if (progress.step() == ScanProgress.Step.COMPARE) {
        nanos = System.nanoTime() - startNanos;
        nrMarked = progress.nrScanned();
      }
    }
  }

  /**
   * Marking from the roots, as the scanners of C programs do it. What a scan does after that (the
   * objects are all too young to be reported, so it looks into the white ones too) is in the time
   * of the whole scan.
   */
  private static Map<String, Double> scans(LeakGraph graph, int nrWorkers, int nrRounds) {
    MarkTime time = new MarkTime();
    Kmemleak kmemleak =
        Kmemleak.builder(graph.kmalloc)
            .minAge(NEVER_OLD)
            .workers(nrWorkers)
            .withoutJavaHeap()
            .onProgress(time)
            .build();
    kmemleak.registerRoot(graph.roots.address(), graph.roots.byteSize(), "roots");
    int nrReachable = graph.nrReachable();
    long bestMark = Long.MAX_VALUE;
    long bestScan = Long.MAX_VALUE;
    Rounds rounds = new Rounds(WARMUP_SCANS + nrRounds);
    while (rounds.next()) {
      LeakReport report = kmemleak.scan();
      if (time.nrMarked != nrReachable + 1) { // and the range of the roots
        throw new IllegalStateException(
            "marked others: nrMarked=" + time.nrMarked + " nrReachable=" + nrReachable);
      }
      bestScan = Math.min(bestScan, report.scanNanos());
      bestMark = Math.min(bestMark, time.nanos);
    }
    Map<String, Double> metrics =
        rates(bestMark, nrReachable, (long) nrReachable * graph.shape.nrBytes());
    metrics.put(SCAN, bestScan / NANOS_PER_MS);
    return metrics;
  }

  private static Map<String, Double> locked(LeakGraph graph, LockedMarking marking, int nrRounds) {
    long best = Long.MAX_VALUE;
    int nrScanned = 0;
    Rounds rounds = new Rounds(2 + nrRounds, MIN_LOCKED_ROUNDS);
    while (rounds.next()) {
      long start = System.nanoTime();
      nrScanned = marking.mark();
      best = Math.min(best, System.nanoTime() - start);
    }
    return rates(best, nrScanned, (long) nrScanned * graph.shape.nrBytes());
  }

  private static Map<String, Double> rates(long nanos, long nrObjects, long nrBytes) {
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put(MARK, nanos / NANOS_PER_MS);
    metrics.put(OBJECTS, nrObjects * 1e3 / nanos);
    metrics.put(BYTES, (double) nrBytes / nanos);
    return metrics;
  }

  // ---- latency

  private static Map<String, Double> latency(String subject, int nrObjects, int nrRounds)
      throws InterruptedException {
    try (LeakGraph graph = new LeakGraph(new LeakGraph.Shape(nrObjects, 64, 250))) {
      Kmemleak kmemleak =
          Kmemleak.builder(graph.kmalloc).minAge(NEVER_OLD).withoutJavaHeap().build();
      kmemleak.registerRoot(graph.roots.address(), graph.roots.byteSize(), "roots");
      kmemleak.scan();
      AtomicBoolean isDone = new AtomicBoolean();
      AtomicLong nrScans = new AtomicLong();
      Runnable beside =
          switch (subject) {
            case LeakBench.SCANNING -> () -> scanUntil(isDone, kmemleak, nrScans);
            case LeakBench.READING -> () -> readUntil(isDone, graph);
            default -> () -> {};
          };
      Thread scanner = Thread.ofPlatform().start(beside);
      long[] counts;
      try {
        counts = allocate(graph, Math.min(nrRounds, MAX_LATENCY_ROUNDS));
      } finally {
        isDone.set(true);
        kmemleak.cancel();
        scanner.join();
      }
      Map<String, Double> metrics = new LinkedHashMap<>();
      long nrOps = (long) Math.min(nrRounds, MAX_LATENCY_ROUNDS) * OPS_PER_ROUND;
      metrics.put(P50, (double) percentile(counts, nrOps / 2));
      metrics.put(P99, (double) percentile(counts, nrOps - nrOps / 100));
      metrics.put(P999, (double) percentile(counts, nrOps - nrOps / 1000));
      metrics.put(MAX, (double) counts[MAX_COUNTED_NANOS + 1]);
      metrics.put(SCANS, (double) nrScans.get());
      return metrics;
    }
  }

  private static void scanUntil(AtomicBoolean isDone, Kmemleak kmemleak, AtomicLong nrScans) {
    try {
      while (!isDone.get()) {
        kmemleak.scan();
        nrScans.incrementAndGet();
      }
    } catch (CancellationException e) {
      // The measurement has ended.
    }
  }

  /** Reads all objects in the order of their addresses: what any other busy thread costs. */
  private static void readUntil(AtomicBoolean isDone, LeakGraph graph) {
    long sum = 0;
    while (!isDone.get()) {
      for (long object : graph.objects) {
        sum += Kmalloc.MEMORY.get(ValueLayout.JAVA_LONG, object);
      }
    }
    if (sum == 42) {
      System.err.println(sum); // so that the reads are not left out
    }
  }

  /** The nanoseconds that so many operations took at most; longer ones count as the bound. */
  private static int percentile(long[] counts, long nrOps) {
    int nanos = 0;
    for (long seen = counts[0]; seen < nrOps && nanos < MAX_COUNTED_NANOS; seen += counts[nanos]) {
      nanos++;
    }
    return nanos;
  }

  /**
   * How many allocations took so many nanoseconds, the clock's own included, and behind them the
   * longest; some objects are live meanwhile.
   */
  private static long[] allocate(LeakGraph graph, int nrRounds) {
    long[] counts = new long[MAX_COUNTED_NANOS + 2];
    long longest = 0;
    long[] held = new long[HELD];
    for (int round = -WARMUP_ROUNDS; round < nrRounds; round++) {
      // A scope per request, as a server has it.
      try (Scope scope = graph.tenant.enter()) {
        Kmalloc.Bound bound = graph.kmalloc.bind(scope);
        for (int i = 0; i < OPS_PER_ROUND; i++) {
          int at = i & (HELD - 1);
          if (held[at] != 0) {
            bound.free(held[at]);
          }
          long start = System.nanoTime();
          held[at] = bound.allocate(64);
          long nanos = System.nanoTime() - start;
          if (round >= 0) {
            counts[(int) Math.min(nanos, MAX_COUNTED_NANOS)]++;
            longest = Math.max(longest, nanos);
          }
        }
      }
    }
    for (long object : held) {
      graph.kmalloc.free(object);
    }
    counts[MAX_COUNTED_NANOS + 1] = longest;
    return counts;
  }

  // ---- Java heap

  private static Map<String, Double> heap(long nrBytes, int nrRounds) {
    List<Object> live = LeakReportFork.liveHeap(nrBytes);
    Kmalloc kmalloc = Kmalloc.create(MemCgroup.root());
    long object = kmalloc.allocate(64);
    Kmemleak kmemleak = Kmemleak.builder(kmalloc).minAge(NEVER_OLD).build();
    List<HeapRoots> rounds = new ArrayList<>();
    Rounds limit = new Rounds(nrRounds);
    rounds.add(kmemleak.scan().heapRoots());
    while (limit.next()) {
      rounds.add(kmemleak.scan().heapRoots());
    }
    if (live.isEmpty()) {
      throw new IllegalStateException("no heap");
    }
    kmalloc.free(object);
    kmalloc.close();
    List<HeapRoots> warm = rounds.subList(1, rounds.size());
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put(
        DUMP, warm.stream().mapToLong(HeapRoots::dumpNanos).min().orElseThrow() / NANOS_PER_MS);
    metrics.put(
        PARSE, warm.stream().mapToLong(HeapRoots::parseNanos).min().orElseThrow() / NANOS_PER_MS);
    metrics.put(DUMP_BYTES, rounds.getLast().dumpBytes() / (double) (1 << 20));
    return metrics;
  }
}
