package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Objects that go from thread to thread. */
final class ThreadsTest {
  private static final long[] NO_MORE = {};

  /** Batches allocated by producers of several tenants, freed by consumers of others. */
  @ParameterizedTest
  @CsvSource({"1, 1, 8", "3, 3, 8", "4, 2, 0", "2, 4, 3"})
  void free_byConsumers_usageIsExact(int nrProducers, int nrConsumers, int nrScopeSlots)
      throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(nrScopeSlots, 3))) {
      BlockingQueue<long[]> queue = new ArrayBlockingQueue<>(8);
      List<MemCgroup> groups = new ArrayList<>();
      List<FutureTask<Void>> producers = new ArrayList<>();
      List<FutureTask<Void>> consumers = new ArrayList<>();
      long[] keptCharges = new long[nrProducers];
      List<Long> kept = Collections.synchronizedList(new ArrayList<>());
      for (int p = 0; p < nrProducers; p++) {
        int producer = p;
        groups.add(instance.root.create("p" + p));
        producers.add(
            new FutureTask<>(() -> {
              keptCharges[producer] =
                  produce(instance, groups.get(producer), producer, queue, kept);
              return null;
            }));
      }
      for (int c = 0; c < nrConsumers; c++) {
        ObjCgroup handle = instance.handle("c" + c);
        boolean scoped = c % 2 == 0;
        consumers.add(
            new FutureTask<>(() -> {
              if (scoped) {
                try (Scope scope = handle.enter()) {
                  Kmalloc.Bound bound = instance.kmalloc.bind(scope);
                  consume(queue, bound::free);
                }
              } else {
                consume(queue, instance.kmalloc::free);
              }
              return null;
            }));
      }
      producers.forEach(task -> new Thread(task, "producer").start());
      consumers.forEach(task -> new Thread(task, "consumer").start());
      for (FutureTask<Void> task : producers) {
        Instance.await(task);
      }
      for (int c = 0; c < nrConsumers; c++) {
        queue.put(NO_MORE);
      }
      for (FutureTask<Void> task : consumers) {
        Instance.await(task);
      }
      for (int p = 0; p < nrProducers; p++) {
        assertEquals(
            Instance.roundToPages(keptCharges[p]), instance.drainedUsage(groups.get(p)), "p" + p);
      }
      assertEquals(kept.size(), instance.kmalloc.info().nrObjects());
      kept.forEach(instance.kmalloc::free);
      instance.assertNothingLeft();
    }
  }

  private static long produce(
      Instance instance, MemCgroup group, int seed, BlockingQueue<long[]> queue, List<Long> kept)
      throws InterruptedException {
    Random random = new Random(seed);
    long keptCharge = 0;
    for (int batch = 0; batch < 60; batch++) {
      long[] objects = new long[200];
      try (Scope scope = instance.enter(group)) {
        Kmalloc.Bound bound = instance.kmalloc.bind(scope);
        for (int i = 0; i < objects.length; i++) {
          int size = 16 + random.nextInt(random.nextInt(30) == 0 ? 50_000 : 1000);
          long address = bound.allocate(size);
          tag(address, size);
          if (random.nextInt(100) == 0) {
            kept.add(address);
            keptCharge += Instance.chargeOf(size);
            objects[i] = Kmalloc.NULL;
          } else {
            objects[i] = address;
          }
        }
      }
      queue.put(objects);
    }
    return keptCharge;
  }

  private interface Free {
    void free(long address);
  }

  private static void consume(BlockingQueue<long[]> queue, Free free) throws InterruptedException {
    while (true) {
      long[] objects = queue.poll(60, TimeUnit.SECONDS);
      if (objects == NO_MORE) {
        return;
      }
      for (long address : objects) {
        if (address != Kmalloc.NULL) {
          checkTag(address);
          free.free(address);
        }
      }
    }
  }

  /** Size at the front, address at the back: nobody else may write into it while it lives. */
  private static void tag(long address, int size) {
    Instance.writeLong(address, 0, size);
    Instance.writeLong(address, size - 8, address);
  }

  private static void checkTag(long address) {
    long size = Instance.readLong(address, 0);
    assertTrue(size >= 16 && size <= 200_000, () -> "overwritten: size=" + size);
    assertEquals(address, Instance.readLong(address, size - 8), "overwritten at the end");
  }

  /** Eight threads swap objects through one table, so that most frees are elsewhere. */
  @Test
  void allocateAndFree_eightThreadsSharingOneTable_objectsNeverOverlap() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(6, 3))) {
      int nrPlaces = 2000;
      long[] places = new long[nrPlaces];
      AtomicIntegerArray locks = new AtomicIntegerArray(nrPlaces);
      List<FutureTask<Void>> tasks = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        int seed = t;
        ObjCgroup handle = instance.handle("t" + t);
        tasks.add(
            new FutureTask<>(() -> {
              Random random = new Random(seed);
              for (int round = 0; round < 10; round++) {
                if (seed % 4 == 3) {
                  swap(instance.kmalloc, random, places, locks);
                } else {
                  try (Scope _ = handle.enter()) {
                    swap(instance.kmalloc, random, places, locks);
                  }
                }
              }
              return null;
            }));
      }
      tasks.forEach(task -> new Thread(task).start());
      for (FutureTask<Void> task : tasks) {
        Instance.await(task);
      }
      for (long address : places) {
        if (address != Kmalloc.NULL) {
          checkTag(address);
          instance.kmalloc.free(address);
        }
      }
      instance.assertNothingLeft();
    }
  }

  private static void swap(
      Kmalloc kmalloc, Random random, long[] places, AtomicIntegerArray locks) {
    for (int i = 0; i < 3000; i++) {
      int place = random.nextInt(places.length);
      if (!locks.compareAndSet(place, 0, 1)) {
        continue;
      }
      long old = places[place];
      if (old != Kmalloc.NULL) {
        checkTag(old);
      }
      int dice = random.nextInt(10);
      if (dice < 6) {
        if (old != Kmalloc.NULL) {
          kmalloc.free(old);
        }
        int size = 16 + random.nextInt(dice == 0 ? 20_000 : 600);
        long address = kmalloc.allocate(size);
        tag(address, size);
        places[place] = address;
      } else if (dice < 8 && old != Kmalloc.NULL) {
        int size = 16 + random.nextInt(2000);
        long oldSize = Instance.readLong(old, 0);
        long address = kmalloc.reallocate(old, size);
        assertEquals(oldSize, Instance.readLong(address, 0));
        tag(address, size);
        places[place] = address;
      } else if (old != Kmalloc.NULL) {
        kmalloc.free(old);
        places[place] = Kmalloc.NULL;
      }
      locks.set(place, 0);
    }
  }

  /** Slabs change hands between slots while objects of theirs are freed from everywhere. */
  @Test
  void free_whileSlabsAreRetiredAndReused_nothingIsLost() throws Exception {
    try (Instance instance = Instance.of(CpuSlots.create(4, 2))) {
      int nrThreads = 4;
      List<BlockingQueue<long[]>> queues = new ArrayList<>();
      for (int t = 0; t < nrThreads; t++) {
        queues.add(new ArrayBlockingQueue<>(1000));
      }
      List<FutureTask<Void>> tasks = new ArrayList<>();
      for (int t = 0; t < nrThreads; t++) {
        int me = t;
        ObjCgroup handle = instance.handle("t" + t);
        tasks.add(
            new FutureTask<>(() -> {
              Random random = new Random(me);
              try (Scope scope = handle.enter()) {
                Kmalloc.Bound bound = instance.kmalloc.bind(scope);
                for (int round = 0; round < 400; round++) {
                  // One class at a time, so that slabs become empty and go to other slots.
                  int size = 1024 << (round / 20 % 4);
                  long[] objects = new long[64];
                  for (int i = 0; i < objects.length; i++) {
                    objects[i] = bound.allocate(size);
                    tag(objects[i], size);
                  }
                  queues.get(random.nextInt(nrThreads)).put(objects);
                  for (long[] theirs = queues.get(me).poll();
                      theirs != null;
                      theirs = queues.get(me).poll()) {
                    for (long address : theirs) {
                      checkTag(address);
                      bound.free(address);
                    }
                  }
                  if (me == 0 && round % 50 == 0) {
                    instance.kmalloc.shrink();
                  }
                }
              }
              return null;
            }));
      }
      tasks.forEach(task -> new Thread(task).start());
      for (FutureTask<Void> task : tasks) {
        Instance.await(task);
      }
      for (BlockingQueue<long[]> queue : queues) {
        for (long[] objects = queue.poll(); objects != null; objects = queue.poll()) {
          for (long address : objects) {
            checkTag(address);
            instance.kmalloc.free(address);
          }
        }
      }
      instance.assertNothingLeft();
    }
  }
}
