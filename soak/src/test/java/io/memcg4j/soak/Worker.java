package io.memcg4j.soak;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** One of the threads that do everything, step by step, as its random numbers say. */
final class Worker implements Runnable {
  private static final int MOST_TENANTS = 40;
  private static final int MOST_DEPTH = 5;
  private static final long MOST_LIVE_BYTES_OF_TENANT = 4L << 20;
  private static final AtomicLong SERIAL = new AtomicLong();

  private final Subject subject;
  private final SplittableRandom random;
  private final ExecutorService pool;
  private final Failure failure;
  private final String name;
  volatile String last = "";
  volatile long lastNanos = System.nanoTime();
  final AtomicLong nrOperations;

  Worker(
      Subject subject,
      SplittableRandom random,
      ExecutorService pool,
      Failure failure,
      String name,
      AtomicLong nrOperations) {
    this.subject = subject;
    this.random = random;
    this.pool = pool;
    this.failure = failure;
    this.name = name;
    this.nrOperations = nrOperations;
  }

  @Override
  public void run() {
    while (!failure.isOver()) {
      subject.gate.enter();
      lastNanos = System.nanoTime();
      try {
        step();
      } catch (Throwable e) {
        failure.set(name + " " + last, e);
      } finally {
        subject.gate.exit();
      }
    }
  }

  private Tenant anyTenant() {
    Tenant tenant = subject.tenants;
    while (true) {
      List<Tenant> children = tenant.children.stream().filter(child -> !child.isRemoved).toList();
      if (children.isEmpty() || random.nextInt(6) == 0) {
        return tenant;
      }
      tenant = children.get(random.nextInt(children.size()));
    }
  }

  private void step() throws Exception {
    Tenant tenant = anyTenant();
    int choice = random.nextInt(200);
    if (choice < 12) {
      says("create below", tenant);
      create(tenant);
    } else if (choice < 20) {
      says("remove", tenant);
      remove(tenant);
    } else if (choice < 34) {
      says("limits of", tenant);
      setLimits(tenant);
    } else if (choice < 42) {
      says("declare in", tenant);
      declare(tenant);
    } else if (choice < 46) {
      says("reclaim in", tenant);
      tenant.group.reclaim(random.nextLong(1 << 20));
    } else if (choice < 48) {
      says("shrink", tenant);
      subject.kmalloc.shrink();
    } else if (choice < 50) {
      says("drain", tenant);
      tenant.group.drain();
    } else if (choice < 54) {
      says("task in", tenant);
      followTask(tenant);
    } else if (choice < 57) {
      says("thread dies in", tenant);
      dieInScope(tenant);
    } else if (choice < 72) {
      says("free what removed groups hold below", tenant);
      freeOfRemoved();
    } else {
      says("work in", tenant);
      work(tenant, random);
    }
  }

  /** Nobody but the model knows them any more. */
  private void freeOfRemoved() {
    List<Tenant> removed =
        subject.tenants.all().stream().filter(tenant -> tenant.isRemoved).toList();
    if (!removed.isEmpty()) {
      Tenant tenant = removed.get(random.nextInt(removed.size()));
      tenant.freeUpTo(random.nextBoolean() ? Long.MAX_VALUE : random.nextLong(1 << 20));
      if (random.nextBoolean()) {
        tenant.declared.close();
      }
    }
  }

  private void says(String what, Tenant tenant) {
    last = what + " " + tenant;
  }

  /** Allocates and frees in a scope of the tenant, and in one of another one inside. */
  void work(Tenant tenant, SplittableRandom random) {
    try (Scope scope = tenant.handle.enter()) {
      if (scope.current() != tenant.handle) {
        return; // removed, and nothing was left of it
      }
      scope.deferThrottle(random.nextInt(50) > 0); // a pause takes up to 2 s
      Kmalloc.Bound bound = random.nextBoolean() ? subject.kmalloc.bind(scope) : null;
      operate(tenant, bound, random);
      if (random.nextInt(4) == 0) {
        Tenant other = anyTenant();
        try (Scope inner = other.handle.enter()) {
          inner.deferThrottle(true);
          if (inner.current() == other.handle) {
            operate(other, null, random);
          }
        }
      }
    }
  }

  /** A step after which the scope stays open; null if the tenant is gone. */
  @Nullable Scope workAndStay(SplittableRandom other) {
    subject.gate.enter();
    try {
      List<Tenant> all = subject.tenants.all();
      Tenant tenant = all.get(other.nextInt(all.size()));
      Scope scope = tenant.handle.enter();
      if (scope.current() == tenant.handle) {
        scope.deferThrottle(true);
        operate(tenant, null, other);
        return scope;
      }
      scope.close();
      return null;
    } finally {
      subject.gate.exit();
    }
  }

  private void operate(Tenant tenant, Kmalloc.@Nullable Bound bound, SplittableRandom random) {
    int count = random.nextInt(80);
    boolean isFull = tenant.group.usage() > MOST_LIVE_BYTES_OF_TENANT && tenant != subject.tenants;
    for (int i = 0; i < count && !subject.gate.isWanted(); i++) {
      nrOperations.incrementAndGet();
      if (!isFull && random.nextInt(100) < 55) {
        Block block = subject.allocate(tenant, bound, random);
        if (block != null) {
          tenant.add(block);
        }
      } else {
        Block block = random.nextBoolean() ? tenant.blocks.pollFirst() : tenant.blocks.pollLast();
        if (block != null) {
          block.payer().free(block, random.nextInt(3) == 0);
        }
      }
    }
  }

  private void create(Tenant above) {
    if (subject.root.nrDescendants() >= MOST_TENANTS) {
      return;
    }
    int depth = 0;
    for (MemCgroup group = above.group; group != null; group = group.parent()) {
      depth++;
    }
    if (depth > MOST_DEPTH) {
      return;
    }
    Tenant made = above.create("t" + SERIAL.incrementAndGet(), random.nextInt(1000));
    if (made != null && random.nextInt(3) > 0) {
      made.setMax(1L << (18 + random.nextInt(7)), false);
    }
  }

  private void remove(Tenant tenant) {
    boolean holds = random.nextBoolean();
    boolean closes = random.nextInt(4) > 0;
    if (!holds) {
      tenant.freeUpTo(Long.MAX_VALUE);
    }
    holds = !tenant.blocks.isEmpty();
    Injection kind =
        !closes
            ? Injection.GROUP_REMOVED_DECLARED
            : holds ? Injection.GROUP_REMOVED_HOLDING : Injection.GROUP_REMOVED;
    if (tenant.remove(closes)) {
      subject.tally.injected(kind);
      SoakChecks.require(
          !tenant.group.isOnline() && subject.root.find(tenant.group.path()) != tenant.group,
          "removed, and there: %s",
          tenant);
      subject.tally.survived(kind);
    }
  }

  private void setLimits(Tenant tenant) {
    MemCgroup group = tenant.group;
    if (tenant == subject.tenants) {
      return;
    }
    switch (random.nextInt(7)) {
      case 0 -> {
        subject.tally.injected(Injection.LIMIT_BELOW_USAGE);
        tenant.setMax(group.usage() / 2, random.nextBoolean());
        subject.tally.survived(Injection.LIMIT_BELOW_USAGE);
      }
      case 1, 2, 3 -> {
        subject.tally.injected(Injection.LIMIT_CHANGED);
        tenant.setMax(
            random.nextInt(3) == 0 ? MemCgroup.UNLIMITED : 1L << (18 + random.nextInt(7)), false);
        subject.tally.survived(Injection.LIMIT_CHANGED);
      }
      default -> {
        subject.tally.injected(Injection.LIMIT_CHANGED);
        switch (random.nextInt(3)) {
          // Seldom below what is used: each batch above it is a pause.
          case 0 ->
              group.setHighNoBlock(
                  random.nextInt(10) == 0
                      ? group.usage() - Math.min(group.usage(), 64 << 10)
                      : MemCgroup.UNLIMITED);
          case 1 -> group.setLow(random.nextLong(4 << 20));
          default -> group.setMin(random.nextLong(1 << 20));
        }
        subject.tally.survived(Injection.LIMIT_CHANGED);
      }
    }
  }

  private void declare(Tenant tenant) {
    tenant.changing.lock();
    try {
      if (!tenant.isRemoved) {
        subject.tally.injected(Injection.DECLARED);
        if (tenant.declare(random.nextInt(3) == 0 ? 0 : random.nextLong(2 << 20))) {
          subject.tally.survived(Injection.DECLARED);
        } else {
          subject.tally.refused(Injection.DECLARED);
        }
      } else {
        tenant.declared.close();
      }
    } finally {
      tenant.changing.unlock();
    }
  }

  /** A task of a pool that is wrapped here is paid by this tenant, whatever it does. */
  private void followTask(Tenant tenant) throws Exception {
    boolean throwsUp = random.nextBoolean();
    Injection kind = throwsUp ? Injection.TASK_THROWS : Injection.TASK_FOLLOWS;
    SplittableRandom other = random.split();
    Future<?> task;
    try (Scope scope = tenant.handle.enter()) {
      if (scope.current() != tenant.handle) {
        return;
      }
      subject.tally.injected(kind);
      task =
          ObjCgroup.wrap(pool)
              .submit(() -> {
                work(tenant, other);
                if (throwsUp) {
                  throw new IllegalStateException(Failure.INJECTED);
                }
              });
    }
    try {
      task.get();
    } catch (ExecutionException e) {
      if (!throwsUp || !(e.getCause() instanceof IllegalStateException)) {
        throw e;
      }
    }
    subject.tally.survived(kind);
  }

  /** A thread that ends inside a scope, with an exception or just so, and never closes it. */
  private void dieInScope(Tenant tenant) throws InterruptedException {
    boolean isVirtual = random.nextBoolean();
    boolean throwsUp = random.nextBoolean();
    SplittableRandom other = random.split();
    Injection kind = isVirtual ? Injection.VIRTUAL_THREAD_DIES : Injection.THREAD_DIES;
    subject.tally.injected(kind);
    Runnable death =
        () -> {
          work(tenant, other);
          Scope scope = tenant.handle.enter();
          if (scope.current() == tenant.handle) {
            Block block = subject.allocate(tenant, null, other);
            if (block != null) {
              tenant.add(block);
            }
          }
          if (throwsUp) {
            throw new IllegalStateException(Failure.INJECTED);
          }
        };
    Thread.Builder builder = isVirtual ? Thread.ofVirtual() : Thread.ofPlatform();
    Thread thread =
        builder
            .name("soak-dies")
            .uncaughtExceptionHandler((_, e) -> {
              if (!(e instanceof IllegalStateException)) {
                failure.set("dies in " + tenant, e);
              }
            })
            .start(death);
    thread.join();
    subject.tally.survived(kind);
  }
}
