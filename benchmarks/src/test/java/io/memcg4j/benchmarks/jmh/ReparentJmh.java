package io.memcg4j.benchmarks.jmh;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What does the removal of a group cost, by its live objects? They move to the parent by one write
 * per handle.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Thread)
public class ReparentJmh {
  @Param({"0", "100", "100000"})
  private int nrObjects;

  private long[] addresses;
  private MemCgroup group;

  @Setup(Level.Invocation)
  public void fill(Tenant tenant) {
    addresses = new long[nrObjects];
    group = tenant.group.create("child");
    try (io.memcg4j.objcg.Scope scope = ObjCgroup.of(group).enter()) {
      for (int i = 0; i < nrObjects; i++) {
        addresses[i] = tenant.kmalloc.allocate(64);
      }
    }
  }

  @Benchmark
  public MemCgroup remove() {
    group.remove();
    return group;
  }

  @TearDown(Level.Invocation)
  public void free(Tenant tenant) {
    for (long address : addresses) {
      tenant.kmalloc.free(address);
    }
  }
}
