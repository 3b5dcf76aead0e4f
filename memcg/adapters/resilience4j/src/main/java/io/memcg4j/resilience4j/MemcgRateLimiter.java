package io.memcg4j.resilience4j;

import io.github.resilience4j.ratelimiter.RateLimiter;
import io.github.resilience4j.ratelimiter.RateLimiterConfig;
import io.github.resilience4j.ratelimiter.RateLimiterRegistry;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.Throttle;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A rate limiter whose permits are pages, and whose limit follows how far usage is above {@code
 * memory.high}: as many pages as {@link MemCgroup#throttle} would let through, 6400 a second just
 * above the line and 32 far above it; below it the configuration's own limit. For callers that want
 * to slow requests before they take memory; {@link #reserveBytes} and {@code reservePermission} say
 * how long to wait and do not block.
 *
 * <p>The limit is set when permits are asked for, and on {@link #refresh}; no thread. It takes the
 * place in its registry of the limiter that the registry made. Any thread.
 */
public final class MemcgRateLimiter implements RateLimiter, AutoCloseable {
  /*
   * Invariant  limit is what was handed to the limiter last; both change under change.
   * Locks      change; only tried: who does not get it goes by the limit of before.
   */

  /**
   * Short periods, so that the limit is not spent in one burst; practically no limit of its own,
   * and no waiting longer than the longest pause of {@link Throttle}.
   */
  public static final RateLimiterConfig DEFAULT_CONFIG =
      RateLimiterConfig.custom()
          .limitRefreshPeriod(Duration.ofMillis(100))
          .limitForPeriod(1 << 20)
          .timeoutDuration(Duration.ofNanos(Throttle.MAX_DELAY_NANOS))
          .build();

  private final MemCgroup group;
  private final RateLimiterRegistry registry;
  private final RateLimiter limiter;
  private final int mostPages;
  private final ReentrantLock change = new ReentrantLock();
  private volatile int limit;

  MemcgRateLimiter(RateLimiterRegistry registry, MemCgroup group, RateLimiter limiter) {
    this.registry = registry;
    this.group = group;
    this.limiter = limiter;
    this.mostPages = limiter.getRateLimiterConfig().getLimitForPeriod();
    this.limit = mostPages;
  }

  /**
   * A limiter named after the group's path.
   *
   * @param registry where it is found
   * @param group whose high limit, or that of a group above it, sets the rate
   * @return close it when the group is removed
   * @throws IllegalStateException if the registry has a limiter of that name
   */
  public static MemcgRateLimiter of(RateLimiterRegistry registry, MemCgroup group) {
    return of(registry, group, DEFAULT_CONFIG);
  }

  /**
   * A limiter named after the group's path.
   *
   * @param registry where it is found
   * @param group whose high limit, or that of a group above it, sets the rate
   * @param config its period, how long callers wait, and its limit in pages below high
   * @return close it when the group is removed
   * @throws IllegalStateException if the registry has a limiter of that name
   */
  public static MemcgRateLimiter of(
      RateLimiterRegistry registry, MemCgroup group, RateLimiterConfig config) {
    String name = group.path();
    if (registry.find(name).isPresent()) {
      throw new IllegalStateException("rate limiter exists: name=" + name);
    }
    MemcgRateLimiter made =
        new MemcgRateLimiter(registry, group, registry.rateLimiter(name, config));
    var _ = registry.replace(name, made);
    return made;
  }

  /**
   * Looks at the group, and sets the limit accordingly.
   *
   * @return pages of one period
   */
  public int refresh() {
    if (pagesOfPeriod() != limit && change.tryLock()) {
      try {
        int now = pagesOfPeriod();
        boolean begins = limit == mostPages && now < mostPages;
        limit = now;
        limiter.changeLimitForPeriod(now);
        if (begins && limiter.getMetrics().getAvailablePermissions() > now) {
          limiter.drainPermissions(); // what is left of the period was granted below high
        }
      } finally {
        change.unlock();
      }
    }
    return limit;
  }

  private int pagesOfPeriod() {
    Throttle throttle = group.throttle();
    if (!throttle.isNeeded()) {
      return mostPages;
    }
    long periodNanos = limiter.getRateLimiterConfig().getLimitRefreshPeriod().toNanos();
    double nrPages = (double) MemCgroup.CHARGE_BATCH * periodNanos / throttle.delayNanos();
    return Math.clamp(Math.round(nrPages), 1, mostPages);
  }

  /**
   * Waits for permits for so many bytes, rounded up to pages.
   *
   * @param nrBytes at least 1
   * @return false if the wait would be longer than the configuration allows, or was interrupted
   * @throws IllegalArgumentException if it is out of range
   */
  public boolean acquireBytes(long nrBytes) {
    return acquirePermission(pages(nrBytes));
  }

  /**
   * Takes permits for so many bytes, rounded up to pages, in advance.
   *
   * @param nrBytes at least 1
   * @return nanoseconds that the caller has to wait; negative if it was refused
   * @throws IllegalArgumentException if it is out of range
   */
  public long reserveBytes(long nrBytes) {
    return reservePermission(pages(nrBytes));
  }

  private static int pages(long nrBytes) {
    long most = (long) Integer.MAX_VALUE << MemCgroup.PAGE_SHIFT;
    if (nrBytes < 1 || nrBytes > most) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "number of bytes out of range: nrBytes=%d legal=1..%d", nrBytes, most));
    }
    return (int) ((nrBytes + MemCgroup.PAGE_SIZE - 1) >> MemCgroup.PAGE_SHIFT);
  }

  /** Takes it out of its registry. */
  @Override
  public void close() {
    var _ = registry.remove(getName());
  }

  // ---- the limiter

  @Override
  public boolean acquirePermission(int permits) {
    refresh();
    return limiter.acquirePermission(permits);
  }

  @Override
  public long reservePermission(int permits) {
    refresh();
    return limiter.reservePermission(permits);
  }

  @Override
  public void drainPermissions() {
    limiter.drainPermissions();
  }

  @Override
  public void changeTimeoutDuration(Duration timeoutDuration) {
    limiter.changeTimeoutDuration(timeoutDuration);
  }

  /**
   * Not for callers: the group sets it.
   *
   * @throws UnsupportedOperationException always
   */
  @Override
  public void changeLimitForPeriod(int limitForPeriod) {
    throw new UnsupportedOperationException("the limit follows the group: name=" + getName());
  }

  @Override
  public String getName() {
    return limiter.getName();
  }

  @Override
  public RateLimiterConfig getRateLimiterConfig() {
    return limiter.getRateLimiterConfig();
  }

  @Override
  public Map<String, String> getTags() {
    return limiter.getTags();
  }

  @Override
  public Metrics getMetrics() {
    return limiter.getMetrics();
  }

  @Override
  public EventPublisher getEventPublisher() {
    return limiter.getEventPublisher();
  }
}
