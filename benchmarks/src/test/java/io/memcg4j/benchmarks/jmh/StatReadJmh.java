package io.memcg4j.benchmarks.jmh;

import io.memcg4j.memcg.MemCgroupFs;
import io.memcg4j.memcg.MemoryStat;
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
import org.openjdk.jmh.annotations.Warmup;

/** What does it cost to read a group, by its children? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
public class StatReadJmh {
  @Param({"0", "1000"})
  private int nrChildren;

  private MemCgroupFs files;

  @Setup
  public void create(Tenant tenant) {
    files = new MemCgroupFs(tenant.root);
    for (int i = 0; i < nrChildren; i++) {
      tenant.group.create("child" + i);
    }
  }

  @Benchmark
  public MemoryStat stat(Tenant tenant) {
    return tenant.group.stat();
  }

  @Benchmark
  public MemoryStat flush(Tenant tenant) {
    return tenant.group.flush();
  }

  @Benchmark
  public long usage(Tenant tenant) {
    return tenant.group.usage();
  }

  @Benchmark
  public String statFile() {
    return files.read("tenant/memory.stat");
  }
}
