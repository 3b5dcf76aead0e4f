package io.memcg4j.soak;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Threads that wait for room in a group that is too small for all of them, with time limits,
 * interrupts and cancelled requests, and one that makes room. All requests have the same size, so
 * room for one is room for whoever is first.
 */
final class Waits {
  private static final int NR_THREADS = 4;
  private static final long NR_BYTES = 16 << 10;
  private static final long MAX_BYTES = 12 * NR_BYTES;
  private static final long LOST_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final Subject subject;
  private final Failure failure;
  private final MemCgroup group;
  private final ObjCgroup handle;
  private final ConcurrentLinkedQueue<Long> held = new ConcurrentLinkedQueue<>();
  private final List<Thread> waiting = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicInteger nrWaiting = new AtomicInteger();
  private final AtomicLong nrGranted = new AtomicLong();
  private final SoakChecks.LostWakeup lost = new SoakChecks.LostWakeup(LOST_NANOS);

  Waits(Subject subject, Failure failure) {
    this.subject = subject;
    this.failure = failure;
    group = subject.root.create("waiting");
    group.setMax(MAX_BYTES);
    handle = ObjCgroup.of(group);
  }

  void start(SplittableRandom random) {
    for (int i = 0; i < NR_THREADS; i++) {
      SplittableRandom mine = random.split();
      Thread.Builder builder = i % 2 == 0 ? Thread.ofVirtual() : Thread.ofPlatform();
      Thread thread = builder.name("soak-waits-" + i).unstarted(() -> run(mine));
      waiting.add(thread);
      threads.add(thread);
    }
    SplittableRandom mine = random.split();
    threads.add(Thread.ofPlatform().name("soak-makes-room").unstarted(() -> makeRoom(mine)));
    threads.forEach(Thread::start);
  }

  private void run(SplittableRandom random) {
    while (!failure.isOver()) {
      try {
        Duration timeout = Duration.ofMillis(random.nextInt(20, 800));
        if (random.nextInt(3) == 0) {
          waitElsewhere(timeout, random);
        } else {
          waitHere(timeout);
        }
      } catch (Throwable e) {
        failure.set("waiting", e);
      }
    }
  }

  private void waitHere(Duration timeout) {
    nrWaiting.incrementAndGet();
    try (Scope _ = handle.enter()) {
      grantedOrNot(subject.kmalloc.waiting().allocateAwait(NR_BYTES, timeout));
    } catch (InterruptedException e) {
      subject.tally.survived(Injection.WAIT_INTERRUPTED);
    } catch (MemoryLimitException e) {
      refusedByOs(e);
    } finally {
      nrWaiting.decrementAndGet();
    }
  }

  private void grantedOrNot(long address) {
    Injection kind = address == Kmalloc.NULL ? Injection.WAIT_TIMED_OUT : Injection.WAIT;
    if (address != Kmalloc.NULL) {
      held.add(address);
      nrGranted.incrementAndGet();
    }
    subject.tally.injected(kind);
    subject.tally.survived(kind);
  }

  private void refusedByOs(MemoryLimitException e) {
    SoakChecks.require(
        e.limitedBy().equals(MemoryLimitException.OS), "refused while it waits: %s", e);
    subject.tally.injected(Injection.WAIT);
    subject.tally.refused(Injection.WAIT);
  }

  private void waitElsewhere(Duration timeout, SplittableRandom random) throws Exception {
    CompletableFuture<Long> promise;
    try (Scope _ = handle.enter()) {
      promise = subject.kmalloc.waiting().allocateAsync(NR_BYTES, timeout).toCompletableFuture();
    }
    if (random.nextInt(4) == 0) {
      Tenant.sleep(random.nextInt(30));
      if (promise.cancel(false)) {
        subject.tally.injected(Injection.WAIT_CANCELLED);
        subject.tally.survived(Injection.WAIT_CANCELLED);
        return;
      }
    }
    nrWaiting.incrementAndGet();
    try {
      grantedOrNot(promise.join());
    } catch (CompletionException e) {
      if (e.getCause() instanceof MemoryLimitException refused) {
        refusedByOs(refused);
      } else {
        throw e;
      }
    } finally {
      nrWaiting.decrementAndGet();
    }
  }

  private void makeRoom(SplittableRandom random) {
    while (!failure.isOver()) {
      Tenant.sleep(random.nextInt(random.nextInt(10) == 0 ? 400 : 15));
      for (int i = random.nextInt(4); i > 0; i--) {
        freeOne();
      }
      if (random.nextInt(20) == 0) {
        subject.tally.injected(Injection.WAIT_INTERRUPTED);
        waiting.get(random.nextInt(waiting.size())).interrupt();
      }
    }
  }

  private void freeOne() {
    Long address = held.poll();
    if (address != null) {
      subject.kmalloc.free(address);
    }
  }

  /** Often. */
  void look() {
    boolean hasRoom = group.usage() + NR_BYTES + MemCgroup.PAGE_SIZE <= group.max();
    lost.look(System.nanoTime(), nrWaiting.get(), hasRoom, nrGranted.get());
    SoakChecks.limit(group.path(), group.usage(), group.max(), 0);
  }

  /** Once it is over. */
  void end() throws InterruptedException {
    for (Thread thread : threads) {
      thread.join(TimeUnit.SECONDS.toMillis(20));
      SoakChecks.require(!thread.isAlive(), "thread is stuck: %s", thread);
    }
    // An interrupt that came when nobody waited was ended by the next wait, or by nothing.
    subject.tally.survived(
        Injection.WAIT_INTERRUPTED, subject.tally.nrOpen(Injection.WAIT_INTERRUPTED));
    while (!held.isEmpty()) {
      freeOne();
    }
    long end = System.nanoTime() + LOST_NANOS;
    group.drain();
    while (group.usage() > 0 && System.nanoTime() < end) {
      Tenant.sleep(10); // a cancelled request gives back what it was granted at that moment
      group.drain();
    }
    SoakChecks.usage(group.path(), group.usage(), 0, 0);
    SoakChecks.require(group.nrWaiting() == 0, "requests wait: %s", group.nrWaiting());
    group.remove();
  }
}
