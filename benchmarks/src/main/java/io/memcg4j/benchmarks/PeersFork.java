package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.Peer.Worker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** One measurement of {@code bench peers}; runs in a process of its own. */
final class PeersFork {
  static final String PAIR = "pair";
  static final String ALLOC = "alloc";
  static final String FREE = "free";
  static final String HANDOFF = "handoff";
  static final String MEMORY = "memory";

  private static final int NR_PAIRS = 100_000;
  private static final int NR_HELD = 1_000_000;
  private static final long MAX_HELD_BYTES = 512L << 20;
  private static final int BATCH = 256;
  private static final int NR_BATCHES = 2_000;
  private static final int NR_IN_FLIGHT = 16;
  private static final long WARMUP_NANOS = 2_000_000_000L;
  private static final int MIN_WARMUP_ROUNDS = 3;

  /** A heap that is resident from the start, so that what it grows by is nobody's memory. */
  static final List<String> MEMORY_OPTIONS =
      List.of("-Xms1g", "-Xmx1g", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC");

  private PeersFork() {}

  /** Arguments: name, {@code KIND/SIZE}, subject, rounds. */
  static Map<String, Double> measure(String[] args) throws InterruptedException {
    int slash = args[1].indexOf('/');
    int size = Integer.parseInt(args[1].substring(slash + 1));
    int nrRounds = Integer.parseInt(args[3]);
    Peer peer = Peer.of(args[2]);
    return switch (args[1].substring(0, slash)) {
      case PeersBench.PAIRS -> pairs(peer, size, nrRounds);
      case PeersBench.HELD -> held(peer, size, nrRounds);
      case PeersBench.HANDOFF -> handoff(peer, size, nrRounds);
      case PeersBench.MEMORY -> memory(peer, size);
      default -> throw new IllegalArgumentException("unknown case: name=" + args[1]);
    };
  }

  private static Map<String, Double> pairs(Peer peer, int size, int nrRounds) {
    try (Worker worker = peer.worker()) {
      long sink = 0;
      double best = Double.MAX_VALUE;
      long start = System.nanoTime();
      for (int round = 0;
          System.nanoTime() - start < WARMUP_NANOS || round < MIN_WARMUP_ROUNDS;
          round++) {
        sink += worker.pairs(NR_PAIRS, size);
      }
      for (int round = 0; round < nrRounds; round++) {
        long begin = System.nanoTime();
        sink += worker.pairs(NR_PAIRS, size);
        best = Math.min(best, (double) (System.nanoTime() - begin) / NR_PAIRS);
      }
      requireWork(sink);
      return Map.of(PAIR, best);
    }
  }

  private static void requireWork(long sink) {
    if (sink == 0) {
      throw new IllegalStateException("nothing was allocated");
    }
  }

  private static int nrHeld(int size) {
    return (int) Math.min(NR_HELD, MAX_HELD_BYTES / size);
  }

  private static Map<String, Double> held(Peer peer, int size, int nrRounds) {
    int nrObjects = nrHeld(size);
    try (Worker worker = peer.worker()) {
      Object batch = worker.batch(nrObjects);
      long bestAlloc = Long.MAX_VALUE;
      long bestFree = Long.MAX_VALUE;
      long start = System.nanoTime();
      for (int round = -1; round < nrRounds; ) {
        long begin = System.nanoTime();
        worker.fill(batch, size);
        long middle = System.nanoTime();
        worker.free(batch);
        long end = System.nanoTime();
        if (round >= 0) {
          bestAlloc = Math.min(bestAlloc, middle - begin);
          bestFree = Math.min(bestFree, end - middle);
        }
        round += round >= 0 || end - start > WARMUP_NANOS ? 1 : 0;
      }
      Map<String, Double> metrics = new LinkedHashMap<>();
      metrics.put(ALLOC, (double) bestAlloc / nrObjects);
      metrics.put(FREE, (double) bestFree / nrObjects);
      return metrics;
    }
  }

  /** One thread allocates, another one frees: time per object. */
  private static Map<String, Double> handoff(Peer peer, int size, int nrRounds)
      throws InterruptedException {
    double best = Double.MAX_VALUE;
    for (int round = -2; round < Math.max(3, nrRounds / 3); round++) {
      double nanos = handoffOnce(peer, size);
      best = round < 0 ? best : Math.min(best, nanos);
    }
    return Map.of(HANDOFF, best);
  }

  private static double handoffOnce(Peer peer, int size) throws InterruptedException {
    SpinQueue full = new SpinQueue();
    SpinQueue empty = new SpinQueue();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    Thread consumer =
        Thread.ofPlatform()
            .unstarted(() -> {
              try (Worker worker = peer.worker()) {
                for (int i = 0; i < NR_BATCHES; i++) {
                  Object batch = full.take();
                  worker.free(batch);
                  empty.put(batch);
                }
              } catch (Throwable t) {
                failure.set(t);
                full.close();
                empty.close();
              }
            });
    try (Worker worker = peer.worker()) {
      for (int i = 0; i < NR_IN_FLIGHT; i++) {
        empty.put(worker.batch(BATCH));
      }
      consumer.start();
      long begin = System.nanoTime();
      for (int i = 0; i < NR_BATCHES; i++) {
        Object batch = empty.take();
        worker.fill(batch, size);
        full.put(batch);
      }
      consumer.join();
      long nanos = System.nanoTime() - begin;
      if (failure.get() != null) {
        throw new IllegalStateException("consumer failed", failure.get());
      }
      return (double) nanos / ((long) NR_BATCHES * BATCH);
    } catch (RuntimeException e) {
      full.close();
      throw failure.get() == null ? e : new IllegalStateException("consumer failed", failure.get());
    }
  }

  /** Resident memory that a million objects take, by payload byte, the array of them left out. */
  private static Map<String, Double> memory(Peer peer, int size) {
    int nrObjects = nrHeld(size);
    try (Worker worker = peer.worker()) {
      Object warm = worker.batch(1000);
      worker.fill(warm, size);
      worker.touch(warm);
      Object batch = worker.batch(nrObjects);
      long before = residentBytes();
      worker.fill(batch, size);
      worker.touch(batch);
      long after = residentBytes();
      worker.free(batch);
      worker.free(warm);
      return Map.of(MEMORY, (double) (after - before) / ((long) nrObjects * size));
    }
  }

  /**
   * What is resident beside the Java heap, which is resident as a whole from the start ({@link
   * #MEMORY_OPTIONS}), and what is alive on it.
   */
  private static long residentBytes() {
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    Runtime runtime = Runtime.getRuntime();
    return residentOfProcess() + runtime.totalMemory() - runtime.freeMemory();
  }

  private static long residentOfProcess() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith("VmRSS:")) {
          return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw new IllegalStateException("no VmRSS in /proc/self/status");
  }
}
