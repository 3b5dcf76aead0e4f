package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.Peer.Worker;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** One thread allocates, another one frees: time per object. */
final class PeersHandoff {
  static final int BATCH = 256;

  private static final int MIN_BATCHES = 2;
  private static final long ROUND_NANOS = 80_000_000;

  private final Peer peer;
  private final PeersPlan plan;
  private final int size;

  PeersHandoff(Peer peer, PeersPlan plan, int size) {
    this.peer = peer;
    this.plan = plan;
    this.size = size;
  }

  void run(PeerRounds rounds) throws InterruptedException {
    int nrBatches = MIN_BATCHES;
    while (rounds.next()) {
      long nanos = nanos(nrBatches);
      rounds.add(PeersFork.HANDOFF, nanos, (long) nrBatches * BATCH);
      nrBatches = rounds.nrObjects(nrBatches, nanos, ROUND_NANOS, MIN_BATCHES, plan.nrBatches());
    }
  }

  private long nanos(int nrBatches) throws InterruptedException {
    SpinQueue full = new SpinQueue();
    SpinQueue empty = new SpinQueue();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    Thread consumer =
        peer.thread(() -> {
          try (Worker worker = peer.worker(0)) {
            for (int i = 0; i < nrBatches; i++) {
              Object batch = full.take();
              worker.freeAll(batch);
              empty.put(batch);
            }
          } catch (Throwable t) {
            failure.set(t);
            full.close();
            empty.close();
          }
        });
    try (Worker worker = peer.worker(0)) {
      for (int i = 0; i < SpinQueue.CAPACITY; i++) {
        empty.put(worker.batch(BATCH));
      }
      consumer.start();
      long begin = System.nanoTime();
      for (int i = 0; i < nrBatches; i++) {
        Object batch = empty.take();
        worker.fill(batch, size);
        full.put(batch);
      }
      consumer.join();
      long nanos = System.nanoTime() - begin;
      if (failure.get() != null) {
        throw new IllegalStateException("consumer failed", failure.get());
      }
      return nanos;
    } catch (RuntimeException e) {
      full.close();
      throw failure.get() == null ? e : new IllegalStateException("consumer failed", failure.get());
    }
  }
}
