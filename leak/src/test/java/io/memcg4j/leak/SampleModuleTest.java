package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.PercpuAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The scenarios of kmemleak's sample module, and more of the kind. */
final class SampleModuleTest {
  private final LeakHeap heap = new LeakHeap();
  private final Kmemleak kmemleak = heap.kmemleak;

  @AfterEach
  void close() {
    heap.close();
  }

  private Set<Long> scanTwice() {
    return LeakHeap.addresses(heap.scanTwice());
  }

  @Test
  void l1_droppedPointers_areAllReportedAfterTwoScans() {
    Set<Long> dropped = new TreeSet<>();
    try (Scope scope = heap.web.enter()) {
      for (int size : new int[] {32, 1024, 2048, 4096}) {
        dropped.add(heap.kmalloc.allocate(size));
        dropped.add(heap.kmalloc.allocate(size));
      }
      for (int i = 0; i < 5; i++) {
        dropped.add(heap.kmalloc.vmalloc().allocate(64));
      }
      dropped.add(heap.kmalloc.percpu().allocate(64));
      dropped.add(heap.kmalloc.percpu().allocate(4));
    }
    assertEquals(Set.of(), LeakHeap.addresses(kmemleak.scan()));
    LeakReport report = kmemleak.scan();
    assertEquals(dropped, LeakHeap.addresses(report));
    for (LeakSuspect suspect : report.suspects()) {
      assertEquals("/web", suspect.cgroup(), suspect::toString);
    }
    assertTrue(report.toString().contains("cgroup \"/web\" cache vmalloc"), report::toString);
    assertTrue(report.toString().contains("cgroup \"/web\" cache percpu"), report::toString);
  }

  @Test
  void l2_listFromAStaticHead_isReportedOnceItIsUnlinked() {
    long head = heap.allocate(16);
    kmemleak.notLeak(head);
    Set<Long> nodes = new TreeSet<>();
    long next = 0;
    for (int i = 0; i < 10; i++) {
      long node = heap.allocate(64);
      LeakHeap.put(node + 8, next);
      nodes.add(node);
      next = node;
    }
    LeakHeap.put(head, next);
    assertEquals(Set.of(), scanTwice());
    kmemleak.erase(head);
    assertEquals(nodes, scanTwice());
  }

  @Test
  void l3_perCpuPointer_holdsWhileTheModuleLives() {
    PercpuAllocator percpu = heap.kmalloc.percpu();
    long variable = percpu.allocate(8);
    kmemleak.notLeak(variable);
    Set<Long> objects = new TreeSet<>();
    for (int slot = 0; slot < percpu.nrUnits(); slot++) {
      long object = heap.allocate(129);
      LeakHeap.put(percpu.address(variable, slot), object);
      objects.add(object);
    }
    assertEquals(Set.of(), scanTwice());
    percpu.free(variable);
    assertEquals(objects, scanTwice());
  }

  @Test
  void l4_minUnrefScans_isARunThatAReferenceBreaks() {
    kmemleak.minUnrefScans(2);
    assertEquals(2, kmemleak.minUnrefScans());
    long holder = heap.allocate(64);
    kmemleak.notLeak(holder);
    long leaked = heap.allocate(64);
    kmemleak.scan();
    assertEquals(0, kmemleak.scan().nrNew(), "prime and one");
    LeakHeap.put(holder, leaked);
    assertEquals(0, kmemleak.scan().nrNew(), "referenced");
    LeakHeap.put(holder, 0);
    assertEquals(0, kmemleak.scan().nrNew(), "prime");
    assertEquals(0, kmemleak.scan().nrNew(), "prime and one again");
    assertEquals(1, kmemleak.scan().nrNew());
  }

  @Test
  void l5_dedup_noTwoPrintedReportsShareABacktrace() {
    heap.kmalloc.profile().off();
    Set<Long> withoutSite = new TreeSet<>(List.of(heap.allocate(64), heap.allocate(64)));
    heap.kmalloc.profile().exact();
    for (int i = 0; i < 7; i++) {
      heap.allocate(64);
    }
    heap.allocate(heap.db, 64);
    LeakReport report = heap.scanTwice();
    assertEquals(10, report.nrNew());
    String text = report.toString();
    List<String> backtraces = new ArrayList<>();
    var matcher = Pattern.compile("cgroup.*\\R  backtrace.*\\R((    .*\\R)+)").matcher(text);
    while (matcher.find()) {
      backtraces.add(matcher.group());
    }
    assertEquals(Set.copyOf(backtraces).size(), backtraces.size(), text);
    assertTrue(text.contains("  ... and 6 more object(s) with the same backtrace"), text);
    for (long address : withoutSite) {
      assertTrue(text.contains(String.format("object 0x%016x", address)), "folded: " + text);
    }
    assertTrue(text.contains("cgroup \"/db\": 64 bytes leaked"), text);
    assertTrue(text.contains("SUMMARY: 10 leaks, 640 bytes in 2 cgroups"), text);
  }

  @Test
  void l6_clear_keepsReportedOnesOutForever() {
    long cleared = heap.allocate(64);
    long held = heap.allocate(64);
    LeakHeap.put(cleared, held);
    assertEquals(Set.of(cleared, held), scanTwice());
    kmemleak.write("clear");
    assertEquals("", kmemleak.read());
    long later = heap.allocate(64);
    long behind = heap.allocate(64);
    LeakHeap.put(held + 8, behind);
    assertEquals(Set.of(later), scanTwice(), "what was cleared is still scanned");
    assertEquals(Set.of(later), scanTwice());
    heap.kmalloc.free(cleared);
    heap.kmalloc.free(held);
    Set<Long> reused = new TreeSet<>(Set.of(behind, later));
    reused.add(heap.allocate(64));
    reused.add(heap.allocate(64));
    assertTrue(reused.contains(cleared) && reused.contains(held), "the test needs reuse");
    for (int i = 0; i < 4; i++) {
      kmemleak.scan();
    }
    assertEquals(reused, LeakHeap.addresses(kmemleak.scan()), "a new block is not cleared");
  }

  // ---- own additions

  @Test
  void staleMagazineOfASlot_hidesNothing() {
    long leaked = heap.allocate(64);
    try (Scope scope = heap.web.enter()) {
      for (int i = 0; i < 100; i++) {
        heap.kmalloc.free(heap.kmalloc.allocate(64));
      }
      assertEquals(Set.of(leaked), scanTwice());
    }
  }

  @Test
  void leakInsideALeak_isListedUnderItsCause() {
    long parent = heap.allocate(256);
    Set<Long> children = new TreeSet<>();
    for (int i = 0; i < 5; i++) {
      long child = heap.allocate(heap.db, 64);
      long grandchild = heap.allocate(heap.db, 32);
      LeakHeap.put(parent + i * 8L, child);
      LeakHeap.put(child, grandchild);
      children.addAll(List.of(child, grandchild));
    }
    LeakReport report = heap.scanTwice();
    assertEquals(11, report.suspects().size());
    for (LeakSuspect suspect : report.suspects()) {
      assertEquals(suspect.address() == parent, suspect.isRootCause(), suspect::toString);
    }
    assertEquals(1, report.groups().size());
    LeakGroup cause = report.groups().getFirst();
    assertEquals(parent, cause.first().address());
    assertEquals(10, cause.nrHeld());
    assertEquals(5 * 64 + 5 * 32, cause.heldBytes());
    assertTrue(report.toString().contains("  holds 10 more leaked object(s), 480 bytes"));
    heap.kmalloc.free(parent);
    kmemleak.scan();
    LeakReport later = kmemleak.scan();
    assertEquals(children, LeakHeap.addresses(later));
    assertEquals(5, later.suspects().stream().filter(LeakSuspect::isRootCause).count());
  }

  @Test
  void cycleOfTwo_isReportedWithOneCause() {
    long one = heap.allocate(64);
    long other = heap.allocate(64);
    long hanging = heap.allocate(64);
    LeakHeap.put(one, other + 63);
    LeakHeap.put(other, one);
    LeakHeap.put(other + 8, hanging);
    LeakReport report = heap.scanTwice();
    assertEquals(new TreeSet<>(Set.of(one, other, hanging)), LeakHeap.addresses(report));
    List<LeakSuspect> causes = report.suspects().stream().filter(LeakSuspect::isRootCause).toList();
    assertEquals(1, causes.size());
    assertTrue(causes.getFirst().address() != hanging);
    assertEquals(2, report.groups().getFirst().nrHeld());
  }

  @Test
  void changingContents_areNeverReported() {
    long changing = heap.allocate(64);
    for (int i = 0; i < 5; i++) {
      LeakHeap.put(changing + 16, i);
      assertEquals(Set.of(), LeakHeap.addresses(kmemleak.scan()));
    }
  }

  @Test
  void interiorPointer_keepsAlive_unalignedDoesNot() {
    long holder = heap.allocate(64);
    kmemleak.notLeak(holder);
    long interior = heap.allocate(128);
    long unaligned = heap.allocate(128);
    LeakHeap.put(holder, interior + 127);
    LeakHeap.put(holder + 12, unaligned);
    assertEquals(Set.of(unaligned), scanTwice());
  }

  @Test
  void overlappingRegistration_isRejectedAndDisablesNothing() {
    long area = heap.allocate(4096);
    kmemleak.register(1 << 20, 4096, "one");
    assertThrows(IllegalArgumentException.class, () -> kmemleak.register((1 << 20) + 8, 8, "two"));
    assertTrue(kmemleak.isOn());
    assertTrue(kmemleak.unregister(1 << 20));
    assertEquals(Set.of(area), scanTwice());
  }

  @Test
  void unknownAddress_isAWarningThatChangesNothing() {
    long block = heap.allocate(64);
    kmemleak.notLeak(block + 8);
    kmemleak.ignore(4096);
    kmemleak.noScan(block + 63);
    kmemleak.transientLeak(1);
    kmemleak.update(64);
    kmemleak.scanArea(8, 0, 8);
    kmemleak.scanArea(block, 60, 8);
    kmemleak.erase(4096L);
    assertEquals(8, kmemleak.nrWarnings());
    kmemleak.notLeak(0);
    kmemleak.update(0);
    kmemleak.scanArea(0, 0, 1);
    kmemleak.erase(0L);
    assertEquals(8, kmemleak.nrWarnings(), "nothing is no mistake");
    assertTrue(kmemleak.isOn());
    assertEquals(Set.of(block), scanTwice());
    assertFalse(kmemleak.read().isEmpty());
  }
}
