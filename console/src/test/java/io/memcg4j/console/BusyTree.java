package io.memcg4j.console;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Tenants that do what tenants do: one steady, one bursty, one greedy, one that leaks, some quiet.
 */
final class BusyTree implements AutoCloseable {
  private static final long MIB = 1 << 20;
  private static final long STEP_NANOS = 4_000_000;
  private static final int MAX_RELEASED = 2_000;

  final MemCgroup root = MemCgroup.root();
  final Kmalloc kmalloc = Kmalloc.create(root);
  final Kmemleak leaks = Kmemleak.builder(kmalloc).minAge(Duration.ofMillis(200)).build();

  private final MemCgroup tenants = root.create("tenants");
  private final List<Worker> workers = new ArrayList<>();
  private final List<Long> leaked = new ArrayList<>();
  private volatile boolean stopped;

  BusyTree() {
    root.setMax(256 * MIB);
    tenant("acme", 16, 32, 40, 0.9, 600);
    tenant("globex", 0, 24, 32, 0.5, 2_000);
    tenant("umbrella", 0, 12, 16, 1.6, 1_500);
    tenant("initech", 0, 0, 48, 0.4, 300);
    tenant("hooli", 8, 0, 64, 0.6, 5_000);
    tenant("stark", 0, 20, 24, 0.8, 900);
    tenant("wayne", 0, 0, 20, 0.3, 400);
    MemCgroup system = root.create("system");
    system.setMax(32 * MIB);
    new Worker(system.create("catalog"), 4 * MIB, 700, 11).start();
    new Worker(system.create("metrics"), 2 * MIB, 200, 12).start();
  }

  private void tenant(
      String name, long lowMib, long highMib, long maxMib, double fullness, int size) {
    MemCgroup tenant = tenants.create(name);
    tenant.setLow(lowMib * MIB);
    if (highMib > 0) {
      tenant.setHigh(highMib * MIB);
    }
    tenant.setMax(maxMib * MIB);
    long target = (long) (fullness * maxMib * MIB);
    new Worker(tenant.create("sessions"), target / 4, size / 4 + 32, name.hashCode()).start();
    new Worker(tenant.create("cache"), target / 2, size, name.hashCode() + 1).start();
    new Worker(tenant.create("queries"), target / 4, size * 3, name.hashCode() + 2).start();
  }

  /** Names that are legal and hostile, and a path of more than 64 KiB. */
  void addHostileNames() {
    MemCgroup odd = root.create("odd");
    odd.create("<img src=x onerror=window.attacked=1>");
    odd.create("quotes \"'`&lt; <script>window.attacked=1<!-- ${x} {{x}}");
    odd.create("abc\u202egnp.exe \u05d0\u05d1\u05d2 \u0627\u0628");
    odd.create("memory.max");
    odd.create("%2e%2e%2fetc ?x=1#y;z\\");
    MemCgroup deep = odd;
    for (int i = 0; i < 258; i++) {
      deep = deep.create("level-" + i + "-" + "w".repeat(245 - Integer.toString(i).length()));
    }
    deep.create("deep-1-" + "\u0645".repeat(40));
  }

  @Override
  public void close() {
    stopped = true;
    workers.forEach(Worker::join);
    synchronized (leaked) {
      leaked.forEach(hidden -> kmalloc.free(~hidden));
    }
    kmalloc.close();
  }

  /** Fills its group up to a target, and lets objects come and go. */
  private final class Worker {
    private final MemCgroup group;
    private final long targetBytes;
    private final int meanBytes;
    private final RandomGenerator random;
    private final Deque<Long> held = new ArrayDeque<>();
    private final Thread thread;
    private long heldBytes;
    private long area;

    Worker(MemCgroup group, long targetBytes, int meanBytes, int seed) {
      this.group = group;
      this.targetBytes = targetBytes;
      this.meanBytes = meanBytes;
      this.random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
      this.thread = Thread.ofVirtual().name(group.path()).unstarted(this::run);
      workers.add(this);
    }

    void start() {
      thread.start();
    }

    void join() {
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    private void run() {
      for (int step = 0; !stopped; step++) {
        try (Scope scope = ObjCgroup.of(group).enter()) {
          serve(step);
        }
        LockSupport.parkNanos(STEP_NANOS);
      }
      held.forEach(kmalloc::free);
      if (area != Kmalloc.NULL) {
        kmalloc.vmalloc().free(area);
      }
    }

    private void serve(int step) {
      // A slow wave, so that plots have a shape, and bursts of some.
      double wave = 0.8 + 0.2 * Math.sin(step / 900.0 + targetBytes);
      boolean isBurst = group.path().contains("globex") && step % 4000 < 900;
      long wanted = (long) (targetBytes * wave * (isBurst ? 2.2 : 1));
      for (int i = 0; i < MAX_RELEASED && heldBytes > wanted; i++) {
        release();
      }
      for (int i = 0; i < 60 && heldBytes < wanted; i++) {
        if (!allocate()) {
          return; // backs off until the next step
        }
      }
    }

    private boolean allocate() {
      int size = 16 + random.nextInt(2 * meanBytes);
      long address =
          switch (group.name()) {
            case "sessions" -> openSession(size);
            case "queries" -> runQuery(size);
            case "cache" -> fillCache(size);
            default -> kmalloc.tryAllocate(size);
          };
      if (address == Kmalloc.NULL) {
        release();
        release();
        return false;
      }
      if (random.nextInt(150) == 0 && group.path().equals("/tenants/initech/queries")) {
        synchronized (leaked) {
          leaked.add(~address); // no long of this JVM is the address
        }
        return true;
      }
      if (area == Kmalloc.NULL && group.name().equals("cache")) {
        area = kmalloc.vmalloc().tryAllocate(MIB / 2);
      }
      held.add(address);
      heldBytes += kmalloc.usableSize(address);
      return true;
    }

    private long openSession(int size) {
      return size % 3 == 0 ? decodeCookie(size) : kmalloc.tryAllocate(size);
    }

    private long decodeCookie(int size) {
      return kmalloc.tryAllocate(size / 2);
    }

    private long runQuery(int size) {
      return size % 2 == 0 ? hashJoin(size) : sortRows(size);
    }

    private long hashJoin(int size) {
      return size % 4 == 0 ? buildSide(size) : kmalloc.tryAllocate(size);
    }

    private long buildSide(int size) {
      return kmalloc.tryAllocate(size);
    }

    private long sortRows(int size) {
      return kmalloc.tryAllocate(size);
    }

    private long fillCache(int size) {
      return size % 5 == 0 ? decompress(size) : kmalloc.tryAllocate(size);
    }

    private long decompress(int size) {
      return kmalloc.tryAllocate(2L * size);
    }

    private void release() {
      Long oldest = held.poll();
      if (oldest != null) {
        heldBytes -= kmalloc.usableSize(oldest);
        kmalloc.free(oldest);
      }
    }
  }
}
