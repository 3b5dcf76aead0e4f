package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** One measurement of {@code bench tree}; runs in a process of its own. */
final class TreeFork {
  static final String LOOKUP = "lookup";
  static final String WALK = "walk";
  static final String MISSED = "missed";
  static final String READ = "read";
  static final String WRITE = "write";
  static final String READ_CPU = "readCpu";
  static final String WRITE_CPU = "writeCpu";

  private static final long BASE = 1L << 40;

  /** From one area to the next. */
  static final long STRIDE = 1L << 16;

  private static final long NR_BYTES = 1L << 15;
  private static final int LOOKUP_BATCH = 1000;
  private static final int CHURN_BATCH = 10;

  private TreeFork() {}

  /** Arguments: name, case, subject, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    String[] parts = args[1].split("/", -1);
    if (parts.length != 3 || !List.of(LOOKUP, WALK, MISSED).contains(parts[0])) {
      throw new IllegalArgumentException("unknown case: name=" + args[1]);
    }
    int nrAreas = Integer.parseInt(parts[1].substring("areas".length()));
    int nrThreads = Integer.parseInt(parts[2].substring("threads".length()));
    RangeIndex index = RangeIndex.of(args[2]);
    for (int i = 0; i < nrAreas; i++) {
      index.insert(steady(i));
    }
    ContendedThreads threads = new ContendedThreads();
    boolean walk = parts[0].equals(WALK);
    List<Lookups> lookups = new ArrayList<>();
    for (int i = 0; i < nrThreads; i++) {
      if (walk) {
        threads.add(1, _ -> index.walk());
      } else {
        Lookups mine = new Lookups(index, nrAreas, new SplittableRandom(i));
        lookups.add(mine);
        threads.add(LOOKUP_BATCH, mine);
      }
    }
    SplittableRandom random = new SplittableRandom(-1);
    boolean[] there = new boolean[nrAreas];
    int writer = threads.add(CHURN_BATCH, nrTimes -> churn(index, there, nrTimes, random));
    ContendedThreads.Cost[] costs = threads.run(Integer.parseInt(args[3]));
    ContendedThreads.Cost[] readers = Arrays.copyOf(costs, writer);
    if (parts[0].equals(MISSED)) {
      long nrMissed = lookups.stream().mapToLong(each -> each.nrMissed).sum();
      return Map.of(MISSED, nrMissed * 1e6 / lookups.stream().mapToLong(each -> each.nr).sum());
    }
    lookups.forEach(Lookups::requireAllFound);
    int nrReads = walk ? nrAreas : 1;
    return Map.of(
        READ,
        ContendedThreads.median(ContendedThreads.Cost::wall, readers) / nrReads,
        READ_CPU,
        ContendedThreads.median(ContendedThreads.Cost::cpu, readers) / nrReads,
        WRITE,
        costs[writer].wall(),
        WRITE_CPU,
        costs[writer].cpu());
  }

  /** Areas that are there all the time; between two of them is one that comes and goes. */
  private static RangeIndex.Area steady(int number) {
    return new RangeIndex.Area(BASE + 2L * number * STRIDE, NR_BYTES);
  }

  /** Lookups inside areas that are there all the time: each must be found. */
  private static final class Lookups implements ContendedThreads.Work {
    private final RangeIndex index;
    private final int nrAreas;
    private final SplittableRandom random;
    private long nr;
    private long nrMissed;

    Lookups(RangeIndex index, int nrAreas, SplittableRandom random) {
      this.index = index;
      this.nrAreas = nrAreas;
      this.random = random;
    }

    @Override
    public long run(int nrTimes) {
      long sum = 0;
      for (int i = 0; i < nrTimes; i++) {
        long start = BASE + 2L * random.nextInt(nrAreas) * STRIDE;
        RangeIndex.Area area = index.find(start + (random.nextInt() & (NR_BYTES - 1)));
        if (area == null || area.start() != start) {
          nrMissed++;
        } else {
          sum += area.nrBytes();
        }
      }
      nr += nrTimes;
      return sum;
    }

    void requireAllFound() {
      if (nrMissed > 0) {
        throw new IllegalStateException("areas missed: nrMissed=" + nrMissed + " lookups=" + nr);
      }
    }
  }

  private static long churn(
      RangeIndex index, boolean[] there, int nrTimes, SplittableRandom random) {
    for (int i = 0; i < nrTimes; i++) {
      int number = random.nextInt(there.length);
      long start = BASE + (2L * number + 1) * STRIDE;
      if (there[number]) {
        index.remove(start);
      } else {
        index.insert(new RangeIndex.Area(start, NR_BYTES));
      }
      there[number] = !there[number];
    }
    return nrTimes;
  }
}
