package io.memcg4j.benchmarks.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** What does an object cost that is freed at once? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
public class PairJmh {
  @Param({"16", "64", "256", "1024", "4096", "65536"})
  private int size;

  @Benchmark
  public long bound(Tenant.Inside inside) {
    long address = inside.bound.allocate(size);
    inside.bound.free(address);
    return address;
  }

  @Benchmark
  public long byThread(Tenant tenant, Tenant.Inside inside) {
    long address = tenant.kmalloc.allocate(size);
    tenant.kmalloc.free(address);
    return address;
  }

  /** Outside any scope: a slot is claimed for each operation, nobody pays. */
  @Benchmark
  public long outsideScopes(Tenant tenant) {
    long address = tenant.kmalloc.allocate(size);
    tenant.kmalloc.free(address);
    return address;
  }

  @Benchmark
  public long zeroed(Tenant.Inside inside) {
    long address = inside.bound.allocateZeroed(size);
    inside.bound.free(address);
    return address;
  }
}
