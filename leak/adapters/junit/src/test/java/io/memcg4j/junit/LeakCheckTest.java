package io.memcg4j.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.Vmalloc;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The check on an allocator that has a life before it. */
final class LeakCheckTest {
  private final Kmalloc kmalloc = Kmalloc.create(MemCgroup.root());

  /** Complements of addresses, which are no references. */
  private final long[] before = new long[1000];

  private void allocateBefore() {
    for (int i = 0; i < before.length; i++) {
      before[i] = ~kmalloc.allocate(64);
    }
  }

  @AfterEach
  void close() {
    for (long hidden : before) {
      if (hidden != 0) {
        kmalloc.free(~hidden);
      }
    }
    kmalloc.close();
  }

  @Test
  void report_blocksOfBefore_areNoConcern() {
    allocateBefore();
    LeakCheck check = LeakCheck.begin(kmalloc, false);
    kmalloc.free(~before[7]);
    before[7] = ~kmalloc.allocate(64); // most likely in the same place
    kmalloc.free(kmalloc.allocate(200));
    LeakReport report = check.report();

    assertEquals(List.of(~before[7]), report.suspects().stream().map(s -> s.address()).toList());
    assertEquals(1, report.nrNew());
  }

  @Test
  void report_areasAndPerCpuMemory_areLookedAtToo() {
    Vmalloc areas = kmalloc.vmalloc();
    PercpuAllocator percpu = kmalloc.percpu();
    long areaBefore = ~areas.allocate(10_000);
    long replaced = ~areas.allocate(20_000);
    long percpuBefore = ~percpu.allocate(64);
    LeakCheck check = LeakCheck.begin(kmalloc, false);
    areas.free(~replaced);
    areas.free(areas.allocate(10_000));
    percpu.free(percpu.allocate(8));
    Set<Long> leaked = new TreeSet<>();
    leaked.add(~areas.allocate(20_000));
    leaked.add(~percpu.allocate(128));
    leaked.add(~kmalloc.allocate(64));
    LeakReport report = check.report();

    Set<Long> found = new TreeSet<>();
    report.suspects().forEach(suspect -> found.add(~suspect.address()));
    assertEquals(leaked, found);
    for (LeakSuspect suspect : report.suspects()) {
      switch (suspect.cache()) {
        case "vmalloc" -> areas.free(suspect.address());
        case "percpu" -> percpu.free(suspect.address());
        default -> kmalloc.free(suspect.address());
      }
    }
    LeakCheck.begin(kmalloc, false).assertNone();
    areas.free(~areaBefore);
    percpu.free(~percpuBefore);
  }

  @Test
  void report_guardedObject_isLookedAtToo() {
    kmalloc.guarded().on(Duration.ofMillis(1), 16);
    long before = ~guardedObject();
    LeakCheck check = LeakCheck.begin(kmalloc, false);
    long leaked = ~guardedObject();
    LeakReport report = check.report();

    assertEquals(List.of(~leaked), report.suspects().stream().map(s -> s.address()).toList());
    kmalloc.free(~leaked);
    kmalloc.free(~before);
  }

  /** One is made once a millisecond. */
  private long guardedObject() {
    int nrBefore = kmalloc.guarded().nrLive();
    while (true) {
      long object = kmalloc.allocate(64);
      if (kmalloc.guarded().nrLive() > nrBefore) {
        return object;
      }
      kmalloc.free(object);
    }
  }

  @Test
  void assertNone_largeBlock_isNamed() {
    LeakCheck check = LeakCheck.begin(kmalloc, true);
    long hidden = ~kmalloc.allocate(1 << 20);
    AssertionError e = assertThrows(AssertionError.class, check::assertNone);

    assertTrue(String.valueOf(e.getMessage()).contains("(size 1048576)"), e::toString);
    kmalloc.free(~hidden);
    LeakCheck.begin(kmalloc, true).assertNone();
  }

  @Test
  void report_anotherCheckBegan_isRefused() {
    LeakCheck check = LeakCheck.begin(kmalloc, false);
    LeakCheck.begin(kmalloc, false);

    IllegalStateException e = assertThrows(IllegalStateException.class, check::report);
    assertEquals("leak check disturbed by another one, or a scan: epoch=1 now=2", e.getMessage());
  }
}
