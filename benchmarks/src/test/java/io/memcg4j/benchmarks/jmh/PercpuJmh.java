package io.memcg4j.benchmarks.jmh;

import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.CpuSlots;
import io.memcg4j.percpu.PercpuCounter;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
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
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;

/** What does a count cost that many threads keep? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
@Threads(2)
public class PercpuJmh {
  private final CpuSlots slots = CpuSlots.create();
  private final PercpuCounter counter = new PercpuCounter(slots);
  private final AtomicLong atomic = new AtomicLong();
  private final LongAdder adder = new LongAdder();

  /** A thread with a slot. */
  @State(Scope.Thread)
  public static class Owner {
    private CpuSlot slot;

    @Setup
    public void claim(PercpuJmh bench) {
      slot = bench.slots.claimShared();
    }

    @TearDown
    public void release() {
      slot.release();
    }
  }

  @Benchmark
  public void counter(Owner owner) {
    counter.add(owner.slot, 1);
  }

  @Benchmark
  public long counterAlone(Owner owner) {
    counter.add(owner.slot, 1);
    return counter.approximate();
  }

  @Benchmark
  public long atomic() {
    return atomic.incrementAndGet();
  }

  @Benchmark
  public void adder() {
    adder.increment();
  }
}
