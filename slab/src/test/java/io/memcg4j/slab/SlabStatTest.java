package io.memcg4j.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.Scope;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SlabStatTest {
  private final Instance instance = Instance.create();
  private final Kmalloc kmalloc = instance.kmalloc;
  private final MemCgroup group = instance.root.create("tenant");

  @AfterEach
  void nothingIsLeft() {
    instance.assertNothingLeft();
    SlabStat stat = SlabStat.of(kmalloc);
    stat.caches().forEach(cache -> assertEquals(0, cache.objects(), cache.name()));
    assertEquals(0, stat.inUseBytes());
    assertEquals(0, stat.mappedBytes());
    instance.close();
  }

  private SlabStat.Cache cache(String name) {
    return find(SlabStat.of(kmalloc), name);
  }

  private static SlabStat.Cache find(SlabStat stat, String name) {
    return stat.caches().stream().filter(c -> c.name().equals(name)).findFirst().orElseThrow();
  }

  /** What holds of any stat at any time. */
  private static void assertSound(SlabStat stat) {
    long inUseBytes = stat.largeBytes();
    for (SlabStat.Cache cache : stat.caches()) {
      long sum =
          cache.activeObjects() + cache.nrDeferred() + cache.parkedObjects() + cache.freeInSlabs();
      assertEquals(cache.objects(), sum, cache::toString);
      assertEquals(cache.slabs() * cache.objectsPerSlab(), cache.objects(), cache::toString);
      assertTrue(cache.activeObjects() >= 0, cache::toString);
      assertTrue(cache.activeObjects() <= cache.objects(), cache::toString);
      assertTrue(cache.activeSlabs() <= cache.slabs(), cache::toString);
      assertTrue(
          cache.activeObjects() <= cache.activeSlabs() * cache.objectsPerSlab(), cache::toString);
      assertTrue(
          cache.mappedBytes() <= cache.slabs() * cache.pagesPerSlab() * Instance.PAGE,
          cache::toString);
      inUseBytes += (cache.activeObjects() + cache.nrDeferred()) * cache.objectSize();
    }
    assertEquals(inUseBytes, stat.inUseBytes());
    assertTrue(stat.fragmentation() >= 0 && stat.fragmentation() <= 1, stat::summary);
  }

  @Test
  void oneSlabInUse_everyObjectIsAccountedFor() {
    try (Scope _ = instance.enter(group)) {
      long address = kmalloc.allocate(64);
      SlabStat stat = SlabStat.of(kmalloc);
      assertSound(stat);
      SlabStat.Cache cache = find(stat, "kmalloc-64");
      assertEquals(1, cache.activeObjects());
      assertEquals(64, cache.objectSize());
      assertEquals(512, cache.objectsPerSlab());
      assertEquals(8, cache.pagesPerSlab());
      assertEquals(1, cache.activeSlabs());
      assertEquals(new SlabStat.Counts(1, cache.slabs(), 0, 0), cache.counts());
      // The word that it came from is ready as a whole, charged or not; and slabs without objects.
      assertEquals(63 + (cache.slabs() - 1) * 512, cache.parkedObjects());
      assertEquals(512 - 64, cache.freeInSlabs());
      kmalloc.free(address);
      assertEquals(0, cache("kmalloc-64").activeObjects());
    }
  }

  /** A group that uses next to nothing has nothing charged in advance: so many objects. */
  private List<Long> allocateMany() {
    List<Long> many = new ArrayList<>();
    for (int i = 0; i < 10_000 - 17; i++) {
      many.add(kmalloc.allocate(64));
    }
    return many;
  }

  @Test
  void readyObjects_areShownPerTenantAndBounded() {
    List<Long> many;
    try (Scope _ = instance.enter(group)) {
      many = allocateMany();
      List<SlabStat.Tenant> tenants = SlabStat.of(kmalloc).tenants();
      assertEquals(1, tenants.size());
      SlabStat.Tenant tenant = tenants.getFirst();
      assertEquals("/tenant", tenant.group());
      assertTrue(tenant.readyObjects() > 0 && tenant.readyObjects() < 64, tenant::toString);
      assertEquals(tenant.readyObjects() * Instance.chargeOf(64), tenant.readyBytes());
      assertTrue(tenant.readyBytes() <= tenant.boundBytes(), tenant::toString);
      String text = SlabStat.of(kmalloc).summary();
      assertTrue(text.contains("tenant /tenant ready_objects " + tenant.readyObjects()), text);
    }
    long readyBytes = SlabStat.of(kmalloc).tenants().getFirst().readyBytes();
    assertTrue(readyBytes <= instance.parkedBytes(group)); // which drains
    assertEquals(List.of(), SlabStat.of(kmalloc).tenants());
    many.forEach(kmalloc::free);
  }

  @Test
  void drained_nothingIsParkedButEmptySlabs() {
    long[] address = new long[1];
    try (Scope _ = instance.enter(group)) {
      address[0] = kmalloc.allocate(64);
    }
    instance.root.drain();
    SlabStat stat = SlabStat.of(kmalloc);
    assertSound(stat);
    assertEquals(List.of(), stat.tenants());
    assertEquals(511, find(stat, "kmalloc-64").freeInSlabs());
    kmalloc.free(address[0]);
  }

  @Test
  void freedElsewhere_isNotActiveAtOnce_andCollectedLater() throws Exception {
    try (Scope _ = instance.enter(group)) {
      long[] addresses = new long[100];
      for (int i = 0; i < addresses.length; i++) {
        addresses[i] = kmalloc.allocate(64);
      }
      Instance.elsewhere(() -> {
        for (int i = 0; i < 40; i++) {
          kmalloc.free(addresses[i]);
        }
        return null;
      });
      SlabStat.Cache cache = cache("kmalloc-64");
      assertEquals(60, cache.activeObjects());
      assertEquals(0, cache.counts().nrCollected());
      kmalloc.shrink();
      assertEquals(40, cache("kmalloc-64").counts().nrCollected());
      assertEquals(60, cache("kmalloc-64").activeObjects());
      for (int i = 40; i < 100; i++) {
        kmalloc.free(addresses[i]);
      }
    }
    kmalloc.shrink();
    SlabStat.Counts counts = cache("kmalloc-64").counts();
    assertEquals(counts.nrSlabsTaken(), counts.nrSlabsRetired());
    assertNotEquals(0, counts.nrSlabsTaken());
  }

  @Test
  void deferred_isNeitherActiveNorFree() {
    long address = kmalloc.allocate(64);
    try (ReadSection _ = kmalloc.readSection()) {
      kmalloc.freeDeferred(address);
      SlabStat stat = SlabStat.of(kmalloc);
      assertSound(stat);
      assertEquals(1, find(stat, "kmalloc-64").nrDeferred());
      assertEquals(0, find(stat, "kmalloc-64").activeObjects());
    }
    kmalloc.shrink();
    assertEquals(0, cache("kmalloc-64").nrDeferred());
  }

  @Test
  void largeObjects_areInUseByPages() {
    long address = kmalloc.allocate(10_000);
    SlabStat stat = SlabStat.of(kmalloc);
    assertEquals(1, stat.nrLarge());
    assertEquals(Instance.roundToPages(10_000), stat.largeBytes());
    assertEquals(stat.largeBytes(), stat.inUseBytes());
    kmalloc.free(address);
    stat = SlabStat.of(kmalloc);
    assertEquals(0, stat.nrLarge());
    assertEquals(kmalloc.info().retainedBytes(), stat.retainedBytes());
    assertEquals(1, stat.fragmentation());
  }

  @Test
  void debugMode_hasALineOfItsOwn() {
    kmalloc.debug().set("Z,kmalloc-64");
    long address = kmalloc.allocate(64);
    SlabStat stat = SlabStat.of(kmalloc);
    assertSound(stat);
    assertEquals(0, find(stat, "kmalloc-64").activeObjects());
    assertEquals(1, find(stat, "kmalloc-64:debug").activeObjects());
    assertTrue(find(stat, "kmalloc-64:debug").objectSize() > 64);
    kmalloc.free(address);
    kmalloc.debug().set("");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void randomObjects_atRest_asTheModel(long seed) {
    Random random = new Random(seed);
    int[] sizes = {8, 64, 100, 1000, 4096, 8192, 20_000};
    int[] nrLive = new int[sizes.length];
    List<long[]> live = new ArrayList<>(); // address, index of the size
    String where = "seed=" + seed;
    try (Scope _ = instance.enter(group)) {
      for (int step = 1; step <= 4000; step++) {
        boolean grows = random.nextInt(1000) < (step < 2000 ? 600 : 400);
        if (grows || live.isEmpty()) {
          int index = random.nextInt(sizes.length);
          live.add(new long[] {kmalloc.allocate(sizes[index]), index});
          nrLive[index]++;
        } else {
          long[] last = live.removeLast();
          long[] freed = live.isEmpty() ? last : live.set(random.nextInt(live.size()), last);
          kmalloc.free(freed[0]);
          nrLive[(int) freed[1]]--;
        }
        if (step % 200 == 0) {
          assertModel(sizes, nrLive, where + " step=" + step);
        }
      }
      live.forEach(object -> kmalloc.free(object[0]));
    }
  }

  private void assertModel(int[] sizes, int[] nrLive, String where) {
    SlabStat stat = SlabStat.of(kmalloc);
    assertSound(stat);
    long inUseBytes = 0;
    for (int i = 0; i < sizes.length; i++) {
      long size = Kmalloc.roundUp(sizes[i]);
      inUseBytes += nrLive[i] * size;
      long found =
          sizes[i] > Kmalloc.MAX_CACHE_SIZE
              ? stat.nrLarge()
              : find(stat, "kmalloc-" + size).activeObjects();
      assertEquals(nrLive[i], found, () -> where + " size=" + size);
    }
    assertEquals(inUseBytes, stat.inUseBytes(), where);
    assertEquals(kmalloc.info().mappedBytes(), stat.mappedBytes(), where);
    assertEquals(kmalloc.info().retainedBytes(), stat.retainedBytes(), where);
    for (SlabStat.Tenant tenant : stat.tenants()) {
      assertTrue(tenant.readyBytes() <= tenant.boundBytes(), () -> where + ' ' + tenant);
    }
  }

  @Test
  void whileOthersAllocateAndFree_partsAlwaysSumUp() throws Exception {
    AtomicBoolean done = new AtomicBoolean();
    List<FutureTask<Boolean>> tasks = new ArrayList<>();
    long[] exchange = new long[256]; // racy on purpose: guarded by its own monitor only
    for (int t = 0; t < 2; t++) {
      Random random = new Random(t);
      tasks.add(
          new FutureTask<>(() -> {
            try (Scope _ = instance.enter(group)) {
              while (!done.get()) {
                long mine = kmalloc.allocate(1 + random.nextInt(300));
                long other;
                synchronized (exchange) {
                  int at = random.nextInt(exchange.length);
                  other = exchange[at];
                  exchange[at] = mine;
                }
                kmalloc.free(other);
              }
              return true;
            }
          }));
    }
    tasks.forEach(task -> new Thread(task, "churn").start());
    long most = 0;
    for (int i = 0; i < 300; i++) {
      SlabStat stat = SlabStat.of(kmalloc);
      assertSound(stat);
      for (SlabStat.Cache cache : stat.caches()) {
        most = Math.max(most, cache.activeObjects());
      }
    }
    done.set(true);
    for (FutureTask<Boolean> task : tasks) {
      assertTrue(Instance.await(task));
    }
    assertTrue(most > 0, "nothing was seen");
    for (long address : exchange) {
      kmalloc.free(address);
    }
  }

  @Test
  void slabinfo_hasTheKernelsColumns() {
    long address = kmalloc.allocate(64);
    List<String> lines = SlabStat.of(kmalloc).slabinfo().lines().toList();
    assertEquals("slabinfo - version: 2.1", lines.get(0));
    assertEquals(
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> "
            + ": tunables <limit> <batchcount> <sharedfactor> "
            + ": slabdata <active_slabs> <num_slabs> <sharedavail> : parked <objs>",
        lines.get(1));
    assertEquals(2 + SizeClasses.COUNT, lines.size());
    SlabStat.Cache cache = cache("kmalloc-64");
    String line = lines.stream().filter(l -> l.startsWith("kmalloc-64 ")).findFirst().orElseThrow();
    assertEquals(
        List.of(
            "kmalloc-64",
            "1",
            "" + cache.objects(),
            "64",
            "512",
            "8",
            ":",
            "tunables",
            "0",
            "0",
            "0",
            ":",
            "slabdata",
            "1",
            "" + cache.slabs(),
            "0",
            ":",
            "parked",
            "" + cache.parkedObjects()),
        List.of(line.split(" +", -1)));
    kmalloc.free(address);
  }

  @Test
  void summary_showsTheWhole() {
    try (Scope _ = instance.enter(group)) {
      long address = kmalloc.allocate(64);
      String text = SlabStat.of(kmalloc).summary();
      assertTrue(text.contains("in_use 64" + System.lineSeparator()), text);
      assertTrue(text.contains("fragmentation 1.00"), text);
      kmalloc.free(address);
    }
  }
}
