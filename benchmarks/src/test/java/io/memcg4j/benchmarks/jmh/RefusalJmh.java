package io.memcg4j.benchmarks.jmh;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.slab.Kmalloc;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What does a refusal cost: as a value, and as an exception? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Thread)
public class RefusalJmh {
  private static final int LIMIT = 1 << 20;

  private Kmalloc kmalloc;
  private io.memcg4j.objcg.Scope scope;
  private Kmalloc.Bound bound;

  @Setup
  public void open() {
    MemCgroup root = MemCgroup.root();
    kmalloc = Kmalloc.create(root);
    MemCgroup group = root.create("limited");
    group.setMax(LIMIT);
    scope = ObjCgroup.of(group).enter();
    bound = kmalloc.bind(scope);
  }

  @Benchmark
  public long value() {
    return bound.tryAllocate(2 * LIMIT);
  }

  @Benchmark
  public MemoryLimitException exception() {
    try {
      bound.allocate(2 * LIMIT);
      throw new IllegalStateException("not refused: bytes=" + 2 * LIMIT);
    } catch (MemoryLimitException e) {
      return e;
    }
  }

  @TearDown
  public void close() {
    scope.close();
    kmalloc.close();
  }
}
