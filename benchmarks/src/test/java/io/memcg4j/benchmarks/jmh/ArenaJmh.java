package io.memcg4j.benchmarks.jmh;

import io.memcg4j.slab.AccountedArena;
import java.lang.foreign.Arena;
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

/** What does an arena cost with a few segments in it, beside those of the JDK? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
public class ArenaJmh {
  @Param({"1", "16"})
  private int nrSegments;

  @Benchmark
  public long confined(Tenant tenant, Tenant.Inside inside) {
    try (Arena arena = AccountedArena.ofConfined(tenant.kmalloc)) {
      return fill(arena);
    }
  }

  @Benchmark
  public long shared(Tenant tenant, Tenant.Inside inside) {
    try (Arena arena = AccountedArena.ofShared(tenant.kmalloc)) {
      return fill(arena);
    }
  }

  @Benchmark
  public long jdkConfined() {
    try (Arena arena = Arena.ofConfined()) {
      return fill(arena);
    }
  }

  @Benchmark
  public long jdkShared() {
    try (Arena arena = Arena.ofShared()) {
      return fill(arena);
    }
  }

  private long fill(Arena arena) {
    long sum = 0;
    for (int i = 0; i < nrSegments; i++) {
      sum += arena.allocate(64).address();
    }
    return sum;
  }
}
