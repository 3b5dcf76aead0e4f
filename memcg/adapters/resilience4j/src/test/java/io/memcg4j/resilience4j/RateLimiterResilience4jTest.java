package io.memcg4j.resilience4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.resilience4j.ratelimiter.RateLimiter;
import io.github.resilience4j.ratelimiter.RateLimiterConfig;
import io.github.resilience4j.ratelimiter.RateLimiterRegistry;
import io.github.resilience4j.ratelimiter.internal.AtomicRateLimiter;
import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import java.time.Duration;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The limit in pages follows how far the group is above high; the clock is the test's. */
final class RateLimiterResilience4jTest {
  private static final int MIB = 1 << 20;
  private static final int UNTHROTTLED = 1 << 20;
  private static final long PERIOD_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("acme");
  private final Charge charge = group.charge("test", MemoryClass.HEAP);
  private final RateLimiterRegistry registry = RateLimiterRegistry.ofDefaults();
  private final AtomicLong nanos = new AtomicLong();
  private final MemcgRateLimiter limiter =
      new MemcgRateLimiter(
          registry,
          group,
          new AtomicRateLimiter("/acme", MemcgRateLimiter.DEFAULT_CONFIG, nanos::get));

  @Test
  void belowHigh_isTheConfigurationsOwn() {
    group.setHigh(100 * MIB);
    charge.set(100 * MIB);
    assertEquals(UNTHROTTLED, limiter.refresh());
    assertEquals(0, limiter.reserveBytes(1L << 30));
  }

  @Test
  void aboveHigh_limitFallsWithTheDistance() {
    group.setHigh(100 * MIB);
    charge.set(105 * MIB);
    assertEquals(40, limiter.refresh()); // 64 pages for (5 %)^2 * 64 s: 400 a second
    charge.set(110 * MIB);
    assertEquals(10, limiter.refresh()); // a fourth of it
    charge.set(200 * MIB);
    assertEquals(3, limiter.refresh()); // 64 pages for 2 s, the longest pause
    charge.set(99 * MIB);
    assertEquals(UNTHROTTLED, limiter.refresh());
  }

  @Test
  void aboveHighOfAParent_limitFalls() {
    root.setHigh(100 * MIB);
    charge.set(105 * MIB);
    assertEquals(40, limiter.refresh());
  }

  @Test
  void reserve_saysHowLongToWait() {
    group.setHigh(100 * MIB);
    charge.set(105 * MIB);
    assertEquals(40, limiter.refresh());
    nanos.addAndGet(PERIOD_NANOS);
    assertEquals(0, limiter.reserveBytes(40L * MemCgroup.PAGE_SIZE));
    assertEquals(PERIOD_NANOS, limiter.reservePermission(20));
    assertEquals(PERIOD_NANOS, limiter.reserveBytes(19L * MemCgroup.PAGE_SIZE + 1));
    assertEquals(2 * PERIOD_NANOS, limiter.reservePermission(1));
    assertTrue(limiter.reservePermission(2000) < 0); // longer than the timeout of 2 s
    nanos.addAndGet(3 * PERIOD_NANOS);
    assertTrue(limiter.acquireBytes(1));
  }

  @Test
  void aboveHigh_restOfThePeriodIsNotSpent() {
    group.setHigh(100 * MIB);
    assertTrue(limiter.acquireBytes(MIB));
    charge.set(105 * MIB);
    assertEquals(40, limiter.refresh());
    assertEquals(0, limiter.getMetrics().getAvailablePermissions());
    assertTrue(limiter.reservePermission(1) > 0);
  }

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void metrics_tellPermitsOfTheGroupsLimitAndWhoWaits() throws Exception {
    RateLimiter.Metrics metrics = limiter.getMetrics();
    assertEquals(UNTHROTTLED, metrics.getAvailablePermissions());
    group.setHigh(100 * MIB);
    charge.set(105 * MIB);
    assertEquals(40, limiter.refresh());
    nanos.addAndGet(PERIOD_NANOS);
    assertEquals(40, metrics.getAvailablePermissions());
    assertTrue(limiter.acquireBytes(30L * MemCgroup.PAGE_SIZE));
    assertEquals(10, metrics.getAvailablePermissions());
    FutureTask<Boolean> waiting = new FutureTask<>(() -> limiter.acquirePermission(20));
    new Thread(waiting, "waiting").start();
    while (metrics.getNumberOfWaitingThreads() != 1) {
      Thread.sleep(1);
    }
    assertEquals(-10, metrics.getAvailablePermissions());
    nanos.addAndGet(PERIOD_NANOS);
    assertTrue(waiting.get());
    assertEquals(0, metrics.getNumberOfWaitingThreads());
    assertEquals(30, metrics.getAvailablePermissions());
  }

  @Test
  void timeoutZero_refusesInsteadOfWaiting() {
    group.setHigh(100 * MIB);
    charge.set(200 * MIB);
    assertEquals(3, limiter.refresh());
    limiter.changeTimeoutDuration(Duration.ZERO);
    assertFalse(limiter.acquireBytes(64 * MIB));
  }

  @Test
  void registry_findsIt_untilClosed() {
    MemcgRateLimiter made = MemcgRateLimiter.of(registry, group);
    assertSame(made, registry.rateLimiter("/acme"));
    assertThrows(IllegalStateException.class, () -> MemcgRateLimiter.of(registry, group));
    assertThrows(UnsupportedOperationException.class, () -> made.changeLimitForPeriod(1));
    assertThrows(IllegalArgumentException.class, () -> made.acquireBytes(0));
    assertThrows(IllegalArgumentException.class, () -> made.reserveBytes(1L << 44));
    made.close();
    assertTrue(registry.find("/acme").isEmpty());
  }

  @Test
  void limitOfTheConfiguration_boundsTheRate() {
    MemcgRateLimiter slow =
        MemcgRateLimiter.of(
            registry,
            group,
            RateLimiterConfig.custom()
                .limitForPeriod(20)
                .limitRefreshPeriod(Duration.ofMillis(100))
                .build());
    group.setHigh(100 * MIB);
    charge.set(105 * MIB);
    assertEquals(20, slow.refresh());
    charge.set(110 * MIB);
    assertEquals(10, slow.refresh());
  }
}
