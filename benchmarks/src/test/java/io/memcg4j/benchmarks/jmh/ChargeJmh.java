package io.memcg4j.benchmarks.jmh;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What does it cost to declare memory, by depth of the tree? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
public class ChargeJmh {
  private static final long PAGE = 4096;

  @Param({"1", "3", "10"})
  private int depth;

  private Charge charge;

  @Setup
  public void open() {
    MemCgroup group = MemCgroup.root();
    for (int i = 0; i < depth; i++) {
      group = group.create("level" + i);
      group.setMax(1L << 40);
    }
    charge = group.charge("heap", MemoryClass.HEAP);
  }

  /** 64 pages more, then less. */
  @Benchmark
  public boolean setUpAndDown() {
    boolean granted = charge.trySet(64 * PAGE);
    charge.set(0);
    return granted;
  }

  @TearDown
  public void close() {
    charge.close();
  }
}
