package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.CpuSlots;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random calls against a naive model, with limits, removal of groups and refusals of the OS. */
final class VmallocModelTest {
  private static final long PAGE = Instance.PAGE;

  private record Live(long nrBytes, long stamp, MemCgroup group) {}

  /** One thread: every address, size and charge is known. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void oneThread_anyCalls_beholdTheModel(long seed) {
    Random random = new Random(seed);
    try (Instance instance = Instance.ofRange(64 << 20)) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      MemCgroup parent = instance.root.create("p");
      List<MemCgroup> groups = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        groups.add(parent.create("g" + i));
      }
      groups.getFirst().setMax(200 * PAGE);
      TreeMap<Long, Live> model = new TreeMap<>();
      int nrCreated = 3;
      for (int step = 0; step < 4000; step++) {
        String where = "seed=" + seed + " step=" + step;
        MemCgroup group = groups.get(random.nextInt(groups.size()));
        int kind = random.nextInt(100);
        long nrBytes = 1L + random.nextInt((random.nextInt(10) == 0 ? 300 : 10) * (int) PAGE);
        long any = model.isEmpty() ? 0 : keyNear(model, random);
        if (kind < 40) {
          long alignment = 1L << random.nextInt(18);
          long address = instance.in(group, () -> vmalloc.tryAllocateAligned(nrBytes, alignment));
          if (address != Vmalloc.NULL) {
            assertEquals(0, address & (alignment - 1), where);
            put(model, address, new Live(nrBytes, random.nextLong(), group), where);
            assertEquals(0, Instance.readLong(address, 0) | Instance.read(address, nrBytes - 1));
            stamp(address, model.get(address));
          }
        } else if (kind < 65 && any != 0) {
          Live live = model.get(any);
          long moved = instance.in(group, () -> vmalloc.tryReallocate(any, nrBytes));
          if (moved != Vmalloc.NULL) {
            model.remove(any);
            Live now = new Live(nrBytes, live.stamp, moved == any ? live.group : group);
            put(model, moved, now, where);
            if (Math.min(nrBytes, live.nrBytes) >= 8) {
              assertEquals(live.stamp, Instance.readLong(moved, 0), where);
            }
            stamp(moved, now);
          }
        } else if (kind < 90 && any != 0) {
          checkStamp(any, model.remove(any), where);
          vmalloc.free(any);
          assertNull(vmalloc.find(any), where);
          assertThrows(IllegalArgumentException.class, () -> vmalloc.free(any), where);
        } else if (kind < 93) {
          vmalloc.purge();
        } else if (kind < 94) {
          instance.kmalloc.shrink();
        } else if (kind < 96) {
          instance.pages.refuse(random.nextBoolean());
        } else if (kind < 97 && nrCreated < 30) {
          int victim = random.nextInt(groups.size());
          MemCgroup gone = groups.get(victim);
          gone.remove();
          model.replaceAll((_, l) -> l.group == gone ? new Live(l.nrBytes, l.stamp, parent) : l);
          groups.set(victim, parent.create("g" + nrCreated++));
        }
        look(vmalloc, model, random, where);
        if (step % 100 == 0) {
          checkCharges(instance, groups, parent, model, where);
        }
      }
      instance.pages.refuse(false);
      checkCharges(instance, groups, parent, model, "end seed=" + seed);
      model.keySet().forEach(vmalloc::free);
      instance.assertNoAreasLeft();
    }
  }

  private static long keyNear(NavigableMap<Long, Live> model, Random random) {
    long first = model.firstKey();
    Long key = model.ceilingKey(first + (long) (random.nextDouble() * (model.lastKey() - first)));
    return key == null ? first : key;
  }

  private static void put(NavigableMap<Long, Live> model, long address, Live live, String where) {
    Long before = model.lowerKey(address + Instance.roundToPages(live.nrBytes));
    assertTrue(
        before == null || before + Instance.roundToPages(model.get(before).nrBytes) < address,
        () -> "overlaps or touches: " + where);
    model.put(address, live);
  }

  private static void stamp(long address, Live live) {
    if (live.nrBytes >= 8) {
      Instance.writeLong(address, 0, live.stamp);
      Instance.writeLong(address, Instance.roundToPages(live.nrBytes) - 8, live.stamp);
    }
  }

  private static void checkStamp(long address, Live live, String where) {
    if (live.nrBytes >= 8) {
      assertEquals(live.stamp, Instance.readLong(address, 0), where);
      assertEquals(
          live.stamp, Instance.readLong(address, Instance.roundToPages(live.nrBytes) - 8), where);
    }
  }

  private static void look(
      Vmalloc vmalloc, NavigableMap<Long, Live> model, Random random, String where) {
    if (model.isEmpty()) {
      return;
    }
    long from = model.firstKey() - 2 * PAGE;
    long address = from + (long) (random.nextDouble() * (model.lastKey() + 20 * PAGE - from));
    var floor = model.floorEntry(address);
    boolean inside =
        floor != null && address < floor.getKey() + Instance.roundToPages(floor.getValue().nrBytes);
    VmallocArea area = vmalloc.find(address);
    assertEquals(inside, area != null, where);
    if (area != null) {
      assertEquals((long) floor.getKey(), area.start(), where);
      assertEquals(floor.getValue().nrBytes, area.nrBytes(), where);
    }
  }

  private static void checkCharges(
      Instance instance,
      List<MemCgroup> groups,
      MemCgroup parent,
      Map<Long, Live> model,
      String where) {
    long all = 0;
    for (MemCgroup group : groups) {
      long sum = sumOf(model, group);
      assertEquals(sum, instance.drainedUsage(group), where);
      all += sum;
    }
    all += sumOf(model, parent);
    assertEquals(all, instance.drainedUsage(parent), where);
    assertEquals(all, instance.kmalloc.vmalloc().info().usedBytes(), where);
    assertEquals(model.size(), instance.kmalloc.vmalloc().info().nrAreas(), where);
    List<Long> walked = new ArrayList<>();
    instance.kmalloc.vmalloc().forEach(area -> walked.add(area.start()));
    assertEquals(new ArrayList<>(model.keySet()), walked, where);
  }

  private static long sumOf(Map<Long, Live> model, MemCgroup group) {
    return model.values().stream()
        .filter(live -> live.group == group)
        .mapToLong(live -> Instance.roundToPages(live.nrBytes))
        .sum();
  }

  private record Owned(long address, long nrBytes, long stamp) {}

  /** Areas change hands between threads, groups go, the purge runs, and one thread only looks. */
  @Test
  void manyThreads_areasChangeHands_nothingOverlapsOrIsLost() throws Exception {
    long seed = 77;
    int nrThreads = 3;
    try (Instance instance = Instance.of(CpuSlots.create(4, 2))) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      MemCgroup parent = instance.root.create("p");
      parent.setMax(3000 * PAGE);
      ConcurrentLinkedQueue<Owned> given = new ConcurrentLinkedQueue<>();
      AtomicBoolean done = new AtomicBoolean();
      List<FutureTask<Void>> workers = new ArrayList<>();
      for (int i = 0; i < nrThreads; i++) {
        int thread = i;
        workers.add(
            new FutureTask<>(() -> {
              work(instance, parent, given, thread, seed);
              return null;
            }));
      }
      FutureTask<Long> looker =
          new FutureTask<>(() -> {
            long nrLooks = 0;
            do { // once at least: on a busy machine the others may be done before it runs
              long[] end = {0};
              vmalloc.forEach(area -> {
                assertTrue(area.start() > end[0], "sorted, and apart by a guard page");
                end[0] = area.start() + area.chargedBytes();
                long last = area.start() + area.nrBytes() - 1;
                VmallocArea found = vmalloc.find(last); // another one by now, perhaps
                assertTrue(
                    found == null
                        || (found.start() <= last && last < found.start() + found.chargedBytes()));
              });
              VmallocInfo info = vmalloc.info();
              assertTrue(info.usedBytes() >= 0 && info.lazyBytes() >= 0, info::toString);
              nrLooks++;
            } while (!done.get());
            return nrLooks;
          });
      Thread.ofPlatform().start(looker);
      workers.forEach(worker -> Thread.ofPlatform().start(worker));
      try {
        for (FutureTask<Void> worker : workers) {
          Instance.await(worker);
        }
      } finally {
        done.set(true);
      }
      assertTrue(Instance.await(looker) > 0);
      for (Owned owned : given) {
        check(owned);
        vmalloc.free(owned.address);
      }
      assertEquals(0, instance.drainedUsage(parent));
      instance.assertNoAreasLeft();
    }
  }

  private static void work(
      Instance instance,
      MemCgroup parent,
      ConcurrentLinkedQueue<Owned> given,
      int thread,
      long seed) {
    Vmalloc vmalloc = instance.kmalloc.vmalloc();
    Random random = new Random(seed + thread);
    for (int round = 0; round < 12; round++) {
      MemCgroup group = parent.create("t" + thread + "-" + round);
      try (Scope _ = ObjCgroup.of(group).enter()) {
        for (int i = 0; i < 400; i++) {
          long nrBytes = (1 + random.nextInt(20)) * PAGE;
          int kind = random.nextInt(10);
          Owned owned = kind < 5 ? null : given.poll();
          if (owned == null) {
            long address = vmalloc.tryAllocate(nrBytes);
            if (address != Vmalloc.NULL) {
              assertEquals(0, Instance.readLong(address, 0), "not fresh");
              given.add(stamped(address, nrBytes, random));
            }
          } else if (kind < 9) {
            check(owned);
            vmalloc.free(owned.address);
          } else {
            check(owned);
            long moved = vmalloc.tryReallocate(owned.address, nrBytes);
            if (moved == Vmalloc.NULL) {
              given.add(owned);
            } else {
              assertEquals(owned.stamp, Instance.readLong(moved, 0));
              given.add(stamped(moved, nrBytes, random));
            }
          }
          if (random.nextInt(100) == 0) {
            vmalloc.purge();
          }
        }
      }
      group.remove();
    }
  }

  private static Owned stamped(long address, long nrBytes, Random random) {
    Owned owned = new Owned(address, nrBytes, random.nextLong());
    Instance.writeLong(address, 0, owned.stamp);
    Instance.writeLong(address, nrBytes - 8, owned.stamp);
    return owned;
  }

  private static void check(Owned owned) {
    assertEquals(owned.stamp, Instance.readLong(owned.address, 0), "overlap");
    assertEquals(owned.stamp, Instance.readLong(owned.address, owned.nrBytes - 8), "overlap");
  }

  /** Of two frees of one area at the same time one throws. */
  @Test
  void free_twiceAtTheSameTime_oneThrows() throws Exception {
    try (Instance instance = Instance.create()) {
      Vmalloc vmalloc = instance.kmalloc.vmalloc();
      int nrRounds = 2000;
      long[] areas = new long[nrRounds];
      for (int i = 0; i < nrRounds; i++) {
        areas[i] = vmalloc.allocate(PAGE);
      }
      FutureTask<Integer> other = new FutureTask<>(() -> freeAll(vmalloc, areas));
      Thread.ofPlatform().start(other);
      int mine = freeAll(vmalloc, areas);
      assertEquals(nrRounds, mine + Instance.await(other));
      instance.assertNoAreasLeft();
    }
  }

  private static int freeAll(Vmalloc vmalloc, long[] areas) {
    int nrFreed = 0;
    for (long address : areas) {
      try {
        vmalloc.free(address);
        nrFreed++;
      } catch (IllegalArgumentException _) {
        // the other one was first
      }
    }
    return nrFreed;
  }
}
