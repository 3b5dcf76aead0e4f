package io.memcg4j.benchmarks.jmh;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Group;
import org.openjdk.jmh.annotations.GroupThreads;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Control;

/** What does an object cost that another thread frees? One of the two waits for the slower one. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Group)
public class HandoffJmh {
  private static final int BATCH = 256;
  private static final int NR_PLACES = 64;

  @Param({"64", "1024"})
  private int size;

  private final AtomicReferenceArray<long @Nullable []> ring =
      new AtomicReferenceArray<>(NR_PLACES);
  private int head;
  private int tail;

  @Benchmark
  @Group("handoff")
  @GroupThreads(1)
  @OperationsPerInvocation(BATCH)
  public void allocate(Tenant.Inside inside, Control control) {
    while (ring.getAcquire(tail) != null) {
      if (control.stopMeasurement) {
        return;
      }
      Thread.onSpinWait();
    }
    long[] batch = new long[BATCH];
    for (int i = 0; i < BATCH; i++) {
      batch[i] = inside.bound.allocate(size);
    }
    ring.setRelease(tail, batch);
    tail = (tail + 1) % NR_PLACES;
  }

  @Benchmark
  @Group("handoff")
  @GroupThreads(1)
  @OperationsPerInvocation(BATCH)
  public void free(Tenant tenant, Control control) {
    long[] batch = ring.getAcquire(head);
    while (batch == null) {
      if (control.stopMeasurement) {
        return;
      }
      Thread.onSpinWait();
      batch = ring.getAcquire(head);
    }
    for (long address : batch) {
      tenant.kmalloc.free(address);
    }
    ring.setRelease(head, null);
    head = (head + 1) % NR_PLACES;
  }

  @TearDown(Level.Iteration)
  public void freeTheRest(Tenant tenant) {
    for (int i = 0; i < NR_PLACES; i++) {
      long[] batch = ring.getAndSet(i, null);
      for (int j = 0; batch != null && j < BATCH; j++) {
        tenant.kmalloc.free(batch[j]);
      }
    }
    head = 0;
    tail = 0;
  }
}
