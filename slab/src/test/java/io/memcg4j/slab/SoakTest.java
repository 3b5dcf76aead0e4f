package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Everything at once for a time: sizes of all kinds, areas, per-CPU memory, arenas, deferred frees,
 * limits that change, groups that go, frees by others. Five seconds, ten minutes with {@code
 * -Pproof}; or as many seconds as {@code -Dmemcg4j.soak.seconds} says.
 */
final class SoakTest {
  private static final int NR_THREADS = 4;
  private static final int NR_GROUPS = 6;
  private static final int MAX_LIVE_BYTES = 24 << 20;
  private static final int RSS_SLACK_PERCENT = 15;
  private static final long RSS_SLACK_BYTES = 32L << 20;
  private static final int MIN_SECONDS_FOR_RSS = 60;

  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final AtomicReferenceArray<MemCgroup> groups = new AtomicReferenceArray<>(NR_GROUPS);
  private final ConcurrentLinkedQueue<Block> handedOver = new ConcurrentLinkedQueue<>();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private final AtomicLong nrOperations = new AtomicLong();
  private final AtomicLong nrRefusals = new AtomicLong();
  private final AtomicLong nrRemovals = new AtomicLong();
  private final long seed = System.nanoTime();
  private volatile boolean stop;

  private enum Kind {
    OBJECT,
    AREA,
    PERCPU
  }

  private record Block(Kind kind, long address, int nrBytes, long tag) {
    void write() {
      Instance.writeLong(address, 0, tag);
      Instance.writeLong(address, nrBytes - 8L, tag);
    }

    void check() {
      long first = Instance.readLong(address, 0);
      long last = Instance.readLong(address, nrBytes - 8L);
      if (first != tag || last != tag) {
        throw new AssertionError("contents lost: " + this + " first=" + first + " last=" + last);
      }
    }
  }

  @Test
  void everythingAtOnce_nothingIsLost_memoryStaysFlat() throws Exception {
    long nrSeconds =
        Long.getLong(
            "memcg4j.soak.seconds",
            System.getProperty("memcg4j.jcstress", "short").equals("full") ? 600 : 5);
    for (int i = 0; i < NR_GROUPS; i++) {
      groups.set(i, instance.root.create("tenant" + i));
    }
    List<Thread> threads = new ArrayList<>();
    try (KmemCache cache = KmemCache.create(kmalloc, "soak", 120)) {
      for (int i = 0; i < NR_THREADS; i++) {
        Random random = new Random(seed + i);
        threads.add(Thread.ofPlatform().name("soak-" + i).start(() -> run(random, cache)));
      }
      List<Long> resident = watch(nrSeconds, new Random(seed - 1));
      stop = true;
      for (Thread thread : threads) {
        thread.join();
      }
      for (Block block = handedOver.poll(); block != null; block = handedOver.poll()) {
        free(block);
      }
      rethrow();
      requireFlat(resident);
    }
    System.err.printf(
        "soak: seed=%d seconds=%d operations=%d refusals=%d removals=%d%n",
        seed, nrSeconds, nrOperations.get(), nrRefusals.get(), nrRemovals.get());
    assertTrue(nrOperations.get() > 1000, "seed=" + seed);
    for (int i = 0; i < NR_GROUPS; i++) {
      groups.get(i).remove();
    }
    instance.assertNothingLeft();
    instance.close();
  }

  private void rethrow() {
    Throwable thrown = failure.get();
    if (thrown != null) {
      throw new AssertionError("seed=" + seed, thrown);
    }
  }

  /** Changes limits, removes groups, shrinks, and looks at the process once a second. */
  private List<Long> watch(long nrSeconds, Random random) throws Exception {
    List<Long> resident = new ArrayList<>();
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(nrSeconds);
    for (int tick = 0; System.nanoTime() < end && failure.get() == null; tick++) {
      Thread.sleep(20);
      int index = random.nextInt(NR_GROUPS);
      MemCgroup group = groups.get(index);
      switch (random.nextInt(4)) {
        case 0 -> group.setMaxNoBlock((2L << 20) + random.nextInt(14 << 20));
        case 1 -> kmalloc.shrink();
        case 2 -> {
          groups.set(index, instance.root.create("tenant-" + tick));
          group.remove();
          nrRemovals.incrementAndGet();
        }
        default -> group.drain();
      }
      assertTrue(instance.root.usage() >= 0, "seed=" + seed);
      if (tick % 50 == 49) {
        resident.add(residentBytes());
      }
    }
    return resident;
  }

  private void requireFlat(List<Long> resident) {
    if (resident.size() < MIN_SECONDS_FOR_RSS) {
      return; // too short to tell growth from warming up
    }
    int quarter = resident.size() / 4;
    long early = median(resident.subList(quarter, 2 * quarter));
    long late = median(resident.subList(3 * quarter, resident.size()));
    assertTrue(
        late <= early + early * RSS_SLACK_PERCENT / 100 + RSS_SLACK_BYTES,
        "resident memory grew: early=" + early + " late=" + late + " seed=" + seed);
  }

  private static long median(List<Long> values) {
    long[] sorted = values.stream().mapToLong(Long::longValue).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private static long residentBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
      }
    }
    return 0;
  }

  private void run(Random random, KmemCache cache) {
    List<Block> mine = new ArrayList<>();
    long liveBytes = 0;
    try {
      while (!stop && failure.get() == null) {
        ObjCgroup payer = ObjCgroup.of(groups.get(random.nextInt(NR_GROUPS)));
        try (Scope _ = payer.enter()) {
          for (int i = random.nextInt(60); i > 0; i--) {
            nrOperations.incrementAndGet();
            if (liveBytes > MAX_LIVE_BYTES || (!mine.isEmpty() && random.nextInt(5) < 2)) {
              Block block = mine.set(random.nextInt(mine.size()), mine.getLast());
              mine.removeLast();
              liveBytes -= block.nrBytes();
              block.check();
              if (random.nextInt(8) == 0) {
                handedOver.add(block);
              } else {
                free(block);
              }
            } else {
              Block block = allocate(random);
              if (block != null) {
                liveBytes += block.nrBytes();
                mine.add(block);
              }
            }
          }
          useCacheAndArenas(random, cache);
          for (int i = 0; i < 20; i++) {
            Block block = handedOver.poll();
            if (block != null) {
              free(block);
            }
          }
        }
      }
    } catch (Throwable t) {
      failure.compareAndSet(null, t);
    } finally {
      mine.forEach(this::free);
    }
  }

  private @Nullable Block allocate(Random random) {
    int nrBytes = 16 + random.nextInt(random.nextInt(20) == 0 ? 100_000 : 2000);
    Kind kind = Kind.OBJECT;
    long address;
    int choice = random.nextInt(40);
    if (choice == 0) {
      kind = Kind.AREA;
      address = kmalloc.vmalloc().tryAllocate(nrBytes);
    } else if (choice == 1) {
      kind = Kind.PERCPU;
      nrBytes = 16 + random.nextInt(500);
      address = kmalloc.percpu().tryAllocate(nrBytes);
    } else {
      address = kmalloc.tryAllocate(nrBytes);
    }
    if (address == Kmalloc.NULL) {
      nrRefusals.incrementAndGet();
      return null;
    }
    Block block = new Block(kind, address, nrBytes, random.nextLong());
    block.write();
    if (kind == Kind.OBJECT && random.nextInt(10) == 0) {
      int newBytes = 16 + random.nextInt(4000);
      long moved = kmalloc.tryReallocate(address, newBytes);
      if (moved != Kmalloc.NULL) {
        assertEquals(block.tag(), Instance.readLong(moved, 0), "seed=" + seed);
        block = new Block(kind, moved, newBytes, block.tag());
        block.write();
      }
    }
    return block;
  }

  private void useCacheAndArenas(Random random, KmemCache cache) {
    long object = cache.tryAllocate();
    if (object != Kmalloc.NULL) {
      Instance.writeLong(object, 0, object);
      if (random.nextBoolean()) {
        cache.freeDeferred(object);
      } else {
        cache.free(object);
      }
    }
    if (random.nextInt(4) == 0) {
      try (Arena arena =
          random.nextBoolean()
              ? AccountedArena.ofConfined(kmalloc)
              : AccountedArena.ofShared(kmalloc)) {
        for (int i = random.nextInt(5); i >= 0; i--) {
          MemorySegment segment = arena.allocate(8 + random.nextInt(10_000), 8);
          segment.set(ValueLayout.JAVA_LONG, 0, i);
        }
      } catch (MemoryLimitException e) {
        nrRefusals.incrementAndGet();
      }
    }
  }

  private void free(Block block) {
    block.check();
    switch (block.kind()) {
      case OBJECT -> kmalloc.free(block.address());
      case AREA -> kmalloc.vmalloc().free(block.address());
      case PERCPU -> kmalloc.percpu().free(block.address());
    }
  }
}
