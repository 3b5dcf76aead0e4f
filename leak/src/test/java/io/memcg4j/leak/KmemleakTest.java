package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The scanner on a real allocator, with the Java heap of this JVM as roots. */
final class KmemleakTest {
  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc = Kmalloc.builder(root).build();
  private final ObjCgroup web = ObjCgroup.of(root.create("web"));

  /** What the application holds; JUnit holds this test. */
  private final List<Object> held = new ArrayList<>();

  private Kmemleak kmemleak = scanner(true);

  private Kmemleak scanner(boolean readsJavaHeap) {
    Kmemleak.Builder builder = Kmemleak.builder(kmalloc).minAge(Duration.ZERO);
    return readsJavaHeap ? builder.build() : builder.withoutJavaHeap().build();
  }

  @BeforeEach
  void trackExactly() {
    kmalloc.profile().exact();
  }

  @AfterEach
  void freeAll() {
    try {
      kmalloc.close();
    } catch (IllegalStateException e) {
      // Leaks are what these tests leave behind.
      assertTrue(String.valueOf(e.getMessage()).contains("nrObjects"), e::toString);
    }
  }

  private long allocate(long nrBytes) {
    try (Scope scope = web.enter()) {
      return kmalloc.allocate(nrBytes);
    }
  }

  /** An address that is in no object of the Java heap: only its complement is. */
  private long hiddenBlock(long nrBytes) {
    return ~allocate(nrBytes);
  }

  private static Set<Long> hidden(LeakReport report) {
    Set<Long> addresses = new TreeSet<>();
    report.suspects().forEach(suspect -> addresses.add(~suspect.address()));
    return addresses;
  }

  @Test
  void scan_groupWasRemoved_namesItBesideTheOneThatPays() {
    long kept = allocate(64);
    hiddenBlock(64);
    web.group().remove();
    held.add(kept);
    kmemleak.scan();
    LeakReport report = kmemleak.scan();
    assertEquals(1, report.suspects().size(), report::toString);
    LeakSuspect suspect = report.suspects().getFirst();
    assertEquals("/", suspect.cgroup());
    assertEquals("/web", suspect.removedCgroup());
    assertTrue(report.toString().contains("cgroup \"/\" inherited from \"/web\" cache"));
    assertTrue(report.toJsonLines().contains("\"removedCgroup\":\"/web\""));
  }

  @Test
  void scan_thousandPlantedLeaks_areFoundWithTenantAndCallSite() {
    Set<Long> planted = new HashSet<>();
    long[] kept = new long[1000];
    for (int i = 0; i < 1000; i++) {
      planted.add(hiddenBlock(8 << (i % 8)));
      kept[i] = allocate(64);
    }
    held.add(kept);
    LeakReport first = kmemleak.scan();
    assertEquals(List.of(), first.suspects());
    LeakReport report = kmemleak.scan();
    assertEquals(planted, hidden(report));
    assertEquals(1000, report.nrNew());
    for (LeakSuspect suspect : report.suspects()) {
      assertEquals("/web", suspect.cgroup());
      assertTrue(
          suspect.frames().stream().anyMatch(f -> f.getMethodName().equals("hiddenBlock")),
          suspect::toString);
    }
    String text = report.toString();
    assertTrue(text.contains("SUMMARY: 1000 leaks, "), text);
    assertTrue(text.contains("  cgroup \"/web\" cache "), text);
    assertTrue(report.toCollapsed().contains("KmemleakTest.hiddenBlock"), report::toCollapsed);
    assertEquals(Set.of("/web"), report.bytesByCgroup().keySet());
    assertEquals(0, kmemleak.scan().nrNew(), "reported as new once");
  }

  private record Holder(int key, long address) {}

  @Test
  void scan_everyKindOfHolder_isRecognised() {
    held.add(new Holder(1, allocate(64)));
    held.add(Map.of("key", allocate(64)));
    held.add(new long[] {allocate(64) + 63});
    held.add(Memory.ALL.asSlice(allocate(8192) + 4096, 8));
    long table = allocate(4096);
    FakeHeap.put(table + 8, allocate(64));
    held.add(new Holder(2, table));
    long large = allocate(1 << 20);
    FakeHeap.put(large + (1 << 20) - 8, allocate(2048));
    held.add(new Holder(3, large + 100_000));
    kmemleak.scan();
    LeakReport report = kmemleak.scan();
    assertEquals(List.of(), report.suspects());
    assertTrue(report.nrBlocks() >= 8, report::toString);
  }

  @Test
  void scan_minAge_keepsYoungOnesOut() {
    kmemleak = Kmemleak.builder(kmalloc).minAge(Duration.ofDays(1)).withoutJavaHeap().build();
    long leaked = hiddenBlock(64);
    for (int i = 0; i < 4; i++) {
      assertEquals(List.of(), kmemleak.scan().suspects(), () -> Long.toString(leaked));
    }
  }

  @Test
  void scan_minUnrefScansTwo_takesOneMore() {
    kmemleak = scanner(false);
    kmemleak.minUnrefScans(2);
    assertEquals(2, kmemleak.minUnrefScans());
    long leaked = hiddenBlock(64);
    assertEquals(Set.of(), hidden(kmemleak.scan()));
    assertEquals(Set.of(), hidden(kmemleak.scan()));
    assertEquals(Set.of(leaked), hidden(kmemleak.scan()));
    assertThrows(IllegalArgumentException.class, () -> kmemleak.minUnrefScans(0));
  }

  @Test
  void scan_colours_areObeyed() {
    kmemleak = scanner(false);
    long gray = allocate(64);
    long behindGray = allocate(64);
    FakeHeap.put(gray, behindGray);
    long black = allocate(64);
    long behindBlack = hiddenBlock(64);
    FakeHeap.put(black, ~behindBlack);
    kmemleak.notLeak(gray);
    kmemleak.ignore(black);
    kmemleak.notLeak(0);
    kmemleak.scan();
    assertEquals(Set.of(behindBlack), hidden(kmemleak.scan()));
  }

  /** Of all that is said only the call site changes nothing for who takes the block's place. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void said_blockIsReplaced_itsSuccessorDoesNotInheritIt(int nrScansBetween) {
    long buffer = allocate(256);
    long partly = allocate(256);
    long forgotten = hiddenBlock(256);
    held.add(new long[] {buffer, partly});
    kmemleak.noScan(buffer);
    kmemleak.scanArea(partly, 8, 8);
    kmemleak.notLeak(~forgotten);
    for (int i = 0; i < nrScansBetween; i++) {
      assertEquals(Set.of(), hidden(kmemleak.scan()));
    }
    for (long block : new long[] {buffer, partly, ~forgotten}) {
      kmalloc.free(block);
    }
    Set<Long> places = new TreeSet<>(List.of(~buffer, ~partly, forgotten));
    for (int i = 0; i < 3; i++) {
      assertTrue(places.remove(hiddenBlock(256)), "the test wants the same addresses");
    }
    put(buffer, ~hiddenBlock(64));
    put(partly, ~hiddenBlock(64));
    for (int i = 0; i < 4; i++) {
      Set<Long> expected = i == 0 ? Set.of() : Set.of(forgotten);
      assertEquals(expected, hidden(kmemleak.scan()), "scan " + i);
    }
    kmemleak.write("clear");
    kmalloc.free(~forgotten);
    assertEquals(forgotten, hiddenBlock(256), "the test wants the same address");
    kmemleak.scan();
    assertEquals(Set.of(forgotten), hidden(kmemleak.scan()), "what clear said is not inherited");
  }

  @Test
  void said_ofBothBlocksOfAPlace_isToldApart() {
    long buffer = allocate(256);
    held.add(new long[] {buffer});
    kmemleak.noScan(buffer);
    kmalloc.free(buffer);
    assertEquals(buffer, allocate(256), "the test wants the same address");
    kmemleak.update(buffer);
    put(buffer, allocate(64));
    kmemleak.scan();
    assertEquals(Set.of(), hidden(kmemleak.scan()));
  }

  @Test
  void clear_reportedBlockWasReplaced_itsSuccessorIsReported() {
    long leaked = hiddenBlock(64);
    long other = hiddenBlock(64);
    kmemleak.scan();
    assertEquals(2, kmemleak.scan().suspects().size());
    kmalloc.free(~leaked);
    assertEquals(leaked, hiddenBlock(64), "the test wants the same address");
    kmemleak.write("clear");
    kmemleak.scan();
    assertEquals(Set.of(leaked), hidden(kmemleak.scan()));
    assertTrue(other != leaked);
  }

  @Test
  void clear_whileItIsOff_forgetsNothingThatWasSaid() {
    long leaked = hiddenBlock(64);
    long meant = hiddenBlock(64);
    kmemleak.notLeak(~meant);
    kmemleak.scan();
    kmemleak.off();
    kmemleak.write("clear");
    kmemleak.on();
    assertEquals(Set.of(), hidden(kmemleak.scan()), "starts anew");
    assertEquals(Set.of(leaked), hidden(kmemleak.scan()));
  }

  @Test
  void register_memoryOfTheAllocator_isRefused() {
    long block = allocate(64);
    long area = kmalloc.vmalloc().allocate(10_000);
    PercpuAllocator percpu = kmalloc.percpu();
    long copies = percpu.allocate(64);
    held.addAll(List.of(block, area, copies));
    for (long address : new long[] {block, block + 32, block + 4096, area, area - 1, copies}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> kmemleak.register(address, 64, "mine"),
          () -> Long.toHexString(address));
      assertThrows(
          IllegalArgumentException.class,
          () -> kmemleak.registerRoot(address - 64, 65, "mine"),
          () -> Long.toHexString(address));
    }
    kmalloc.vmalloc().free(area);
    percpu.free(copies);
    kmalloc.free(block);
  }

  @Test
  void scan_threadIsInterrupted_restsAndStaysInterrupted() {
    held.add(allocate(64));
    int[] nrSteps = new int[1];
    kmemleak =
        Kmemleak.builder(kmalloc)
            .minAge(Duration.ZERO)
            .dutyCycle(50)
            .onProgress(step -> {
              nrSteps[0]++;
              throw new StackOverflowError("of the callback");
            })
            .build();
    Thread.currentThread().interrupt();
    kmemleak.scan();
    assertTrue(Thread.interrupted());
    assertTrue(kmemleak.isOn(), "the callback's fault is not the scanner's");
    assertTrue(nrSteps[0] >= 3);
  }

  private static void put(long address, long value) {
    Kmalloc.MEMORY.set(ValueLayout.JAVA_LONG, address, value);
  }

  @Test
  void said_ofARegisteredRange_isForgottenWhenItIsUnregistered() {
    try (Arena arena = Arena.ofConfined()) {
      long range = arena.allocate(64).address();
      kmemleak = scanner(false);
      kmemleak.register(range, 64, "mapped");
      kmemleak.notLeak(range);
      assertTrue(kmemleak.unregister(range));
      kmemleak.register(range, 64, "mapped");
      kmemleak.scan();
      kmemleak.scan();
      assertEquals(1, kmemleak.scan().suspects().size());
      assertTrue(kmemleak.unregister(range));
    }
  }

  @Test
  void scan_tooEarly_keepsWhatIsReported_soThatClearMeansIt() throws InterruptedException {
    kmemleak = Kmemleak.builder(kmalloc).minAge(Duration.ofMillis(300)).withoutJavaHeap().build();
    kmemleak.minUnrefScans(2);
    long leaked = hiddenBlock(64);
    kmemleak.scan();
    Thread.sleep(350);
    assertEquals(Set.of(), hidden(kmemleak.scan()), "once");
    LeakReport second = kmemleak.scan();
    assertEquals(Set.of(leaked), hidden(second), "twice, however early");
    assertEquals(1, second.nrNew());
    LeakReport third = kmemleak.scan();
    assertEquals(Set.of(leaked), hidden(third));
    assertEquals(0, third.nrNew());
    kmemleak.write("clear");
    assertEquals(Set.of(), hidden(kmemleak.scan()));
    Thread.sleep(350);
    assertEquals(Set.of(), hidden(kmemleak.scan()));
    Thread.sleep(350);
    assertEquals(Set.of(), hidden(kmemleak.scan()));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void scan_epochWasEndedOtherwise_findsNothingThatItSeesTheFirstTime(boolean isCancelled) {
    boolean[] cancels = new boolean[1];
    kmemleak =
        Kmemleak.builder(kmalloc)
            .minAge(Duration.ZERO)
            .withoutJavaHeap()
            .onProgress(step -> {
              if (cancels[0]) {
                kmemleak.cancel();
              }
            })
            .build();
    long reported = hiddenBlock(64);
    kmemleak.scan();
    assertEquals(Set.of(reported), hidden(kmemleak.scan()));
    long first = hiddenBlock(64);
    assertEquals(Set.of(reported), hidden(kmemleak.scan()));
    kmalloc.free(~first);
    assertEquals(first, hiddenBlock(64), "the test wants the same address");
    if (isCancelled) {
      cancels[0] = true;
      assertThrows(CancellationException.class, kmemleak::scan);
      cancels[0] = false;
      assertEquals(Set.of(reported), hidden(kmemleak.last()));
    } else {
      kmalloc.tracking().advance();
    }
    assertEquals(Set.of(), hidden(kmemleak.scan()), "has nothing to compare with");
    LeakReport last = kmemleak.scan();
    assertEquals(new TreeSet<>(List.of(first, reported)), hidden(last));
    assertEquals(isCancelled ? 1 : 2, last.nrNew(), "one has been reported");
  }

  @Test
  void transientLeak_isImmuneForOneScan() {
    kmemleak = scanner(false);
    long leaked = hiddenBlock(64);
    kmemleak.scan();
    kmemleak.transientLeak(~leaked);
    assertEquals(Set.of(), hidden(kmemleak.scan()));
    assertEquals(Set.of(leaked), hidden(kmemleak.scan()));
  }

  @Test
  void update_setsTheCallSite() {
    kmemleak = scanner(false);
    long leaked = allocate(64);
    kmemleak.update(leaked);
    kmemleak.scan();
    LeakSuspect suspect = kmemleak.scan().suspects().getFirst();
    assertEquals("update_setsTheCallSite", suspect.frames().getFirst().getMethodName());
  }

  @Test
  void register_rootsAndBlocks_takePart() {
    kmemleak = scanner(false);
    try (Arena arena = Arena.ofConfined()) {
      long rootRange = arena.allocate(64, 8).address();
      long block = arena.allocate(128, 8).address();
      long inSlab = allocate(64);
      FakeHeap.put(rootRange, block + 64);
      FakeHeap.put(block, inSlab);
      kmemleak.registerRoot(rootRange, 64, "root");
      kmemleak.register(block, 128, "netty");
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> kmemleak.register(block + 64, 128, "twice"));
      assertTrue(String.valueOf(e.getMessage()).contains("overlaps"), e::toString);
      kmemleak.scan();
      assertEquals(List.of(), kmemleak.scan().suspects());
      FakeHeap.put(rootRange, 0);
      kmemleak.scan();
      LeakReport report = kmemleak.scan();
      assertEquals(2, report.suspects().size(), report::toString);
      assertTrue(report.toString().contains("cgroup \"\" cache netty"), report::toString);
      assertTrue(kmemleak.unregister(block));
      assertFalse(kmemleak.unregister(block));
      assertEquals(1, kmemleak.scan().suspects().size());
    }
  }

  @Test
  void off_refusesScansUntilOn() {
    kmemleak = scanner(false);
    kmemleak.off();
    assertFalse(kmemleak.isOn());
    assertThrows(IllegalStateException.class, () -> kmemleak.scan());
    kmemleak.on();
    assertEquals(List.of(), kmemleak.scan().suspects());
  }

  @Test
  void scan_dumpRefused_changesNothing() {
    long leaked = hiddenBlock(64);
    JavaHeap refusing =
        new JavaHeap(
            file -> {
              throw new IOException("No space left on device");
            },
            List.of(Path.of(System.getProperty("java.io.tmpdir"))));
    kmemleak = Kmemleak.builder(kmalloc).minAge(Duration.ZERO).javaHeap(refusing).build();
    assertThrows(HeapDumpException.class, () -> kmemleak.scan());
    assertTrue(kmemleak.isOn());
    kmemleak = scanner(false);
    kmemleak.scan();
    assertEquals(Set.of(leaked), hidden(kmemleak.scan()));
  }

  @Test
  void scan_internalError_turnsItOffAndOnAgain() {
    JavaHeap broken =
        new JavaHeap(
            file -> {
              throw new AssertionError("broken");
            },
            List.of(Path.of(System.getProperty("java.io.tmpdir"))));
    kmemleak = Kmemleak.builder(kmalloc).minAge(Duration.ZERO).javaHeap(broken).build();
    assertThrows(AssertionError.class, () -> kmemleak.scan());
    assertFalse(kmemleak.isOn());
    assertThrows(IllegalStateException.class, () -> kmemleak.scan());
    kmemleak.on();
    assertTrue(kmemleak.isOn());
    kmalloc.free(allocate(64));
  }
}
