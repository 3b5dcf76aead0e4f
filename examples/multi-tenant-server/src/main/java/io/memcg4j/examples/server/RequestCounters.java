package io.memcg4j.examples.server;

import io.memcg4j.percpu.PercpuAllocator;
import java.util.EnumMap;
import java.util.Map;

/**
 * What a tenant's requests did, counted per CPU slot: an addition inside a scope is a load and a
 * store. The memory is the tenant's.
 */
final class RequestCounters implements AutoCloseable {
  /** What is counted. */
  enum Counter {
    GETS,
    PUTS,
    DELETES,
    QUERIES,
    /** By a limit: 507. */
    REFUSED,
    /** Because too many requests of the tenant were at work: 429. */
    TURNED_AWAY,
    /** Wrong requests: 4xx but 429. */
    REJECTED,
    THROTTLED,
    THROTTLED_NANOS,
    BYTES_IN,
    BYTES_OUT
  }

  private final PercpuAllocator percpu;
  private final Map<Counter, Long> handles = new EnumMap<>(Counter.class);

  /** Zeros. The calling thread's scope pays. */
  RequestCounters(PercpuAllocator percpu) {
    this.percpu = percpu;
    try {
      for (Counter counter : Counter.values()) {
        handles.put(counter, percpu.allocate(Long.BYTES));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Adds: in a scope on its slot, a load and a store; outside on a slot claimed for it. */
  void add(Counter counter, long amount) {
    percpu.add(handle(counter), amount);
  }

  long sum(Counter counter) {
    return percpu.sum(handle(counter));
  }

  private long handle(Counter counter) {
    return handles.getOrDefault(counter, PercpuAllocator.NULL);
  }

  Map<Counter, Long> sums() {
    Map<Counter, Long> sums = new EnumMap<>(Counter.class);
    for (Counter counter : Counter.values()) {
      sums.put(counter, sum(counter));
    }
    return sums;
  }

  /** To be called when nobody counts any more. */
  @Override
  public void close() {
    handles.values().forEach(percpu::free);
  }
}
