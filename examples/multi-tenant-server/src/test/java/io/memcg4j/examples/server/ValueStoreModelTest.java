package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Many threads put, get, delete and clear few keys, with freed memory poisoned. */
class ValueStoreModelTest {
  private static final int NR_THREADS = 8;
  private static final int NR_STEPS = 1500;
  private static final int NR_KEYS = 4;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anyOrder_readersSeeWholeValues_andNothingIsLeft(long seed) throws InterruptedException {
    MemCgroup root = MemCgroup.root();
    MemCgroup group = root.create("tenant");
    group.setMax(1 << 20);
    ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
    AtomicLong nrRefused = new AtomicLong();
    AtomicLong nrRead = new AtomicLong();
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      kmalloc.debug().set("ZPU"); // freed memory reads as a pattern that no value has
      ValueStore store = new ValueStore(kmalloc, group, version -> {});
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < NR_THREADS; i++) {
        SplittableRandom random = new SplittableRandom(seed * NR_THREADS + i);
        Runnable steps =
            () -> {
              for (int step = 0; step < NR_STEPS && failures.isEmpty(); step++) {
                try {
                  step(store, group, random, nrRead);
                } catch (MemoryLimitException e) {
                  nrRefused.incrementAndGet();
                } catch (Throwable e) {
                  failures.add(e);
                }
              }
            };
        threads.add(
            i % 2 == 0 ? Thread.ofVirtual().start(steps) : Thread.ofPlatform().start(steps));
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(List.of(), List.copyOf(failures), "seed=" + seed);
      assertEquals(0, store.nrHeld(), "seed=" + seed);
      assertTrue(nrRead.get() > NR_STEPS, "seed=" + seed + " read=" + nrRead);
      store.close();
      assertEquals(0, kmalloc.debug().validate(), "seed=" + seed);
      group.drain();
      assertEquals(0, group.usage(), "seed=" + seed + " refused=" + nrRefused);
    }
  }

  private static void step(
      ValueStore store, MemCgroup group, SplittableRandom random, AtomicLong nrRead) {
    String key = "key" + random.nextInt(NR_KEYS);
    switch (random.nextInt(16)) {
      case 0, 1, 2, 3, 4, 5 -> {
        Value value;
        int nrBytes =
            random.nextInt(20) == 0
                ? ValueStore.AREA_BYTES + random.nextInt(9000)
                : 8 + random.nextInt(random.nextBoolean() ? 200 : 20_000);
        try (Scope scope = ObjCgroup.of(group).enter()) {
          value = store.allocate(nrBytes);
        }
        value.memory().fill(mark(value));
        if (random.nextInt(8) == 0) {
          store.release(value); // the body did not come
        } else {
          store.put(key, value);
        }
      }
      case 6, 7 -> store.remove(key);
      case 8 -> store.clear();
      default -> {
        Value value = store.get(key);
        if (value != null) {
          check(value);
          Thread.yield(); // others replace it meanwhile
          check(value);
          store.release(value);
          nrRead.incrementAndGet();
        }
      }
    }
  }

  private static byte mark(Value value) {
    return (byte) (1 + value.version() % 80); // never the poison of freed or of new memory
  }

  private static void check(Value value) {
    MemorySegment memory = value.memory();
    byte mark = mark(value);
    for (long at = 0; at < memory.byteSize(); at += 7) {
      byte seen = memory.get(ValueLayout.JAVA_BYTE, at);
      assertEquals(mark, seen, () -> "version=" + value.version() + " bytes=" + value.nrBytes());
    }
  }

  @Test
  void get_ofAReplacedValue_staysReadable() {
    MemCgroup root = MemCgroup.root();
    MemCgroup group = root.create("tenant");
    try (Kmalloc kmalloc = Kmalloc.create(root)) {
      kmalloc.debug().set("ZPU");
      List<Long> takenOut = new ArrayList<>();
      ValueStore store = new ValueStore(kmalloc, group, takenOut::add);
      Value first = store.allocate(100);
      first.memory().fill((byte) 7);
      assertTrue(store.put("k", first));
      Value seen = store.get("k");
      assertEquals(first, seen);
      Value second = store.allocate(100);
      assertTrue(!store.put("k", second));
      assertEquals(List.of(first.version()), takenOut);
      assertEquals(7, first.memory().get(ValueLayout.JAVA_BYTE, 99));
      assertEquals(2, kmalloc.info().nrObjects());
      store.release(first);
      assertEquals(1, kmalloc.info().nrObjects());
      assertEquals(0, store.nrHeld());
      store.close();
      assertEquals(0, group.usage());
    }
  }
}
