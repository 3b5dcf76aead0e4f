package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kmemleak file: its commands, its errors, its thread. */
final class CommandTest {
  private final LeakHeap heap = new LeakHeap();
  private final Kmemleak kmemleak = heap.kmemleak;

  @AfterEach
  void close() {
    heap.close();
  }

  private void assertInvalid(String command) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> kmemleak.write(command));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("invalid argument: "), message);
    assertTrue(message.contains("legal="), message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "sca",
        "Scan",
        " scan",
        "stack=",
        "stack",
        "dump",
        "dump=",
        "dump=-1",
        "dump=0x",
        "scan=",
        "scan=x",
        "scan=-1",
        "scan=09",
        "scan=4294967296",
        "scan=1s",
        "clea"
      })
  void write_noCommand_isInvalid(String command) {
    assertInvalid(command);
    assertFalse(kmemleak.periodic().isOn());
  }

  @Test
  void write_scan_scansAndReadDoesNot() {
    long leaked = heap.allocate(64);
    kmemleak.write("scan");
    assertEquals("", kmemleak.read());
    assertEquals("", kmemleak.read(), "a read is no scan");
    String said = kmemleak.write("scanning is a prefix match\n");
    assertTrue(said.contains("SUMMARY: 1 leaks, 64 bytes in 1 cgroups"), said);
    String file = kmemleak.read();
    assertTrue(file.startsWith(String.format("unreferenced object 0x%016x (size 64):", leaked)));
    assertTrue(file.contains("  cgroup \"/web\" cache kmalloc-64"), file);
    heap.kmalloc.free(leaked);
    assertEquals("", kmemleak.read(), "what is freed is in the file no longer");
    assertEquals(leaked, heap.allocate(64), "the next object takes its place");
    assertEquals("", kmemleak.read(), "and is not it");
  }

  @Test
  void write_stackOn_isInvalid_stackOffIsSo() {
    assertEquals("", kmemleak.write("stack=off"));
    String message =
        assertThrows(IllegalArgumentException.class, () -> kmemleak.write("stack=on")).getMessage();
    assertTrue(message.startsWith("invalid argument: stack=on legal=stack=off"), message);
  }

  @Test
  void write_off_permitsClearOnly() {
    long leaked = heap.allocate(64);
    heap.scanTwice();
    kmemleak.write("off");
    assertFalse(kmemleak.isOn());
    for (String command : List.of("scan", "scan=on", "stack=on", "dump=1", "off", "nonsense")) {
      IllegalStateException e =
          assertThrows(IllegalStateException.class, () -> kmemleak.write(command));
      assertTrue(String.valueOf(e.getMessage()).contains("not permitted"), e::toString);
    }
    assertTrue(kmemleak.read().contains("unreferenced object"), "found leaks can still be read");
    kmemleak.write("clear");
    assertEquals("", kmemleak.read());
    kmemleak.on();
    assertEquals(Set.of(), LeakHeap.addresses(kmemleak.scan()), "all was forgotten");
    assertEquals(Set.of(leaked), LeakHeap.addresses(kmemleak.scan()));
  }

  @Test
  void write_dump_knowsTheBlockByItsExactAddress() {
    long block = heap.allocate(128);
    String hex = kmemleak.write(String.format("dump=0x%x", block));
    assertTrue(hex.startsWith(String.format("Object 0x%016x (size 128):", block)), hex);
    assertTrue(hex.contains("min_count = 1"), hex);
    assertTrue(hex.contains("CommandTest.write_dump_knowsTheBlock"), hex);
    kmemleak.notLeak(block);
    assertTrue(kmemleak.write("dump=" + block).contains("min_count = 0"));
    kmemleak.ignore(block);
    assertTrue(kmemleak.write("dump=0" + Long.toOctalString(block) + "\n").contains("count = -1"));
    assertInvalid("dump=" + (block + 8));
    assertInvalid("dump=4096");
    heap.kmalloc.free(block);
    assertInvalid("dump=" + block);
  }

  @Test
  void write_scanSeconds_startsAnewAndZeroStops() {
    kmemleak.write("scan=600");
    Thread first = thread(kmemleak);
    assertTrue(first.isDaemon());
    assertEquals(Thread.MIN_PRIORITY, first.getPriority());
    kmemleak.write("scan=on");
    assertSame(first, thread(kmemleak), "on while it is on does nothing");
    kmemleak.write("scan=0x10");
    assertNotSame(first, thread(kmemleak));
    kmemleak.write("scan=0");
    assertFalse(kmemleak.periodic().isOn());
    kmemleak.write("scan=4294967295");
    assertTrue(kmemleak.periodic().isOn());
    kmemleak.write("scan=off");
    assertFalse(kmemleak.periodic().isOn());
  }

  private static Thread thread(Kmemleak kmemleak) {
    Thread thread = kmemleak.periodic().thread();
    if (thread == null) {
      throw new AssertionError("no thread");
    }
    return thread;
  }

  @Test
  void periodicThread_scansAndEndsWhenItIsOff() throws InterruptedException {
    long leaked = heap.allocate(64);
    CountDownLatch scans = new CountDownLatch(3);
    Kmemleak periodic =
        heap.builder()
            .periodic(Duration.ofMillis(1), Duration.ofMillis(1))
            .onProgress(step -> {
              if (step.step() == ScanProgress.Step.DONE) {
                scans.countDown();
              }
            })
            .build();
    assertFalse(periodic.periodic().isOn(), "there is none before it is asked for");
    periodic.write("scan=on");
    Thread thread = thread(periodic);
    assertTrue(scans.await(60, TimeUnit.SECONDS));
    periodic.write("scan=off");
    thread.join(60_000);
    assertFalse(thread.isAlive());
    assertTrue(periodic.read().contains(String.format("0x%016x", leaked)), periodic::read);
  }

  @Test
  void periodicThread_firstScanWaitsForItsDelay() throws InterruptedException {
    AtomicReference<@Nullable ScanProgress> seen = new AtomicReference<>();
    Kmemleak periodic =
        heap.builder()
            .periodic(Duration.ofDays(1), Duration.ofNanos(1))
            .onProgress(seen::set)
            .build();
    periodic.write("scan=on");
    Thread thread = thread(periodic);
    while (thread.getState() != Thread.State.TIMED_WAITING) {
      Thread.onSpinWait();
    }
    periodic.off();
    thread.join(60_000);
    assertFalse(thread.isAlive());
    assertEquals(null, seen.get());
  }

  @Test
  void periodicThread_dumpRefused_goesOn_internalErrorEndsIt() throws InterruptedException {
    CountDownLatch dumps = new CountDownLatch(3);
    JavaHeap failing =
        new JavaHeap(
            file -> {
              dumps.countDown();
              if (dumps.getCount() == 0) {
                throw new AssertionError("injected");
              }
              throw new IOException("No space left on device");
            },
            List.of(Path.of(System.getProperty("java.io.tmpdir"))));
    Kmemleak broken =
        Kmemleak.builder(heap.kmalloc)
            .periodic(Duration.ZERO, Duration.ofMillis(1))
            .javaHeap(failing)
            .build();
    broken.write("scan=on");
    Thread thread = thread(broken);
    thread.join(60_000);
    assertFalse(thread.isAlive());
    assertEquals(0, dumps.getCount(), "a refused dump did not end it");
    assertFalse(broken.isOn());
    assertFalse(broken.periodic().isOn());
    heap.kmalloc.free(heap.allocate(64));
    broken.on();
    assertEquals("", broken.write("stack=off"), "commands are permitted again");
  }

  @Test
  void progress_tellsTheStepsInOrder() {
    heap.allocate(64);
    StringBuilder steps = new StringBuilder();
    Kmemleak told =
        heap.builder()
            .onProgress(step -> {
              steps.append(step.step()).append(step.pass()).append(' ');
              throw new IllegalStateException("a callback's failure is its own");
            })
            .build();
    told.scan();
    assertEquals("ROOTS1 MARK1 COMPARE1 DONE1 ", steps.toString());
    steps.setLength(0);
    assertEquals(1, told.scan().nrNew());
    assertEquals("ROOTS1 MARK1 COMPARE1 ROOTS2 MARK2 DONE2 ", steps.toString());
    assertTrue(told.isOn());
  }
}
