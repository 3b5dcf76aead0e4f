package io.memcg4j.benchmarks.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/** What does a scope cost around a piece of work? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class ScopeJmh {
  @Benchmark
  public int enterAndExit(Tenant tenant) {
    try (io.memcg4j.objcg.Scope scope = tenant.objcg.enter()) {
      return tenant.objcg.id();
    }
  }

  @Benchmark
  public int nested(Tenant tenant, Tenant.Inside inside) {
    try (io.memcg4j.objcg.Scope scope = tenant.objcg.enter()) {
      return tenant.objcg.id();
    }
  }

  @Benchmark
  public long withOnePair(Tenant tenant) {
    try (io.memcg4j.objcg.Scope scope = tenant.objcg.enter()) {
      long address = tenant.kmalloc.allocate(64);
      tenant.kmalloc.free(address);
      return address;
    }
  }
}
