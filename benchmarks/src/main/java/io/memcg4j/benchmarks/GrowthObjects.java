package io.memcg4j.benchmarks;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.SplittableRandom;

/** Objects of 64 bytes that are live, a quarter of their words pointers to others of them. */
final class GrowthObjects {
  /** With the address of each in a Java array, and what a scan needs. */
  private static final long BYTES_PER_OBJECT = 110;

  /** From here on a scan takes long, and one is as good as another. */
  private static final int MANY = 5_000_000;

  private static final int NR_TIMES = 20_000;

  /** Nothing is ever old: what no root reaches is looked into as well. */
  private static final Duration NEVER_OLD = Duration.ofDays(1);

  private GrowthObjects() {}

  /** Bytes that a case needs. */
  static long bytesFor(String caseName) {
    return GrowthAxis.number(caseName) * BYTES_PER_OBJECT;
  }

  static void measure(int nrObjects, GrowthFork fork) {
    try (LeakGraph graph = new LeakGraph(new LeakGraph.Shape(nrObjects, KmallocLoop.SIZE, 250))) {
      try (Scope scope = graph.tenant.enter()) {
        Kmalloc.Bound bound = graph.kmalloc.bind(scope);
        fork.time(GrowthFork.PAIR, NR_TIMES, nrTimes -> pairs(bound, nrTimes));
        SplittableRandom random = new SplittableRandom(1);
        fork.time(GrowthFork.ARRAY, NR_TIMES, nrTimes -> read(graph.objects, nrTimes, random));
        fork.time(
            GrowthFork.REPLACE,
            NR_TIMES,
            nrTimes -> replace(bound, graph.objects, nrTimes, random));
      }
      scan(graph, fork); // last: an allocator that was scanned keeps ages from then on
    }
  }

  private static void scan(LeakGraph graph, GrowthFork fork) {
    int nrObjects = graph.shape.nrObjects();
    Kmemleak kmemleak =
        Kmemleak.builder(graph.kmalloc).minAge(NEVER_OLD).workers(1).withoutJavaHeap().build();
    kmemleak.registerRoot(graph.roots.address(), graph.roots.byteSize(), "roots");
    PeerRounds rounds = fork.rounds(nrObjects < MANY ? Integer.MAX_VALUE : 1);
    while (rounds.next()) {
      LeakReport report = kmemleak.scan();
      if (report.nrScanned() < nrObjects) {
        throw new IllegalStateException("objects missed: nrScanned=" + report.nrScanned());
      }
      rounds.add(GrowthFork.SCAN, report.scanNanos(), nrObjects);
    }
    fork.put(rounds.results());
  }

  private static long pairs(Kmalloc.Bound bound, int nrTimes) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      long address = bound.allocate(KmallocLoop.SIZE);
      sum += address;
      bound.free(address);
    }
    return sum;
  }

  private static long read(long[] objects, int nrTimes, SplittableRandom random) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      sum += objects[random.nextInt(objects.length)];
    }
    return sum;
  }

  private static long replace(
      Kmalloc.Bound bound, long[] objects, int nrTimes, SplittableRandom random) {
    long sum = 0;
    for (int i = 0; i < nrTimes; i++) {
      int at = random.nextInt(objects.length);
      bound.free(objects[at]);
      objects[at] = bound.allocate(KmallocLoop.SIZE);
      sum += objects[at];
    }
    return sum;
  }
}
