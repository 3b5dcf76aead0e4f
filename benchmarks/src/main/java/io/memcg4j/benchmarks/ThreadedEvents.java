package io.memcg4j.benchmarks;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs a trace with every recorded thread on a thread of its own. The events keep their recorded
 * order: a baton goes from run to run, and each thread stays inside one scope of the tenant's group
 * while the others have it. So objects are freed on other threads than they were allocated on, into
 * slots that are busy.
 */
final class ThreadedEvents {
  private final Kmalloc kmalloc;
  private final ObjCgroup tenant;
  private final Trace trace;
  private final CheckedEvents events;
  private final Semaphore[] batons; // per thread; releasing one also publishes the tables of events
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

  ThreadedEvents(Kmalloc kmalloc, ObjCgroup tenant, Trace trace, CheckedEvents events) {
    this.kmalloc = kmalloc;
    this.tenant = tenant;
    this.trace = trace;
    this.events = events;
    this.batons = new Semaphore[trace.nrThreads()];
    for (int i = 0; i < batons.length; i++) {
      batons[i] = new Semaphore(0);
    }
  }

  /** Runs all events and returns when every thread has ended. */
  void run() {
    if (trace.nrRuns() == 0) {
      return;
    }
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < batons.length; i++) {
      int number = i;
      threads.add(Thread.ofPlatform().name("replay-" + i).start(() -> runThread(number)));
    }
    batons[trace.runThreads()[0]].release();
    for (Thread thread : threads) {
      joinUninterruptibly(thread);
    }
    @Nullable Throwable thrown = failure.get();
    if (thrown != null) {
      throw new IllegalStateException(String.valueOf(thrown.getMessage()), thrown);
    }
  }

  private void runThread(int number) {
    try (Scope scope = tenant.enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      for (int run = 0; run < trace.nrRuns(); run++) {
        if (trace.runThreads()[run] != number) {
          continue;
        }
        batons[number].acquireUninterruptibly();
        if (failure.get() == null) {
          events.run(bound, trace.runStarts()[run], trace.runEnd(run));
        }
        passOn(run);
      }
    } catch (RuntimeException | Error e) {
      failure.compareAndSet(null, e);
      for (Semaphore baton : batons) { // all go on, see the failure and end
        baton.release(trace.nrRuns());
      }
    }
  }

  private void passOn(int run) {
    if (run + 1 < trace.nrRuns()) {
      batons[trace.runThreads()[run + 1]].release();
    }
  }

  private static void joinUninterruptibly(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
