package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.Test;

/** Caches whose memory holds objects of theirs as long as a reader may look. */
final class TypesafeTest {
  private static final long SEED = 0x7e5a_feL;
  private static final long MAGIC = 0x7a6b_5c4d_3e2f_1a0bL;
  private static final int SIZE = 128;

  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;

  private KmemCache cache(boolean typesafe) {
    return KmemCache.builder(kmalloc, "typed")
        .size(SIZE)
        .typesafe(typesafe)
        .constructor(address -> Instance.writeLong(address, 0, MAGIC))
        .build();
  }

  /** K10 of the kernel's tests: legal inside the section, gone after the grace period. */
  @Test
  void free_readerInside_memoryStaysUntilItLeaves() {
    KmemCache cache = cache(true);
    long address;
    long mapped;
    try (ReadSection _ = kmalloc.readSection()) {
      address = cache.allocate();
      cache.free(address);
      mapped = cache.info().mappedBytes();
      kmalloc.shrink();
      cache.shrink();
      instance.allocator().purge(System.nanoTime());
      assertEquals(mapped, cache.info().mappedBytes());
      assertEquals(MAGIC, Instance.readLong(address, 0), "given to the OS under a reader");
      long again = cache.allocate();
      assertEquals(address, again, "an object is reused at once");
      cache.free(again);
    }
    assertTrue(cache.shrink() > 0);
    assertEquals(0, cache.info().mappedBytes());
    cache.close();
    instance.assertNothingLeft();
    instance.close();
  }

  /** Without the flag the same steps give the memory away: the test above can fail. */
  @Test
  void free_notTypesafeReaderInside_memoryGoes() {
    KmemCache cache = cache(false);
    try (ReadSection _ = kmalloc.readSection()) {
      cache.free(cache.allocate());
      cache.shrink();
      assertEquals(0, cache.info().mappedBytes());
    }
    cache.close();
    instance.close();
  }

  @Test
  void close_readerInsideElsewhere_memoryStaysUntilItLeaves() throws Exception {
    KmemCache cache = cache(true);
    long address = cache.allocate();
    cache.free(address);
    int token = kmalloc.readers().readLock();
    cache.close();
    kmalloc.shrink();
    assertEquals(MAGIC, Instance.readLong(address, 0));
    for (int i = 0; i < 2000; i++) { // another cache does not get it either
      assertFalse(kmalloc.allocate(SIZE) == address);
    }
    kmalloc.readers().readUnlock(token);
    kmalloc.shrink();
    assertEquals(null, instance.allocator().range().find(address));
  }

  /** While others fill and empty slabs, a reader finds the type's mark wherever it once looked. */
  @Test
  void readers_whileSlabsComeAndGo_seeOnlyObjectsOfTheType() throws Exception {
    assertEquals(0, nrStrangersSeen(true), () -> "seed=" + SEED);
    instance.assertNothingLeft();
    instance.close();
  }

  /** The twin: without the flag a reader does see what is none of its type. */
  @Test
  void readers_notTypesafeWhileSlabsComeAndGo_seeOthers() throws Exception {
    int nrSeen = 0;
    // Seen in the first round where readers run beside the writer; a busy machine may not let them.
    long deadline = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (nrSeen == 0 && System.nanoTime() < deadline) {
      nrSeen = nrStrangersSeen(false);
    }
    assertTrue(nrSeen > 0, () -> "seed=" + SEED);
    instance.close();
  }

  private int nrStrangersSeen(boolean typesafe) throws Exception {
    KmemCache cache = cache(typesafe);
    AtomicLongArray table = new AtomicLongArray(256);
    AtomicInteger nrStrangers = new AtomicInteger();
    AtomicInteger nrRunning = new AtomicInteger(1);
    List<Thread> readers = new ArrayList<>();
    for (int t = 0; t < 2; t++) {
      Random random = new Random(SEED + t);
      readers.add(
          Thread.ofPlatform()
              .start(() -> {
                while (nrRunning.get() > 0) {
                  try (ReadSection _ = kmalloc.readSection()) {
                    long address = table.get(random.nextInt(256));
                    for (int look = 0; address != 0 && look < 20; look++) {
                      Thread.onSpinWait();
                      if (Instance.readLong(address, 0) != MAGIC) {
                        nrStrangers.getAndIncrement();
                        break;
                      }
                    }
                  }
                }
              }));
    }
    long[] objects = new long[256];
    for (int round = 0; round < 60; round++) {
      cache.allocateBulk(objects, 0, 256);
      for (int i = 0; i < 256; i++) {
        table.set(i, objects[i]);
      }
      for (int i = 0; i < 256; i++) {
        table.set(i, 0);
        cache.free(objects[i]);
      }
      kmalloc.shrink();
      for (int i = 0; i < 256; i++) {
        objects[i] = kmalloc.allocateZeroed(SIZE);
      }
      for (long address : objects) {
        kmalloc.free(address);
      }
      kmalloc.shrink();
    }
    nrRunning.getAndDecrement();
    for (Thread reader : readers) {
      reader.join(60_000);
      assertFalse(reader.isAlive());
    }
    cache.close();
    return nrStrangers.get();
  }
}
