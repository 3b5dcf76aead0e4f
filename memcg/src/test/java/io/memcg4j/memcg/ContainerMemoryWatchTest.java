package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.memcg.ContainerMemory.Budget;
import io.memcg4j.memcg.ContainerMemory.Usage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is told when files change. The test polls itself. */
class ContainerMemoryWatchTest {
  private static final String MAX = "sys/fs/cgroup/app/memory.max";
  private static final String CURRENT = "sys/fs/cgroup/app/memory.current";
  private static final String PRESSURE = "sys/fs/cgroup/app/memory.pressure";
  private static final long SECOND = 1_000_000_000;

  private final FixtureHost host;

  ContainerMemoryWatchTest(@TempDir Path root) {
    this.host = new FixtureHost(root);
    host.v2("/app");
    host.file(MAX, "1000\n");
    host.file(CURRENT, "500\n");
  }

  @Test
  void watch_changedLimit_isTold() {
    List<Budget> told = new ArrayList<>();
    ContainerWatch watch = host.detect().withReserve(0).watch(Duration.ofSeconds(5), told::add);
    watch.poll();
    assertEquals(List.of(), told);
    host.file(MAX, "800\n");
    watch.poll();
    watch.poll();
    assertEquals(List.of(new Budget(800, 100, 0, 700)), told);
    host.file(MAX, "broken\n");
    watch.poll();
    watch.poll();
    assertEquals(1, told.size());
    assertEquals(1, host.reports.size());
    host.file(MAX, "max\n");
    watch.poll();
    assertEquals(ContainerMemory.UNLIMITED, told.get(1).rootMax());
    watch.close();
    host.file(MAX, "1\n");
    watch.poll();
    assertEquals(2, told.size());
  }

  @Test
  void watch_callbackThatThrows_isCounted() {
    ContainerWatch watch =
        host.detect()
            .watch(
                Duration.ofSeconds(1),
                budget -> {
                  throw new IllegalStateException("on purpose");
                });
    host.file(MAX, "1\n");
    watch.poll();
    assertEquals(1, watch.nrFailed());
  }

  @Test
  void watch_illegalPeriodOrFraction_isRefused() {
    ContainerMemory container = host.detect();
    for (Duration period : List.of(Duration.ZERO, Duration.ofSeconds(-1))) {
      assertThrows(IllegalArgumentException.class, () -> container.watch(period, b -> {}));
    }
    for (double fraction : new double[] {0, -1, 1.01, Double.NaN}) {
      assertThrows(IllegalArgumentException.class, () -> container.onNearLimit(fraction, u -> {}));
    }
    assertEquals(0, host.threads.size());
    container.watch(Duration.ofSeconds(Long.MAX_VALUE), b -> {}).close();
  }

  @Test
  void watch_withoutContainer_isQuietAndHasNoThread() {
    host.delete("proc/self/cgroup");
    ContainerMemory container = host.detect();
    container.watch(Duration.ofSeconds(1), b -> {}).poll();
    container.onNearLimit(0.5, u -> {}).poll();
    assertEquals(0, host.threads.size());
  }

  @Test
  void nearLimit_firesOnceUntilItFellBelow() {
    List<Usage> told = new ArrayList<>();
    ContainerWatch watch = host.detect().onNearLimit(0.9, told::add);
    watch.poll();
    host.file(CURRENT, "899");
    watch.poll();
    assertEquals(0, told.size());
    host.file(CURRENT, "900");
    watch.poll();
    host.file(CURRENT, "950");
    watch.poll();
    assertEquals(1, told.size());
    assertEquals(900, told.get(0).usedBytes());
    host.file(CURRENT, "890");
    watch.poll();
    host.file(MAX, "900"); // the wall may also come nearer
    watch.poll();
    assertEquals(2, told.size());
    host.file("sys/fs/cgroup/app/memory.stat", "inactive_file 800\n");
    watch.poll(); // file cache is no danger
    assertEquals(2, told.size());
  }

  @Test
  void watches_shareOneThreadThatEndsWithTheLast() throws Exception {
    List<Thread> threads = new ArrayList<>();
    CountDownLatch looked = new CountDownLatch(3);
    ContainerPoller poller =
        new ContainerPoller(
            System::nanoTime,
            work -> {
              threads.add(ContainerPoller.daemon(work));
              return threads.getLast();
            });
    ContainerWatch often = new ContainerWatch(poller, 1000, looked::countDown);
    ContainerWatch seldom = new ContainerWatch(poller, 86400 * SECOND, looked::countDown);
    poller.add(seldom);
    poller.add(often);
    looked.await();
    assertEquals(1, threads.size());
    assertTrue(threads.get(0).isDaemon());
    often.close();
    seldom.close();
    threads.get(0).join();
    ContainerWatch again = new ContainerWatch(poller, SECOND, () -> {});
    poller.add(again);
    assertEquals(2, threads.size());
    again.close();
    threads.get(1).join();
  }

  // ---- pressure

  private void pressure(long totalMicros) {
    host.file(
        PRESSURE,
        "some avg10=0.00 avg60=0.00 avg300=0.00 total="
            + totalMicros
            + "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  }

  private static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void pressure_unset_watchesOwnGroupWithTheDefault() {
    pressure(5_000_000);
    List<Pressure> told = new ArrayList<>();
    ContainerWatch watch = host.detect().onPressure(told::add).orElseThrow();
    assertEquals(200_000_000, watch.periodNanos());
    host.nanos += SECOND;
    pressure(5_199_999);
    watch.poll();
    assertEquals(0, told.size());
    pressure(5_200_000);
    watch.poll();
    assertEquals(5_200_000, told.get(0).some().totalMicros());
    host.file(PRESSURE, "gone\n");
    watch.poll();
    assertEquals(0, watch.nrFailed());
  }

  @Test
  void pressure_namedFile_isWatchedWithTheGivenThreshold() {
    host.env.put(PressureSource.WATCH, "/" + PRESSURE);
    host.env.put(PressureSource.WRITE, base64("some 1000 1000000\0"));
    pressure(0);
    ContainerMemory container = host.detect();
    assertEquals(
        new PressureSource(PressureSource.Kind.PSI_FILE, "/" + PRESSURE, "some 1000 1000000\0", ""),
        container.pressureSource());
    List<Pressure> told = new ArrayList<>();
    ContainerWatch watch = container.onPressure(told::add).orElseThrow();
    pressure(1000);
    watch.poll();
    assertEquals(1, told.size());
  }

  @Test
  void pressure_devNull_isNotWatched() {
    pressure(0);
    host.env.put(PressureSource.WATCH, "/dev/null");
    ContainerMemory container = host.detect();
    assertEquals(PressureSource.Kind.OFF, container.pressureSource().kind());
    assertEquals(Optional.empty(), container.onPressure(p -> {}));
  }

  @ParameterizedTest
  @ValueSource(strings = {"relative/path", "/no/such/file", "/sys/fs/cgroup", "/\0"})
  void pressure_illegalPath_saysWhy(String path) {
    pressure(0);
    host.env.put(PressureSource.WATCH, path);
    PressureSource source = host.detect().pressureSource();
    assertEquals(PressureSource.Kind.INVALID, source.kind());
    assertTrue(source.problem().contains(PressureSource.WATCH), source.problem());
    assertEquals(Optional.empty(), host.detect().onPressure(p -> {}));
  }

  @Test
  void pressure_illegalWrite_saysWhy() {
    pressure(0);
    host.env.put(PressureSource.WATCH, "/" + PRESSURE);
    host.env.put(PressureSource.WRITE, "%%%");
    PressureSource source = host.detect().pressureSource();
    assertEquals(PressureSource.Kind.INVALID, source.kind());
    assertTrue(source.problem().contains("base64"), source.problem());
    host.env.put(PressureSource.WRITE, base64("sometimes"));
    assertEquals(Optional.empty(), host.detect().onPressure(p -> {}));
    assertEquals(1, host.reports.size());
  }

  @Test
  void pressure_fifo_isExposedAndNotRead() throws Exception {
    Path fifo = host.root.resolve("fifo");
    int exit = -1;
    try {
      exit = new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor();
    } catch (IOException e) {
      // No such program: assumed below.
    }
    assumeTrue(exit == 0, "mkfifo does not work here");
    host.env.put(PressureSource.WATCH, "/fifo");
    ContainerMemory container = host.detect();
    assertEquals(PressureSource.Kind.FIFO, container.pressureSource().kind());
    List<Pressure> told = new ArrayList<>();
    ContainerWatch watch = container.onPressure(told::add).orElseThrow();
    watch.poll();
    assertEquals(0, told.size(), "nobody has written, and nobody waits for a writer");
    for (int round = 1; round <= 2; round++) {
      try (var writer = new java.io.FileOutputStream(host.root.resolve("fifo").toFile())) {
        writer.write("some memory is short\n".getBytes(StandardCharsets.UTF_8));
        writer.write('x');
      }
      watch.poll();
      watch.poll(); // the writer is gone; what it wrote is told once
      assertEquals(round, told.size());
    }
    assertEquals(Pressure.NONE, told.getFirst());
    assertEquals(0, watch.nrFailed());
    watch.close();
    watch.poll();
    assertEquals(2, told.size());
  }
}
