package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.slab.AccountedArena;
import io.memcg4j.slab.Vmalloc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Memory outside the slabs: it can leak, and what it holds does not. */
final class SourcesTest {
  private final LeakHeap heap = new LeakHeap();
  private final Kmemleak kmemleak = heap.kmemleak;

  /** What the application holds; JUnit holds this test. */
  private final List<Object> held = new ArrayList<>();

  @AfterEach
  void close() {
    heap.close();
  }

  private Set<Long> scanTwice() {
    return LeakHeap.addresses(heap.scanTwice());
  }

  private long area(long nrBytes) {
    try (Scope scope = heap.web.enter()) {
      return heap.kmalloc.vmalloc().allocateZeroed(nrBytes);
    }
  }

  @Test
  void area_isABlockAndAHolder() {
    long root = heap.allocate(64);
    kmemleak.notLeak(root);
    long area = area(100_000);
    long object = heap.allocate(64);
    LeakHeap.put(root, area + 50_000);
    LeakHeap.put(area + 99_992, object);
    assertEquals(Set.of(), scanTwice());
    LeakHeap.put(root, 0);
    LeakReport report = heap.scanTwice();
    assertEquals(new TreeSet<>(Set.of(area, object)), LeakHeap.addresses(report));
    LeakGroup cause = report.groups().getFirst();
    assertEquals(area, cause.first().address());
    assertEquals(1, cause.nrHeld());
    assertEquals("area", cause.first().frames().getFirst().getMethodName());
    assertEquals("vmalloc", cause.first().cache());
    assertEquals("/web", cause.first().cgroup());
  }

  @Test
  void area_freedAndAllocatedAgain_isYoung() {
    Vmalloc areas = heap.kmalloc.vmalloc();
    long area = area(4096);
    kmemleak.scan();
    areas.free(area);
    areas.shrink();
    List<Long> others = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      others.add(area(4096));
    }
    assertEquals(Set.of(), LeakHeap.addresses(kmemleak.scan()));
    assertEquals(new TreeSet<>(others), LeakHeap.addresses(kmemleak.scan()));
  }

  @Test
  void area_coloursAreObeyed() {
    long gray = area(4096);
    long behindGray = heap.allocate(64);
    LeakHeap.put(gray + 8, behindGray);
    long black = area(4096);
    long behindBlack = heap.allocate(64);
    LeakHeap.put(black, behindBlack);
    kmemleak.notLeak(gray);
    kmemleak.ignore(MemorySegment.ofAddress(black));
    assertEquals(Set.of(behindBlack), scanTwice());
    assertEquals(0, kmemleak.nrWarnings());
  }

  @Test
  void perCpu_everyCopyHolds_andChangesOfAnyCount() {
    PercpuAllocator percpu = heap.kmalloc.percpu();
    int lastSlot = percpu.nrUnits() - 1;
    long variable = percpu.allocate(16);
    long object = heap.allocate(64);
    LeakHeap.put(percpu.address(variable, lastSlot) + 8, object);
    assertEquals(Set.of(), LeakHeap.addresses(kmemleak.scan()));
    LeakHeap.put(percpu.address(variable, lastSlot), 1);
    assertEquals(Set.of(), LeakHeap.addresses(kmemleak.scan()), "its contents have changed");
    assertEquals(new TreeSet<>(Set.of(variable, object)), LeakHeap.addresses(kmemleak.scan()));
    long root = heap.allocate(64);
    kmemleak.notLeak(root);
    LeakHeap.put(root, variable);
    assertEquals(Set.of(), scanTwice());
  }

  /** Whether the next allocation is guarded is a matter of time. */
  private long guarded() {
    heap.kmalloc.guarded().on(Duration.ofMillis(1), 8);
    long before = heap.kmalloc.guarded().nrSampled();
    while (true) {
      long address = heap.allocate(64);
      if (heap.kmalloc.guarded().nrSampled() > before) {
        heap.kmalloc.guarded().off();
        return address;
      }
      heap.kmalloc.free(address);
    }
  }

  @Test
  void guarded_isABlockAndAHolder_withAnExactAge() {
    long guarded = guarded();
    long object = heap.allocate(64);
    LeakHeap.put(guarded, object);
    long root = heap.allocate(64);
    kmemleak.notLeak(root);
    LeakHeap.put(root, guarded + 8);
    assertEquals(Set.of(), scanTwice());
    LeakHeap.put(root, 0);
    LeakReport report = heap.scanTwice();
    assertEquals(new TreeSet<>(Set.of(guarded, object)), LeakHeap.addresses(report));
    LeakSuspect cause = report.groups().getFirst().first();
    assertEquals(guarded, cause.address());
    assertTrue(cause.isAgeExact() && cause.ageNanos() > 0, cause::toString);
    assertEquals(Thread.currentThread().getName(), cause.comm());
    assertEquals(Thread.currentThread().threadId(), cause.pid());
    assertEquals("/web", cause.cgroup());
    assertEquals("guarded", cause.frames().get(2).getMethodName(), cause::toString);
    heap.kmalloc.free(guarded);
    assertEquals(Set.of(object), scanTwice());
  }

  @Test
  void debugMode_redZonesAreNoObjects() {
    heap.kmalloc.debug().set("ZPU");
    long object = heap.allocate(64);
    long next = heap.allocate(64);
    long root = heap.allocate(heap.db, 4096);
    kmemleak.notLeak(root);
    long slabStart = object & -4096;
    assertTrue(slabStart < object, "the test needs a zone before the first object");
    LeakHeap.put(root, slabStart);
    LeakHeap.put(root + 8, object - 1);
    LeakHeap.put(root + 16, next);
    LeakReport report = heap.scanTwice();
    assertEquals(Set.of(object), LeakHeap.addresses(report));
    LeakSuspect suspect = report.suspects().getFirst();
    assertTrue(suspect.isAgeExact(), suspect::toString);
    assertEquals(Thread.currentThread().getName(), suspect.comm());
    kmemleak.notLeak(slabStart);
    assertEquals(1, kmemleak.nrWarnings());
  }

  // ---- with the Java heap

  private static Set<Long> hidden(LeakReport report) {
    Set<Long> addresses = new TreeSet<>();
    report.suspects().forEach(suspect -> addresses.add(~suspect.address()));
    return addresses;
  }

  @Test
  void javaHeap_ownIndexesHoldNothing_handlesOfUsersDo() {
    Kmemleak withHeap = Kmemleak.builder(heap.kmalloc).minAge(Duration.ZERO).build();
    try (Scope scope = heap.web.enter()) {
      Set<Long> leaked = new TreeSet<>();
      leaked.add(~heap.kmalloc.vmalloc().allocate(10_000));
      long shown = ~heap.kmalloc.vmalloc().allocate(9000);
      leaked.add(~heap.kmalloc.percpu().allocate(64));
      leaked.add(~guarded());
      leaked.add(~heap.kmalloc.vmalloc().allocate(11_000));
      held.add(heap.kmalloc.vmalloc().allocateSegment(5000));
      Vmalloc areas = heap.kmalloc.vmalloc();
      held.add(Objects.requireNonNull(areas.find(areas.allocate(7000))));
      areas.forEach(area -> {
        if (area.nrBytes() == 9000) {
          held.add(area);
        }
      });
      held.add(new long[] {heap.kmalloc.percpu().allocate(32), guarded()});
      Arena confined = AccountedArena.ofConfined(heap.kmalloc);
      Arena shared = AccountedArena.ofShared(heap.kmalloc);
      for (Arena arena : List.of(confined, shared)) {
        for (long nrBytes : new long[] {8, 3000, 100_000}) {
          MemorySegment segment = arena.allocate(nrBytes);
          segment.set(java.lang.foreign.ValueLayout.JAVA_LONG, 0, nrBytes);
        }
        held.add(arena);
      }
      withHeap.scan();
      LeakReport report = withHeap.scan();
      assertEquals(leaked, hidden(report), report::toString);
      held.clear();
      withHeap.scan();
      assertTrue(hidden(withHeap.scan()).contains(shown), "held by what forEach had shown");
      confined.close();
      shared.close();
    }
  }

  /** An arena that is lost without being closed: its blocks leak, and nothing else says so. */
  @Test
  void javaHeap_lostArenas_leak() {
    Kmemleak withHeap = Kmemleak.builder(heap.kmalloc).minAge(Duration.ZERO).build();
    try (Scope scope = heap.web.enter()) {
      AccountedArena.ofConfined(heap.kmalloc).allocate(100_000);
      AccountedArena.ofShared(heap.kmalloc).allocate(100_000);
    }
    withHeap.scan();
    assertEquals(2, withHeap.scan().suspects().size());
  }
}
