package io.memcg4j.benchmarks.jmh;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What does an object cost that is held for a while: allocated, and freed after a thousand others?
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
public class AllocateJmh {
  private static final int NR_OBJECTS = 1000;

  @Param({"16", "64", "256", "1024", "4096", "65536"})
  private int size;

  private final long[] addresses = new long[NR_OBJECTS];
  private final MemorySegment[] segments = new MemorySegment[NR_OBJECTS];

  /** The caller holds the allocator that is bound to its scope. */
  @Benchmark
  @OperationsPerInvocation(NR_OBJECTS)
  public long[] bound(Tenant.Inside inside) {
    for (int i = 0; i < NR_OBJECTS; i++) {
      addresses[i] = inside.bound.allocate(size);
    }
    for (long address : addresses) {
      inside.bound.free(address);
    }
    return addresses;
  }

  /** The allocator finds the scope by the thread. */
  @Benchmark
  @OperationsPerInvocation(NR_OBJECTS)
  public long[] byThread(Tenant tenant, Tenant.Inside inside) {
    for (int i = 0; i < NR_OBJECTS; i++) {
      addresses[i] = tenant.kmalloc.allocate(size);
    }
    for (long address : addresses) {
      tenant.kmalloc.free(address);
    }
    return addresses;
  }

  /** As a segment with bounds. */
  @Benchmark
  @OperationsPerInvocation(NR_OBJECTS)
  public MemorySegment[] segment(Tenant tenant, Tenant.Inside inside) {
    for (int i = 0; i < NR_OBJECTS; i++) {
      segments[i] = tenant.kmalloc.allocateSegment(size);
    }
    for (MemorySegment segment : segments) {
      tenant.kmalloc.free(segment);
    }
    return segments;
  }
}
