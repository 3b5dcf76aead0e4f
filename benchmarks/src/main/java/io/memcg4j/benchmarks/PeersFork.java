package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.Peer.Limited;
import io.memcg4j.benchmarks.Peer.Worker;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * The cases of one kind for one subject of {@code bench peers}; runs in a process of its own. What
 * it measures is named {@code CASE:METRIC}.
 */
final class PeersFork {
  static final String PAIR = "pair";
  static final String ALLOC = "alloc";
  static final String FREE = "free";
  static final String WRITE = "write";
  static final String REPLACE = "replace";
  static final String HANDOFF = "handoff";
  static final String EVENT = "event";
  static final String THREAD = "thread";
  static final String EMPTY_THREAD = "emptyThread";
  static final String REFUSAL = "refusal";
  static final String NULL_REFUSAL = "nullRefusal";
  static final String MEMORY = "memory";
  static final String HEAP = "heap";

  /** Of sizes at random, as many as C has. */
  static final int NR_CHURNED = 100_000;

  static final int WINDOW = 10_000;
  static final long SEED = 42;

  private static final int MAX_PAIRS = 500_000;
  private static final long PAIRS_NANOS = 2_000_000;
  private static final int NR_TRIED = 100;
  private static final long MAX_HELD_BYTES = 256L << 20;
  private static final long LIMIT_BYTES = 4L << 20;
  private static final int LIMIT_PERCENT = 90;
  private static final int NR_REFUSALS = 100;

  private final Peer peer;
  private final PeersPlan plan;
  private final PeerRounds rounds;

  private PeersFork(Peer peer, PeersPlan plan, PeerRounds rounds) {
    this.peer = peer;
    this.plan = plan;
    this.rounds = rounds;
  }

  /**
   * Arguments: name, cases of one kind with commas between, subject, rounds, plan. Each case has a
   * peer of its own, so that none finds what another has left; the compiled code they share.
   */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    PeerSubject subject = PeerSubject.of(args[2]);
    PeersPlan plan = PeersPlan.valueOf(args[4]);
    int maxRounds = Integer.parseInt(args[3]);
    Map<String, Double> metrics = new LinkedHashMap<>();
    for (String caseName : args[1].split(",", -1)) {
      try (Peer peer = subject.maker().get()) {
        boolean first = metrics.isEmpty();
        FutureTask<Map<String, Double>> work =
            new FutureTask<>(() -> {
              PeerRounds rounds = new PeerRounds(plan, first, maxRounds, peer.isCollected());
              return new PeersFork(peer, plan, rounds).measure(caseName);
            });
        Thread thread = peer.thread(work);
        thread.start();
        work.get().forEach((key, value) -> metrics.put(caseName + ":" + key, value));
        thread.join();
      } catch (ExecutionException e) {
        throw new IllegalStateException(
            "cannot measure: case=" + caseName + " subject=" + subject.name(), e.getCause());
      }
    }
    return metrics;
  }

  private Map<String, Double> measure(String caseName) throws InterruptedException {
    String variant = PeerCase.variant(caseName);
    return switch (PeerCase.of(caseName)) {
      case PAIRS -> pairs(Integer.parseInt(variant));
      case HELD -> held(Integer.parseInt(variant));
      case RANDOM -> random();
      case HANDOFF -> {
        new PeersHandoff(peer, plan, Integer.parseInt(variant)).run(rounds);
        yield rounds.results();
      }
      case REPLAY -> replay(variant);
      case VTHREADS -> {
        new PeersThreads(peer, plan).run(rounds);
        yield rounds.results();
      }
      case LIMIT -> limit(Integer.parseInt(variant));
      case MEMORY -> {
        int size = Integer.parseInt(variant);
        yield Map.of(MEMORY, ResidentMemory.perPayloadByte(peer, nrHeld(size), size));
      }
    };
  }

  private Map<String, Double> pairs(int size) {
    try (Worker worker = peer.worker(0)) {
      int count = NR_TRIED;
      long sink = 0;
      while (rounds.next()) {
        long begin = System.nanoTime();
        sink += worker.pairs(count, size);
        long nanos = System.nanoTime() - begin;
        rounds.add(PAIR, nanos, count);
        count = rounds.nrObjects(count, nanos, PAIRS_NANOS, NR_TRIED, MAX_PAIRS);
      }
      Map<String, Double> results = rounds.results();
      long before = LoopTimer.heapBytes();
      sink += worker.pairs(count, size);
      results.put(HEAP, (double) (LoopTimer.heapBytes() - before) / count);
      requireWork(sink);
      return results;
    }
  }

  private static void requireWork(long sink) {
    if (sink == 0) {
      throw new IllegalStateException("nothing was allocated");
    }
  }

  private int nrHeld(int size) {
    int most = Math.min(plan.nrObjects(), peer.maxObjects());
    return (int) Math.min(most, MAX_HELD_BYTES / size);
  }

  private Map<String, Double> held(int size) {
    int nrObjects = nrHeld(size);
    try (Worker worker = peer.worker(0)) {
      Object batch = worker.batch(nrObjects);
      while (rounds.next()) {
        long begin = System.nanoTime();
        worker.fill(batch, size);
        long filled = System.nanoTime();
        worker.touch(batch);
        long touched = System.nanoTime();
        worker.freeAll(batch);
        long end = System.nanoTime();
        rounds.add(ALLOC, filled - begin, nrObjects);
        rounds.add(WRITE, touched - filled, nrObjects);
        if (!peer.isCollected()) {
          rounds.add(FREE, end - touched, nrObjects);
        }
      }
      Map<String, Double> results = rounds.results();
      long before = LoopTimer.heapBytes();
      worker.fill(batch, size);
      worker.freeAll(batch);
      results.put(HEAP, (double) (LoopTimer.heapBytes() - before) / nrObjects);
      return results;
    }
  }

  private Map<String, Double> random() {
    int window = Math.min(WINDOW, Math.min(plan.nrObjects(), peer.maxObjects()));
    int nrObjects = Math.min(NR_CHURNED, Math.min(plan.nrObjects(), peer.maxObjects()));
    int[] places = new int[nrObjects];
    int[] sizes = new int[nrObjects];
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < nrObjects; i++) {
      places[i] = random.nextInt(window);
      sizes[i] = randomSize(random);
    }
    try (Worker worker = peer.worker(0)) {
      Object batch = worker.batch(window);
      while (rounds.next()) {
        long begin = System.nanoTime();
        worker.churn(batch, places, sizes);
        rounds.add(REPLACE, System.nanoTime() - begin, nrObjects);
      }
      worker.freeAll(batch);
    }
    return rounds.results();
  }

  /** Any power of two up to 4 KiB is passed as often as any other: small ones are most. */
  private static int randomSize(SplittableRandom random) {
    int bound = 16 << random.nextInt(9);
    return 1 + random.nextInt(bound);
  }

  private Map<String, Double> replay(String name) {
    Trace trace = trace(name);
    try (Worker worker = peer.worker(0)) {
      Object batch = worker.batch(trace.nrIds());
      while (rounds.next()) {
        long begin = System.nanoTime();
        worker.replay(batch, trace);
        rounds.add(EVENT, System.nanoTime() - begin, trace.nrEvents());
        worker.freeAll(batch);
      }
    }
    return rounds.results();
  }

  static Trace trace(String name) {
    try {
      return TraceParser.parse(TraceFiles.find(name));
    } catch (TraceException e) {
      throw new IllegalStateException("no trace: name=" + name, e);
    }
  }

  private Map<String, Double> limit(int size) {
    try (Limited limited = peer.limited(LIMIT_BYTES)) {
      limited.fillTo(LIMIT_PERCENT, size);
      int nrPairs = Math.min(plan.nrObjects(), MAX_PAIRS);
      while (rounds.next()) {
        long begin = System.nanoTime();
        long sink = limited.pairs(nrPairs, size);
        long middle = System.nanoTime();
        int nrRefused = limited.refusals(NR_REFUSALS, LIMIT_BYTES);
        long thrown = System.nanoTime();
        int nrNulls = limited.nullRefusals(NR_REFUSALS, LIMIT_BYTES);
        long end = System.nanoTime();
        requireWork(sink);
        if (nrRefused != NR_REFUSALS || (nrNulls != 0 && nrNulls != NR_REFUSALS)) {
          throw new IllegalStateException(
              "not refused: count=" + NR_REFUSALS + " thrown=" + nrRefused + " null=" + nrNulls);
        }
        rounds.add(PAIR, middle - begin, nrPairs);
        rounds.add(REFUSAL, thrown - middle, NR_REFUSALS);
        if (nrNulls != 0) {
          rounds.add(NULL_REFUSAL, end - thrown, NR_REFUSALS);
        }
      }
    }
    return rounds.results();
  }
}
