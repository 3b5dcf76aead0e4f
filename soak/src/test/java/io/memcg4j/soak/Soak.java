package io.memcg4j.soak;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.ArenaInfo;
import io.memcg4j.slab.KmemCache;
import io.memcg4j.slab.SlabInfo;
import io.memcg4j.slab.SlabStat;
import io.memcg4j.slab.VmallocInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Runs everything at once for a time, and looks once a second whether all is as it must be.
 *
 * <p>Workers do random steps; each second they stop between two steps, and what every group uses is
 * compared with the model of what was allocated: to the byte where nothing waits for readers, no
 * arena is open, and no group was removed below. Limits are looked at all the time, without a stop.
 */
final class Soak {
  /** What a test does to show that it is noticed. */
  interface Sabotage {
    void at(Soak soak, int turn);
  }

  private static final int NR_PLATFORM = 3;
  private static final int NR_VIRTUAL = 3;
  private static final int LOOKS_PER_SECOND = 20;
  private static final int MOST_SECONDS_OF_A_STEP = 30;
  private static final int SECONDS_TO_SETTLE = 5;
  private static final int SHRINKS_EVERY = 5;
  private static final int PRINTS_EVERY = 10;
  private static final int BLOCKS_TO_CHECK = 200;

  /** Those of the root, of who waits and of what is planted. */
  private static final int NR_OTHER_HANDLES = 3;

  /** Longer than this, and every kind of injection must have happened. */
  private static final int SECONDS_FOR_ALL = 60;

  final Subject subject = new Subject();
  final Failure failure = new Failure();
  private final long seed;
  private final int nrSeconds;
  private final Sabotage sabotage;
  private final SplittableRandom random;
  private final List<Worker> workers = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicLong nrOperations = new AtomicLong();
  private final List<Long> resident = new ArrayList<>();
  private int nrExact;
  private int nrLooksAgain;
  private double nextPrint = PRINTS_EVERY;

  /** Of removed groups of which nothing is left. */
  private long nrEmptyHandles;

  /** As of the last look. */
  private long waitingBytes;

  Soak(long seed, int nrSeconds, Sabotage sabotage) {
    this.seed = seed;
    this.nrSeconds = nrSeconds;
    this.sabotage = sabotage;
    random = new SplittableRandom(seed);
  }

  /** What workers have done so far. */
  long nrOperations() {
    return nrOperations.get();
  }

  /**
   * Runs it.
   *
   * @throws AssertionError if anything is wrong: with the seed, the second, and what was done last
   */
  void run() throws Exception {
    System.err.printf(Locale.ROOT, "soak: seed=%d seconds=%d%n", seed, nrSeconds);
    Scans scans = new Scans(subject, failure, random);
    Waits waits = new Waits(subject, failure);
    Loaders loaders = new Loaders(subject);
    Faults faults = new Faults(subject, random.split());
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      startWorkers(pool);
      waits.start(random);
      scans.start();
      for (int turn = 1; failure.second() < nrSeconds && !failure.isOver(); turn++) {
        try {
          faults.turn();
          useGuards(turn);
          loaders.useAndDrop();
          loaders.look();
          lookForASecond(waits);
          sabotage.at(this, turn);
          look(turn);
          if (failure.second() >= nextPrint) {
            print(scans);
            nextPrint += PRINTS_EVERY;
          }
        } catch (Exception | AssertionError e) {
          failure.set("looking", e);
        }
      }
      failure.stop();
      faults.end();
      for (Thread thread : threads) {
        thread.join(TimeUnit.SECONDS.toMillis(MOST_SECONDS_OF_A_STEP));
        SoakChecks.require(!thread.isAlive(), "thread is stuck: %s", thread);
      }
      failure.rethrow(seed, lastSteps());
      waits.end();
      subject.kmalloc.guarded().off();
      scans.end();
      loaders.end();
    } catch (SoakViolation e) {
      failure.set("ending", e);
    } finally {
      failure.stop();
    }
    failure.rethrow(seed, lastSteps());
    String residentBytes = SoakChecks.flat(resident);
    end();
    System.err.printf(
        Locale.ROOT,
        "soak: groups compared to the byte=%d%nsoak: resident bytes: %s%n%s",
        nrExact,
        residentBytes,
        subject.tally);
    requireAll();
  }

  private void startWorkers(ExecutorService pool) {
    for (int i = 0; i < NR_PLATFORM + NR_VIRTUAL; i++) {
      String name = "soak-" + i;
      Worker worker = new Worker(subject, random.split(), pool, failure, name, nrOperations);
      workers.add(worker);
      Thread.Builder builder = i < NR_PLATFORM ? Thread.ofPlatform() : Thread.ofVirtual();
      threads.add(builder.name(name).start(worker));
    }
    SplittableRandom mine = random.split();
    threads.add(Thread.ofPlatform().name("soak-parks").start(() -> park(mine)));
  }

  /** Now and then a thread that sleeps in a scope, and with it its slot. */
  private void park(SplittableRandom mine) {
    while (!failure.isOver()) {
      Tenant.sleep(mine.nextInt(2500));
      try (Scope scope = workers.getFirst().workAndStay(mine)) {
        if (scope != null) {
          subject.tally.injected(Injection.SCOPE_PARKED);
          Tenant.sleep(mine.nextInt(700));
          subject.tally.survived(Injection.SCOPE_PARKED);
        }
      } catch (Throwable e) {
        failure.set("parked", e);
      }
    }
  }

  private void useGuards(int turn) {
    if (turn % 20 == 1) {
      subject.kmalloc.guarded().on(Duration.ofMillis(2), 64);
    } else if (turn % 20 == 11) {
      subject.kmalloc.guarded().off();
    }
  }

  private void lookForASecond(Waits waits) {
    for (int i = 0; i < LOOKS_PER_SECOND && !failure.isOver(); i++) {
      Tenant.sleep(1000 / LOOKS_PER_SECOND);
      waits.look();
      subject.tenants.checkLimit();
      for (Worker worker : workers) {
        SoakChecks.moves(
            "soak-" + workers.indexOf(worker),
            System.nanoTime() - worker.lastNanos,
            TimeUnit.SECONDS.toNanos(MOST_SECONDS_OF_A_STEP),
            worker.last);
      }
    }
  }

  private void look(int turn) throws Exception {
    boolean isStill = subject.gate.close(MOST_SECONDS_OF_A_STEP);
    try {
      SoakChecks.require(isStill, "a step does not end");
      if (turn % SHRINKS_EVERY == 0) {
        subject.kmalloc.shrink(); // ends sessions of arenas as well
      }
      subject.typed.shrink(); // hands in what was deferred, of all caches
      subject.kmalloc.readers().synchronize();
      subject.typed.shrink(); // and frees it
      nrExact += checkUsage();
      subject.tenants.checkEvents();
      subject.tenants.checkContents(BLOCKS_TO_CHECK);
    } finally {
      subject.gate.open();
    }
    resident.add(residentBytes());
  }

  /**
   * A slot that is busy is drained when its owner gets to it: a thread that sleeps in a scope, or
   * one of the scanner's or the purge thread's that is not on a processor. So what differs is
   * looked at again, for longer than anybody keeps a slot; what is lost is lost then too.
   */
  private int checkUsage() {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS_TO_SETTLE);
    while (true) {
      subject.root.drain();
      subject.tenants.forgetEmpty();
      int nrModelled = subject.tenants.all().size() + NR_OTHER_HANDLES;
      nrEmptyHandles = Math.max(0, subject.handles.nrHandles() - nrModelled);
      waitingBytes = waitingBytes();
      try {
        return subject.tenants.checkUsage(new Tenant.Look(waitingBytes, nrEmptyHandles));
      } catch (SoakViolation e) {
        if (System.nanoTime() - end > 0) {
          throw e;
        }
        nrLooksAgain++;
      }
      Tenant.sleep(10);
    }
  }

  /** What is freed, and charged until readers have left or sessions have ended: at most. */
  private long waitingBytes() {
    long forgotten = ArenaInfo.of(subject.kmalloc).waitingBytes() - subject.tenants.waitingBytes();
    long sum = Tenant.withMetadata(Math.max(0, forgotten));
    for (SlabStat.Cache cache : SlabStat.of(subject.kmalloc).caches()) {
      for (KmemCache mine : List.of(subject.typed, subject.constructed)) {
        if (cache.name().equals(mine.name()) && cache.nrDeferred() > 0) {
          sum += cache.nrDeferred() * mine.chargeBytes() + 64 * MemCgroup.PAGE_SIZE;
        }
      }
    }
    return sum;
  }

  private void print(Scans scans) throws IOException {
    SlabInfo info = subject.kmalloc.info();
    System.err.printf(
        Locale.ROOT,
        "soak: second=%.0f operations=%d tenants=%d usage=%dK mapped=%dK rss=%dK scans=%d exact=%d"
            + " emptyHandles=%d waiting=%d looksAgain=%d%n",
        failure.second(),
        nrOperations.get(),
        subject.root.nrDescendants(),
        subject.tenants.group.usage() >> 10,
        info.mappedBytes() >> 10,
        residentBytes() >> 10,
        scans.nrScans.get(),
        nrExact,
        nrEmptyHandles,
        waitingBytes,
        nrLooksAgain);
  }

  private String lastSteps() {
    StringBuilder text = new StringBuilder();
    for (Worker worker : workers) {
      text.append("  ").append(worker.last).append(System.lineSeparator());
    }
    return text.toString();
  }

  /** Everything is freed, and nothing is left of it. */
  private void end() {
    MemCgroup group = subject.tenants.group;
    for (Tenant tenant : subject.tenants.all().reversed()) {
      tenant.freeUpTo(Long.MAX_VALUE);
      tenant.declared.close();
      tenant.remove(true);
    }
    subject.kmalloc.shrink();
    subject.root.drain();
    SoakChecks.usage(group.path(), group.usage(), 0, 0);
    group.remove();
    for (MemCgroup child : subject.root.children()) {
      child.remove(); // a plugin's that was refused
    }
    subject.typed.close();
    subject.constructed.close();
    visitAllSlots();
    subject.kmalloc.shrink();
    subject.root.drain();
    SlabInfo info = subject.kmalloc.info();
    VmallocInfo areas = subject.kmalloc.vmalloc().info();
    SoakChecks.usage("/", subject.root.usage(), 0, 0);
    SoakChecks.require(info.nrObjects() == 0, "objects are left: %s", info);
    SoakChecks.require(info.mappedBytes() == 0, "memory is left: %s", info);
    SoakChecks.require(info.nrBadFrees() == 0, "bad frees: %s", info);
    SoakChecks.require(areas.nrAreas() == 0 && areas.lazyBytes() == 0, "areas are left: %s", areas);
    SoakChecks.require(subject.kmalloc.percpu().nrLive() == 0, "per-CPU memory is left");
    SoakChecks.require(subject.root.nrDyingDescendants() == 0, "groups are dying");
    SoakChecks.require(subject.root.nrDescendants() == 0, "groups are left");
    SoakChecks.require(
        subject.handles.nrHandles() == 1, "handles are left: %d", subject.handles.nrHandles());
    subject.kmalloc.close();
  }

  /** Slots whose owner died in a scope are taken over by the next one, not before. */
  private void visitAllSlots() {
    int nrSlots = subject.root.slots().nrScopeSlots();
    CyclicBarrier all = new CyclicBarrier(nrSlots);
    try (ExecutorService visitors = Executors.newFixedThreadPool(nrSlots)) {
      for (int i = 0; i < nrSlots; i++) {
        var _ =
            visitors.submit(() -> {
              try (Scope _ = subject.handles.rootHandle().enter()) {
                subject.kmalloc.free(subject.kmalloc.allocate(8));
                all.await(MOST_SECONDS_OF_A_STEP, TimeUnit.SECONDS);
              }
              return null;
            });
      }
    }
  }

  private void requireAll() {
    for (Injection kind : Injection.values()) {
      SoakChecks.require(subject.tally.nrOpen(kind) == 0, "nothing came of it: %s", kind);
      SoakChecks.require(
          nrSeconds < SECONDS_FOR_ALL || subject.tally.nrInjected(kind) > 0,
          "never injected: %s",
          kind);
    }
  }

  private static long residentBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
      }
    }
    return 0;
  }
}
