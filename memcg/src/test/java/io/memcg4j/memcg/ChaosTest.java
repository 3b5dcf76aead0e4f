package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Eight threads, random limits, shrinkers that throw and lie, victims, removals, all at once; then
 * everything is closed, and nothing may be left. Five seconds; with {@code -Pproof} a minute.
 */
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ChaosTest {
  private static final int NR_THREADS = 8;
  private static final int NR_TENANTS = 12;
  private static final long PAGE = MemCgroup.PAGE_SIZE;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup tenants = root.create("tenants");

  /** A group with a cache, a charge that is held, and a way to be asked to close. */
  private static final class Tenant {
    final MemCgroup group;
    final Charge cache;
    final Charge held;
    final ShrinkerRegistration shrinker;

    Tenant(MemCgroup group, int kind) {
      this.group = group;
      cache = group.charge("cache", MemoryClass.HEAP);
      held = group.charge("held", MemoryClass.FOREIGN);
      shrinker = group.addShrinker(new Evil(cache, kind));
      group.setOomKill(() -> lower(held), Duration.ofMillis(50), kind == 0 ? -1000 : kind);
    }

    void close() {
      shrinker.close();
      cache.close();
      held.close();
      group.remove();
    }
  }

  private static void lower(Charge charge) {
    try {
      charge.set(0);
    } catch (IllegalStateException e) {
      // closed meanwhile: as good
    }
  }

  /** By kind: gives, throws, lies, or gives too little. */
  private record Evil(Charge cache, int kind) implements Shrinker {
    @Override
    public long count() {
      return kind == 2 ? 1 << 20 : cache.nrBytes();
    }

    @Override
    public long scan(long nrBytes) {
      if (kind == 1) {
        throw new IllegalStateException("broken on purpose");
      }
      if (kind == 2) {
        return nrBytes;
      }
      try {
        long take = Math.min(cache.nrBytes(), kind == 3 ? 1 : nrBytes);
        cache.add(-take, ChargeMode.NOWAIT);
        return take;
      } catch (IllegalArgumentException | IllegalStateException e) {
        return 0; // somebody else took it, or closed it
      }
    }
  }

  @Test
  void everythingAtOnce_thenNothingIsLeft() throws Exception {
    boolean isLong = !System.getProperty("memcg4j.jcstress", "short").equals("short");
    long seed = System.nanoTime();
    long endNanos = System.nanoTime() + TimeUnit.SECONDS.toNanos(isLong ? 60 : 5);
    tenants.setMax(2000 * PAGE);
    tenants.setOomHandler(OomHandler.KILL_LARGEST);
    AtomicReferenceArray<@Nullable Tenant> live = new AtomicReferenceArray<>(NR_TENANTS);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int thread = 0; thread < NR_THREADS; thread++) {
      SplittableRandom random = new SplittableRandom(seed + thread);
      int number = thread;
      tasks.add(() -> {
        for (int step = 0; System.nanoTime() - endNanos < 0; step++) {
          step(live, random, number + "-" + step);
          assertTrue(tenants.usage() <= 2000 * PAGE, () -> "seed=" + seed);
        }
        return null;
      });
    }
    try (ExecutorService executor = Executors.newFixedThreadPool(NR_THREADS)) {
      for (Future<Void> result : executor.invokeAll(tasks)) {
        result.get();
      }
    }
    for (int i = 0; i < NR_TENANTS; i++) {
      Tenant tenant = live.get(i);
      if (tenant != null) {
        tenant.close();
      }
    }
    assertEquals(0, root.usage(), () -> "seed=" + seed);
    MemoryStat stat = root.flush();
    assertEquals(new MemoryStat(0, 0, 0, 0, 0, 0, stat.reclaimed()), stat, () -> "seed=" + seed);
    assertEquals(0, tenants.nrDyingDescendants());
    assertEquals(0, tenants.nrDescendants());
    assertEquals(0, tenants.nrWaiting());
  }

  private void step(
      AtomicReferenceArray<@Nullable Tenant> live, SplittableRandom random, String name)
      throws InterruptedException {
    int index = random.nextInt(NR_TENANTS);
    Tenant tenant = live.getAndSet(index, null);
    if (tenant == null) {
      Tenant made = new Tenant(tenants.create(name), random.nextInt(6));
      Tenant other = live.getAndSet(index, made);
      if (other != null) {
        other.close();
      }
      return;
    }
    // This thread alone has it now; its shrinker, its victim's callback and limits are everybody's.
    MemCgroup group = tenant.group;
    switch (random.nextInt(12)) {
      case 0 -> group.setMax(random.nextLong(400) * PAGE);
      case 1 -> group.setMaxNoBlock(MemCgroup.UNLIMITED);
      case 2 -> group.setHighNoBlock(random.nextLong(400) * PAGE);
      case 3 -> group.setMin(random.nextLong(50) * PAGE);
      case 4 -> group.setLow(random.nextLong(100) * PAGE);
      case 5 -> group.setOomGroup(random.nextBoolean());
      case 6 -> tenants.reclaim(random.nextLong(50) * PAGE);
      case 7 -> tenant.held.trySet(0);
      case 8 -> group.setAwait(tenant.held, random.nextLong(300) * PAGE, Duration.ofMillis(2));
      case 9 -> {
        if (random.nextInt(4) == 0) {
          tenant.close();
          return;
        }
      }
      default -> {
        tenant.cache.trySet(random.nextLong(300) * PAGE + random.nextLong(PAGE));
        tenant.held.trySet(random.nextLong(300) * PAGE + random.nextLong(PAGE));
      }
    }
    Tenant other = live.getAndSet(index, tenant);
    if (other != null) {
      other.close();
    }
  }
}
