package io.memcg4j.percpu;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;
import java.util.function.BooleanSupplier;

/** Runs the same task in many threads. */
final class Threads {
  private Threads() {}

  /** What a thread does; {@code thread} counts from 0. */
  interface Task {
    void run(int thread) throws Exception;
  }

  /** The two kinds of thread that every stress test runs with. */
  enum Kind {
    PLATFORM,
    VIRTUAL;

    ThreadFactory factory() {
      return switch (this) {
        case PLATFORM -> Thread.ofPlatform().daemon().factory();
        case VIRTUAL -> Thread.ofVirtual().factory();
      };
    }
  }

  /** Starts all at once and waits for all; rethrows the first failure. */
  static void run(Kind kind, int nrThreads, Task task) throws Exception {
    CyclicBarrier start = new CyclicBarrier(nrThreads);
    List<Future<?>> results = new ArrayList<>();
    try (ExecutorService executor = Executors.newThreadPerTaskExecutor(kind.factory())) {
      for (int i = 0; i < nrThreads; i++) {
        int thread = i;
        results.add(
            executor.submit(() -> {
              start.await();
              task.run(thread);
              return null;
            }));
      }
    }
    for (Future<?> result : results) {
      try {
        result.get();
      } catch (ExecutionException e) {
        throw new AssertionError("thread failed: " + e.getCause(), e.getCause());
      }
    }
  }

  /** Runs a task in a thread that has ended when this returns. */
  static void runAndEnd(Runnable task) throws InterruptedException {
    Thread thread = new Thread(task);
    thread.start();
    thread.join();
  }

  /** Waits for what another thread is about to do; a timeout of the test ends the wait. */
  static void await(BooleanSupplier condition) throws InterruptedException {
    while (!condition.getAsBoolean()) {
      if (Thread.interrupted()) {
        throw new InterruptedException("waited for another thread");
      }
      Thread.yield();
    }
  }
}
