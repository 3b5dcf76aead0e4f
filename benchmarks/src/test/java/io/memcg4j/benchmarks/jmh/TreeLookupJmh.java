package io.memcg4j.benchmarks.jmh;

import io.memcg4j.slab.AddressTree;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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

/** What does it cost to find the area that an address lies in? */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Benchmark)
public class TreeLookupJmh {
  private static final int NR_ADDRESSES = 1 << 12;
  private static final long STRIDE = 1 << 16;

  @Param({"100", "10000", "1000000"})
  private int nrAreas;

  private final AddressTree<Long> tree = new AddressTree<>();
  private final ConcurrentSkipListMap<Long, Long> skipList = new ConcurrentSkipListMap<>();
  private final long[] addresses = new long[NR_ADDRESSES];
  private int next;

  @Setup
  public void fill() {
    for (long i = 1; i <= nrAreas; i++) {
      tree.insert(i * STRIDE, STRIDE / 2, i);
      skipList.put(i * STRIDE, i);
    }
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < NR_ADDRESSES; i++) {
      addresses[i] = (1 + random.nextInt(nrAreas)) * STRIDE + random.nextInt((int) STRIDE / 2);
    }
  }

  @Benchmark
  public @Nullable Long tree() {
    return tree.find(addresses[next++ & (NR_ADDRESSES - 1)]);
  }

  @Benchmark
  public Map.@Nullable Entry<Long, Long> skipList() {
    return skipList.floorEntry(addresses[next++ & (NR_ADDRESSES - 1)]);
  }
}
