package io.memcg4j.resilience4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.resilience4j.circuitbreaker.CallNotPermittedException;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerRegistry;
import io.github.resilience4j.micrometer.tagged.TaggedCircuitBreakerMetrics;
import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** A tenant's breaker is open while its group is under pressure, and only then. */
final class CircuitBreakerResilience4jTest {
  private static final int MIB = 1 << 20;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("acme");
  private final Charge charge = group.charge("test", MemoryClass.HEAP);
  private final CircuitBreakerRegistry registry = CircuitBreakerRegistry.ofDefaults();

  @Test
  void aboveFractionOfMax_isOpen_untilBelowTheLowerOne() {
    group.setMax(100 * MIB);
    try (MemcgCircuitBreaker breaker = MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT)) {
      charge.set(94 * MIB);
      assertTrue(breaker.tryAcquirePermission());
      charge.set(96 * MIB);
      assertFalse(breaker.tryAcquirePermission());
      assertEquals(CircuitBreaker.State.FORCED_OPEN, breaker.getState());
      CallNotPermittedException e =
          assertThrows(CallNotPermittedException.class, () -> breaker.executeRunnable(() -> {}));
      assertTrue(String.valueOf(e.getMessage()).contains("'/acme'"), e::toString);
      charge.set(92 * MIB); // between the lines: as it was
      assertFalse(breaker.tryAcquirePermission());
      charge.set(89 * MIB);
      assertTrue(breaker.tryAcquirePermission());
      assertEquals(CircuitBreaker.State.CLOSED, breaker.getState());
      charge.set(92 * MIB);
      assertTrue(breaker.tryAcquirePermission());
      assertEquals("done", breaker.executeSupplier(() -> "done"));
      assertEquals(0, breaker.getMetrics().getNumberOfFailedCalls());
    }
  }

  @Test
  void aboveHigh_isOpen_ifAskedFor() {
    group.setHigh(100 * MIB);
    charge.set(101 * MIB);
    MemcgCircuitBreaker breaker = MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT);
    assertTrue(breaker.refresh());
    charge.set(96 * MIB);
    assertTrue(breaker.refresh()); // until below 0.9 / 0.95 of high
    charge.set(94 * MIB);
    assertFalse(breaker.refresh());
    breaker.close();
    charge.set(200 * MIB);
    MemcgCircuitBreaker other =
        MemcgCircuitBreaker.of(registry, group, new Pressure(0.95, 0.9, false));
    assertFalse(other.refresh());
  }

  @Test
  void otherTenant_isNotAffected() {
    MemCgroup calm = root.create("calm");
    group.setMax(MIB);
    charge.set(MIB);
    MemcgCircuitBreaker full = MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT);
    MemcgCircuitBreaker empty = MemcgCircuitBreaker.of(registry, calm, Pressure.DEFAULT);
    assertFalse(full.tryAcquirePermission());
    assertTrue(empty.tryAcquirePermission());
    assertThrows(CallNotPermittedException.class, full::acquirePermission);
    empty.acquirePermission();
  }

  @Test
  void failuresOpenIt_asConfigured() {
    MemcgCircuitBreaker breaker =
        MemcgCircuitBreaker.of(
            registry,
            group,
            Pressure.DEFAULT,
            CircuitBreakerConfig.custom()
                .minimumNumberOfCalls(2)
                .slidingWindowSize(2)
                .waitDurationInOpenState(Duration.ofDays(1))
                .build());
    for (int i = 0; i < 2; i++) {
      assertThrows(
          UnsupportedOperationException.class,
          () ->
              breaker.executeRunnable(() -> {
                throw new UnsupportedOperationException();
              }));
    }
    assertEquals(CircuitBreaker.State.OPEN, breaker.getState());
    assertFalse(breaker.tryAcquirePermission());
  }

  @Test
  void stateOfTheUser_isLeftAlone() {
    group.setMax(MIB);
    charge.set(MIB);
    MemcgCircuitBreaker breaker = MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT);
    breaker.transitionToDisabledState();
    assertTrue(breaker.tryAcquirePermission());
    breaker.transitionToForcedOpenState();
    assertFalse(breaker.tryAcquirePermission());
    charge.set(0);
    assertFalse(breaker.tryAcquirePermission());
    breaker.transitionToClosedState();
    assertTrue(breaker.tryAcquirePermission());
  }

  @Test
  void removedGroup_isNotUnderPressure() {
    group.setMax(MIB);
    charge.set(MIB);
    MemcgCircuitBreaker breaker = MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT);
    assertTrue(breaker.refresh());
    group.remove();
    assertFalse(breaker.refresh());
  }

  @Test
  void registry_findsIt_untilClosed_andMetersShowIt() {
    MeterRegistry meters = new SimpleMeterRegistry();
    TaggedCircuitBreakerMetrics.ofCircuitBreakerRegistry(registry).bindTo(meters);
    MemcgCircuitBreaker breaker = MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT);
    assertSame(breaker, registry.circuitBreaker("/acme"));
    assertThrows(
        IllegalStateException.class,
        () -> MemcgCircuitBreaker.of(registry, group, Pressure.DEFAULT));
    group.setMax(MIB);
    charge.set(MIB);
    assertFalse(breaker.tryAcquirePermission());
    assertEquals(1, stateGauge(meters, "forced_open"));
    assertEquals(0, stateGauge(meters, "closed"));
    breaker.close();
    assertTrue(registry.find("/acme").isEmpty());
    assertEquals(0, meters.find("resilience4j.circuitbreaker.state").gauges().size());
  }

  private static double stateGauge(MeterRegistry meters, String state) {
    return meters
        .get("resilience4j.circuitbreaker.state")
        .tags("name", "/acme", "state", state)
        .gauge()
        .value();
  }

  @Test
  void manyThreads_stateIsThatOfTheGroupInTheEnd() throws Exception {
    group.setMax(1000 * MIB); // none of the threads is refused
    MemcgCircuitBreaker breaker =
        MemcgCircuitBreaker.of(registry, group, new Pressure(0.1, 0.05, false));
    for (int round = 0; round < 20; round++) {
      boolean under = round % 2 == 0;
      try (ExecutorService threads = Executors.newCachedThreadPool()) {
        List<Future<?>> tasks = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          tasks.add(
              threads.submit(() -> {
                for (int n = 0; n < 500; n++) {
                  charge.set(n % 2 == 0 ? 100 * MIB : MIB);
                  breaker.tryAcquirePermission();
                }
              }));
        }
        for (Future<?> task : tasks) {
          task.get();
        }
      }
      charge.set(under ? 100 * MIB : MIB);
      assertEquals(!under, breaker.tryAcquirePermission());
      assertEquals(
          under ? CircuitBreaker.State.FORCED_OPEN : CircuitBreaker.State.CLOSED,
          breaker.getState());
    }
  }

  @Test
  void pressure_outOfRange_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Pressure(1.1, 0.9, true));
    assertThrows(IllegalArgumentException.class, () -> new Pressure(0.8, 0.9, true));
    assertThrows(IllegalArgumentException.class, () -> new Pressure(Double.NaN, 0.9, true));
    assertThrows(IllegalArgumentException.class, () -> new Pressure(0.9, 0, true));
  }
}
