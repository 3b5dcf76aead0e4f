package io.memcg4j.leak;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs parts of a scan on some threads: the caller's and as many more as are needed, which are
 * there from the beginning, since to start one takes as long as to mark thousands of objects.
 */
final class Workers implements AutoCloseable {
  private final @Nullable ThreadPoolExecutor others;

  Workers(int nrWorkers) {
    others = nrWorkers == 1 ? null : threads(nrWorkers - 1);
  }

  private static ThreadPoolExecutor threads(int nrThreads) {
    ThreadPoolExecutor threads =
        new ThreadPoolExecutor(
            nrThreads,
            nrThreads,
            0,
            TimeUnit.NANOSECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().daemon().name("memcg4j-leak-scan").factory());
    try {
      threads.prestartAllCoreThreads();
    } catch (OutOfMemoryError e) { // the limit of threads: none of ours may stay
      threads.shutdownNow();
      throw e;
    }
    return threads;
  }

  /**
   * Returns when all are done, however it ends.
   *
   * @param parts as many as there are workers, at most
   * @param abort makes the others stop when one has failed
   * @throws CancellationException if a worker was cancelled
   */
  void run(List<? extends Runnable> parts, Runnable abort) {
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    List<Future<?>> rest = new ArrayList<>(parts.size()); // no room is asked for later
    run(() -> submit(parts, abort, failure, rest), abort, failure);
    run(parts.getFirst(), abort, failure);
    rest.forEach(Workers::await);
    switch (failure.get()) {
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case null, default -> {}
    }
  }

  private void submit(
      List<? extends Runnable> parts,
      Runnable abort,
      AtomicReference<@Nullable Throwable> failure,
      List<Future<?>> submitted) {
    if (others != null) {
      for (Runnable part : parts.subList(1, parts.size())) {
        submitted.add(others.submit(() -> run(part, abort, failure)));
      }
    }
  }

  private static void await(Future<?> part) {
    boolean interrupted = false;
    while (true) {
      try {
        part.get();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      } catch (ExecutionException e) {
        throw new AssertionError("a part tells of its failure itself", e);
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void run(
      Runnable part, Runnable abort, AtomicReference<@Nullable Throwable> failure) {
    try {
      part.run();
    } catch (RuntimeException | Error e) {
      // The others stop too: a slab that nobody finishes keeps them waiting.
      abort.run();
      failure.compareAndSet(null, e);
    }
  }

  @Override
  public void close() {
    if (others != null) {
      others.close();
    }
  }
}
