package io.memcg4j.resilience4j;

import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerRegistry;
import io.memcg4j.memcg.MemCgroup;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A circuit breaker that is open while a group is under memory pressure, and else what its
 * configuration makes it: one for each tenant. It looks at the group when a permission is asked
 * for, and on {@link #refresh}; no thread, no clock.
 *
 * <p>Under pressure it is {@code FORCED_OPEN}; afterwards {@code CLOSED}, not {@code HALF_OPEN}:
 * who only asks for permissions reports no results, which would leave it half open for ever. A
 * breaker that somebody else disabled, forced open, or set to {@code METRICS_ONLY} is left alone.
 *
 * <p>It takes the place in its registry of the breaker that the registry made, so {@code
 * TaggedCircuitBreakerMetrics} show it. Any thread.
 */
public final class MemcgCircuitBreaker implements CircuitBreaker, AutoCloseable {
  /*
   * Invariant  forced: the state is FORCED_OPEN because of the group. Both change under transition,
   *            so that no two decisions cross.
   * Locks      transition; listeners of the breaker run under it. Only tried: who does not get it
   *            leaves the decision to the thread that has it.
   */
  private final MemCgroup group;
  private final Pressure pressure;
  private final CircuitBreakerRegistry registry;
  private final CircuitBreaker breaker;
  private final ReentrantLock transition = new ReentrantLock();
  private volatile boolean forced;

  private MemcgCircuitBreaker(
      CircuitBreakerRegistry registry, MemCgroup group, Pressure pressure, CircuitBreaker breaker) {
    this.registry = registry;
    this.group = group;
    this.pressure = pressure;
    this.breaker = breaker;
  }

  /**
   * A breaker named after the group's path, with the registry's default configuration.
   *
   * @param registry where it is found
   * @param group whose pressure opens it
   * @param pressure when
   * @return close it when the group is removed
   * @throws IllegalStateException if the registry has a breaker of that name
   */
  public static MemcgCircuitBreaker of(
      CircuitBreakerRegistry registry, MemCgroup group, Pressure pressure) {
    return of(registry, group, pressure, registry.getDefaultConfig());
  }

  /**
   * A breaker named after the group's path.
   *
   * @param registry where it is found
   * @param group whose pressure opens it
   * @param pressure when
   * @param config what else opens it
   * @return close it when the group is removed
   * @throws IllegalStateException if the registry has a breaker of that name
   */
  public static MemcgCircuitBreaker of(
      CircuitBreakerRegistry registry,
      MemCgroup group,
      Pressure pressure,
      CircuitBreakerConfig config) {
    String name = group.path();
    if (registry.find(name).isPresent()) {
      throw new IllegalStateException("circuit breaker exists: name=" + name);
    }
    MemcgCircuitBreaker made =
        new MemcgCircuitBreaker(registry, group, pressure, registry.circuitBreaker(name, config));
    var _ = registry.replace(name, made);
    return made;
  }

  /**
   * Looks at the group, and opens or closes accordingly. For those who read {@link #getState}
   * without asking for permissions; from a listener of the group's events, for example.
   *
   * @return whether it is open for want of memory
   */
  public boolean refresh() {
    if (pressure.isUnder(group, forced) != forced && transition.tryLock()) {
      try {
        decide();
      } finally {
        transition.unlock();
      }
    }
    return forced;
  }

  private void decide() {
    boolean under = pressure.isUnder(group, forced);
    State state = breaker.getState();
    boolean ofUser =
        state == State.DISABLED
            || state == State.METRICS_ONLY
            || (state == State.FORCED_OPEN && !forced);
    if (under == forced || ofUser) {
      return;
    }
    forced = under;
    if (under) {
      breaker.transitionToForcedOpenState();
    } else if (state == State.FORCED_OPEN) {
      breaker.transitionToClosedState();
    }
  }

  /**
   * The group that it looks at.
   *
   * @return the group
   */
  public MemCgroup group() {
    return group;
  }

  /** Takes it out of its registry. */
  @Override
  public void close() {
    var _ = registry.remove(getName());
  }

  // ---- the breaker

  @Override
  public boolean tryAcquirePermission() {
    refresh();
    return breaker.tryAcquirePermission();
  }

  @Override
  public void acquirePermission() {
    refresh();
    breaker.acquirePermission();
  }

  @Override
  public void releasePermission() {
    breaker.releasePermission();
  }

  @Override
  public void onError(long duration, TimeUnit durationUnit, Throwable throwable) {
    breaker.onError(duration, durationUnit, throwable);
  }

  @Override
  public void onSuccess(long duration, TimeUnit durationUnit) {
    breaker.onSuccess(duration, durationUnit);
  }

  @Override
  public void onResult(long duration, TimeUnit durationUnit, Object result) {
    breaker.onResult(duration, durationUnit, result);
  }

  @Override
  public void reset() {
    breaker.reset();
  }

  @Override
  public void transitionToClosedState() {
    breaker.transitionToClosedState();
  }

  @Override
  public void transitionToOpenState() {
    breaker.transitionToOpenState();
  }

  @Override
  public void transitionToOpenStateFor(Duration waitDuration) {
    breaker.transitionToOpenStateFor(waitDuration);
  }

  @Override
  public void transitionToOpenStateUntil(Instant waitUntil) {
    breaker.transitionToOpenStateUntil(waitUntil);
  }

  @Override
  public void transitionToHalfOpenState() {
    breaker.transitionToHalfOpenState();
  }

  @Override
  public void transitionToDisabledState() {
    breaker.transitionToDisabledState();
  }

  @Override
  public void transitionToMetricsOnlyState() {
    breaker.transitionToMetricsOnlyState();
  }

  @Override
  public void transitionToForcedOpenState() {
    breaker.transitionToForcedOpenState();
  }

  @Override
  public String getName() {
    return breaker.getName();
  }

  @Override
  public State getState() {
    return breaker.getState();
  }

  @Override
  public CircuitBreakerConfig getCircuitBreakerConfig() {
    return breaker.getCircuitBreakerConfig();
  }

  @Override
  public Metrics getMetrics() {
    return breaker.getMetrics();
  }

  @Override
  public Map<String, String> getTags() {
    return breaker.getTags();
  }

  @Override
  public EventPublisher getEventPublisher() {
    return breaker.getEventPublisher();
  }

  @Override
  public long getCurrentTimestamp() {
    return breaker.getCurrentTimestamp();
  }

  @Override
  public TimeUnit getTimestampUnit() {
    return breaker.getTimestampUnit();
  }
}
