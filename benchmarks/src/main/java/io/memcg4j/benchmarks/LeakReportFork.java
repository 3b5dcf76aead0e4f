package io.memcg4j.benchmarks;

import io.memcg4j.leak.HeapRoots;
import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** From nothing to the report: live objects, a Java heap, and some leaks among them. */
final class LeakReportFork {
  private static final double NANOS_PER_MS = 1e6;
  private static final double NANOS_PER_SECOND = 1e9;
  private static final int NR_LEAKS = 1000;
  private static final int OBJECT_BYTES = 64;
  private static final int WORDS_PER_THOUSAND = 250;

  private LeakReportFork() {}

  /** The second scan, which reads the heap twice; the first one only remembers contents. */
  static Map<String, Double> measure(String caseName, int nrWorkers) {
    String[] parts = caseName.split("/", -1);
    if (parts.length != 3) {
      throw new IllegalArgumentException("unknown case: name=" + caseName);
    }
    List<Object> live = liveHeap(ByteSize.parse(parts[1].substring("heap".length())));
    int nrObjects = Integer.parseInt(parts[2].substring("objects".length()));
    try (LeakGraph graph =
        new LeakGraph(new LeakGraph.Shape(nrObjects, OBJECT_BYTES, WORDS_PER_THOUSAND))) {
      long first = leak(graph);
      Kmemleak kmemleak =
          Kmemleak.builder(graph.kmalloc).minAge(Duration.ZERO).workers(nrWorkers).build();
      kmemleak.scan();
      LeakReport report = kmemleak.scan();
      long nanos = report.scanNanos();
      int nrBytes = report.toString().length();
      if (report.suspects().size() != NR_LEAKS || nrBytes == 0 || live.isEmpty()) {
        throw new IllegalStateException("wrong report: nrLeaks=" + report.suspects().size());
      }
      Map<String, Double> metrics = new LinkedHashMap<>();
      metrics.put(LeakFork.REPORT, nanos / NANOS_PER_SECOND);
      metrics.put(LeakFork.LEAKS, (double) report.suspects().size());
      HeapRoots roots = report.heapRoots();
      metrics.put(LeakFork.MARK, report.markNanos() / NANOS_PER_MS);
      metrics.put(LeakFork.DUMP, roots.dumpNanos() / NANOS_PER_MS);
      metrics.put(LeakFork.PARSE, roots.parseNanos() / NANOS_PER_MS);
      metrics.put(LeakFork.DUMP_BYTES, roots.dumpBytes() / (double) (1 << 20));
      free(graph, first);
      return metrics;
    }
  }

  /** Allocates a list of leaks, whose first is known by a number that is no address only. */
  private static long leak(LeakGraph graph) {
    try (Scope scope = graph.tenant.enter()) {
      Kmalloc.Bound bound = graph.kmalloc.bind(scope);
      long last = 0;
      for (int i = 0; i < NR_LEAKS; i++) {
        long object = bound.allocateZeroed(OBJECT_BYTES);
        Kmalloc.MEMORY.set(ValueLayout.JAVA_LONG, object, ~last);
        last = object;
      }
      return ~last;
    }
  }

  private static void free(LeakGraph graph, long first) {
    for (long object = ~first; object != 0; ) {
      long next = ~Kmalloc.MEMORY.get(ValueLayout.JAVA_LONG, object);
      graph.kmalloc.free(object);
      object = next;
    }
  }

  private record Node(Object left, Object right, long address) {}

  /** Small objects, a third each of the bytes: records with a long, strings, arrays of longs. */
  static List<Object> liveHeap(long nrBytes) {
    List<Object> live = new ArrayList<>();
    for (long made = 0, i = 0; made < nrBytes; i++) {
      live.add(new Node("key-" + i, new long[] {i, i, i, i}, i));
      made += 24 + 24 + 24 + 48 + 4;
    }
    return live;
  }
}
