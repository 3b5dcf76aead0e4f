package io.memcg4j.leak;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Runs parts of a scan on some threads: the caller's and as many more as are needed. */
final class Workers {
  private Workers() {}

  /**
   * Returns when all are done.
   *
   * @param abort makes the others stop when one has failed
   * @throws CancellationException if a worker was cancelled
   */
  static void run(List<? extends Runnable> workers, Runnable abort) {
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (Runnable worker : workers.subList(1, workers.size())) {
      threads.add(
          Thread.ofPlatform()
              .daemon()
              .name("memcg4j-leak-scan")
              .start(() -> run(worker, abort, failure)));
    }
    run(workers.getFirst(), abort, failure);
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (true) {
        try {
          thread.join();
          break;
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    switch (failure.get()) {
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case null, default -> {}
    }
  }

  private static void run(
      Runnable worker, Runnable abort, AtomicReference<@Nullable Throwable> failure) {
    try {
      worker.run();
    } catch (RuntimeException | Error e) {
      // The others stop too: a slab that nobody finishes keeps them waiting.
      abort.run();
      failure.compareAndSet(null, e);
    }
  }
}
