package io.memcg4j.benchmarks;

import com.sun.management.OperatingSystemMXBean;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.slab.Kmalloc;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * Threads that allocate and free at the same time, all of them inside a scope all the time: more
 * than there are slots share a few for single operations. Rounds are stretches of time.
 */
final class GrowthThreads {
  static final List<String> SUBJECTS =
      List.of("platform-own", "platform-one", "virtual-own", "virtual-one");

  private static final int BATCH = 1_000;
  private static final int NR_FIRST = 4;
  private static final long FIRST_MILLIS = 2_000;
  private static final long ROUND_NANOS = 50_000_000;
  private static final long LOOK_MILLIS = 5;
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private final Kmalloc kmalloc;
  private final boolean virtual;
  private final LongAdder nrPairs = new LongAdder();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private volatile boolean stop;

  private GrowthThreads(Kmalloc kmalloc, boolean virtual) {
    this.kmalloc = kmalloc;
    this.virtual = virtual;
  }

  /**
   * Measures a kind of threads.
   *
   * @param subject {@code platform} or {@code virtual}, each in its {@code own} tenant or all in
   *     {@code one}
   */
  static void measure(int nrThreads, String subject, GrowthFork fork) throws InterruptedException {
    if (!SUBJECTS.contains(subject)) {
      throw new IllegalArgumentException("unknown subject: name=" + subject);
    }
    // With many threads the compiler gets little of the processors, and all of them are interpreted
    // for long: so a few go first, on slots of which there are too few for them too.
    run(CpuSlots.create(1, 2), NR_FIRST, subject, GrowthThreads::sleep);
    run(CpuSlots.create(), nrThreads, subject, workers -> workers.count(fork));
  }

  /** What is done while the threads run. */
  private interface Meanwhile {
    void run(GrowthThreads workers) throws InterruptedException;
  }

  private static void run(CpuSlots slots, int nrThreads, String subject, Meanwhile meanwhile)
      throws InterruptedException {
    MemCgroup root = MemCgroup.root(slots);
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      List<ObjCgroup> tenants = new ArrayList<>();
      for (int i = 0; i < nrThreads; i++) {
        tenants.add(
            i > 0 && subject.endsWith("one")
                ? tenants.getFirst()
                : ObjCgroup.of(KmallocCase.userGroup(root, "tenant" + i + "-")));
      }
      new GrowthThreads(kmalloc, subject.startsWith("virtual")).run(tenants, meanwhile);
    }
  }

  private void sleep() throws InterruptedException {
    Thread.sleep(FIRST_MILLIS);
  }

  private void run(List<ObjCgroup> tenants, Meanwhile meanwhile) throws InterruptedException {
    CountDownLatch inScope = new CountDownLatch(tenants.size());
    List<Thread> threads = new ArrayList<>();
    for (ObjCgroup tenant : tenants) {
      Thread.Builder builder = virtual ? Thread.ofVirtual() : Thread.ofPlatform();
      threads.add(builder.start(() -> work(tenant, inScope)));
    }
    inScope.await();
    meanwhile.run(this);
    stop = true;
    for (Thread thread : threads) {
      thread.join();
    }
    @Nullable Throwable thrown = failure.get();
    if (thrown != null) {
      throw new IllegalStateException("a thread failed: cause=" + thrown, thrown);
    }
  }

  private void count(GrowthFork fork) throws InterruptedException {
    PeerRounds rounds = fork.rounds(Integer.MAX_VALUE);
    while (rounds.next() && failure.get() == null) {
      long pairs = nrPairs.sum();
      long cpu = SYSTEM.getProcessCpuTime();
      long start = System.nanoTime();
      long nanos;
      do {
        Thread.sleep(LOOK_MILLIS);
        nanos = System.nanoTime() - start;
      } while ((nanos < ROUND_NANOS || nrPairs.sum() == pairs) && failure.get() == null);
      long nr = Math.max(1, nrPairs.sum() - pairs);
      rounds.add(GrowthFork.THROUGHPUT, nanos, nr);
      rounds.add(GrowthFork.CPU, SYSTEM.getProcessCpuTime() - cpu, nr);
    }
    Map<String, Double> nanos = rounds.results();
    fork.put(GrowthFork.CPU, nanos.getOrDefault(GrowthFork.CPU, 0.0));
    fork.put(GrowthFork.THROUGHPUT, 1e3 / nanos.getOrDefault(GrowthFork.THROUGHPUT, 0.0));
  }

  private void work(ObjCgroup tenant, CountDownLatch inScope) {
    long[] addresses = new long[BATCH];
    try (Scope scope = tenant.enter()) {
      KmallocLoop loop = new KmallocLoop.Bound(kmalloc.bind(scope));
      inScope.countDown();
      // Virtual threads that yield go round on their carriers: one not begun may then never begin.
      inScope.await();
      do {
        loop.allocateAll(addresses);
        loop.freeAll(addresses);
        nrPairs.add(BATCH);
        if (virtual) {
          Thread.yield(); // else the first ones never leave their carriers
        }
      } while (!stop && failure.get() == null);
      LoopTimer.use(addresses);
    } catch (RuntimeException | Error | InterruptedException e) {
      failure.compareAndSet(null, e);
      inScope.countDown();
    }
  }
}
