package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.Peer.Worker;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Many virtual threads, each the worker of one of the tenants: time per thread, and what threads
 * take that do nothing.
 */
final class PeersThreads {
  private static final int NR_PAIRS = 8;
  private static final int SIZE = 256;

  private final Peer peer;
  private final PeersPlan plan;

  PeersThreads(Peer peer, PeersPlan plan) {
    this.peer = peer;
    this.plan = plan;
  }

  void run(PeerRounds rounds) throws InterruptedException {
    while (rounds.next()) {
      rounds.add(PeersFork.THREAD, nanos(this::work), plan.nrThreads());
      rounds.add(PeersFork.EMPTY_THREAD, nanos(thread -> 1), plan.nrThreads());
    }
  }

  private long work(int thread) {
    try (Worker worker = peer.worker(thread % Peer.NR_TENANTS)) {
      return worker.pairs(NR_PAIRS, SIZE);
    }
  }

  private long nanos(IntToLongFunction work) throws InterruptedException {
    int nrThreads = plan.nrThreads();
    long[] sinks = new long[nrThreads];
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    CountDownLatch left = new CountDownLatch(nrThreads);
    long begin = System.nanoTime();
    for (int i = 0; i < nrThreads; i++) {
      int thread = i;
      Thread.startVirtualThread(() -> {
        try {
          sinks[thread] = work.applyAsLong(thread);
        } catch (Throwable t) {
          failure.set(t);
        } finally {
          left.countDown();
        }
      });
    }
    left.await();
    long nanos = System.nanoTime() - begin;
    for (long sink : sinks) {
      if (sink == 0) {
        throw new IllegalStateException("a thread has not worked", failure.get());
      }
    }
    return nanos;
  }
}
