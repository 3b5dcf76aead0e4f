package io.memcg4j.benchmarks.jmh;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.ValueLayout;
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

/**
 * How long does a leak scan take, by objects? Each points to the next; the Java heap is left out.
 * Microseconds.
 */
@BenchmarkMode(Mode.AverageTime)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@State(Scope.Thread)
public class LeakMarkJmh {
  @Param({"1000", "100000"})
  private int nrObjects;

  private final Kmalloc kmalloc = Kmalloc.create(MemCgroup.root());
  private long[] addresses;
  private Kmemleak leaks;

  @Setup
  public void fill() {
    addresses = new long[nrObjects];
    leaks = Kmemleak.builder(kmalloc).withoutJavaHeap().build();
    for (int i = 0; i < nrObjects; i++) {
      addresses[i] = kmalloc.allocateZeroed(64);
      if (i > 0) {
        Kmalloc.MEMORY.set(ValueLayout.JAVA_LONG, addresses[i - 1], addresses[i]);
      }
    }
    leaks.notLeak(addresses[0]);
  }

  @Benchmark
  public LeakReport scan() {
    return leaks.scan();
  }

  @TearDown
  public void close() {
    leaks.off();
    for (long address : addresses) {
      kmalloc.free(address);
    }
    kmalloc.close();
  }
}
