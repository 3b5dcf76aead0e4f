package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.memcg.ContainerMemory.Budget;
import io.memcg4j.memcg.ContainerMemory.Usage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where the files are and what they say, on folders that look like those of a host. */
class ContainerMemoryTest {
  private static final long MIB = 1 << 20;

  private final FixtureHost host;

  ContainerMemoryTest(@TempDir Path root) {
    this.host = new FixtureHost(root);
  }

  // ---- version 2

  @Test
  void v2_ownGroup_hasLimitUsageAndPressure() {
    host.v2("/app");
    host.file("sys/fs/cgroup/app/memory.max", "1073741824\n");
    host.file("sys/fs/cgroup/app/memory.high", "900000000\n");
    host.file("sys/fs/cgroup/app/memory.current", "1000\n");
    host.file("sys/fs/cgroup/app/memory.stat", "anon 900\ninactive_file 100\nslab 0\n");
    host.file(
        "sys/fs/cgroup/app/memory.pressure",
        """
        some avg10=1.50 avg60=0.20 avg300=0.00 total=99
        full avg10=0.00 avg60=0.00 avg300=0.00 total=12
        """);
    ContainerMemory container = host.detect();
    assertEquals(Optional.empty(), container.absence());
    assertEquals(1073741824, container.limit());
    assertEquals(900000000, container.high());
    Usage usage = container.usage().orElseThrow();
    assertEquals(1000, usage.usedBytes());
    assertEquals(100, usage.cacheBytes());
    assertEquals(900 / 1073741824.0, usage.fraction());
    Pressure pressure = container.pressure().orElseThrow();
    assertEquals(1.5, pressure.some().avg10());
    assertEquals(12, pressure.full().totalMicros());
    assertTrue(container.toString().startsWith("cgroup V2 at "), container.toString());
    assertEquals(List.of(), container.problems());
  }

  @Test
  void v2_nested_lowestLimitCountsAndNearestWallIsTheUsage() {
    host.v2("/pod/app/sub");
    host.file("sys/fs/cgroup/pod/memory.max", "2000\n");
    host.file("sys/fs/cgroup/pod/memory.current", "1990\n");
    host.file("sys/fs/cgroup/pod/app/memory.max", "1000\n");
    host.file("sys/fs/cgroup/pod/app/memory.current", "500\n");
    host.file("sys/fs/cgroup/pod/app/sub/memory.max", "max\n");
    host.file("sys/fs/cgroup/pod/app/sub/memory.current", "400\n");
    ContainerMemory container = host.detect();
    assertEquals(1000, container.limit());
    Usage usage = container.usage().orElseThrow();
    assertTrue(usage.group().endsWith("pod"), usage.group());
    assertEquals(1990, usage.usedBytes());
    assertEquals(2000, usage.limitBytes());
  }

  @Test
  void v2_max_isNoLimit() {
    host.v2("/app");
    host.file("sys/fs/cgroup/app/memory.max", "max\n");
    host.file("sys/fs/cgroup/app/memory.current", "123\n");
    ContainerMemory container = host.detect();
    assertEquals(ContainerMemory.UNLIMITED, container.limit());
    assertEquals(ContainerMemory.UNLIMITED, container.high());
    assertEquals(ContainerMemory.UNLIMITED, container.budget().rootMax());
    assertEquals(123, container.usage().orElseThrow().usedBytes());
    assertEquals(0, container.usage().orElseThrow().fraction());
  }

  @Test
  void v2_namespaceOrForeignPath_endsAtTheMountPoint() {
    for (String group : List.of("/", "/../../other", "/docker/0123")) {
      host.v2(group);
      host.file("sys/fs/cgroup/memory.max", "777\n");
      assertEquals(777, host.detect().limit(), group);
    }
  }

  @Test
  void v2_partOfTheTreeMounted_findsTheWay() {
    host.file("proc/self/cgroup", "0::/docker/ab/sub\n");
    host.file(
        "proc/self/mountinfo",
        """
        35 30 0:30 /docker/abc /mnt/wrong ro - cgroup2 cgroup rw
        36 30 0:30 /docker/ab /mnt/my\\040groups ro shared:1 - cgroup2 cgroup rw
        """);
    host.file("mnt/wrong/memory.max", "1\n");
    host.file("mnt/my groups/memory.max", "900\n");
    host.file("mnt/my groups/sub/memory.max", "800\n");
    assertEquals(800, host.detect().limit());
  }

  @Test
  void v2_rootGroup_isAbsentWithAReason() {
    host.v2("/");
    host.file("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    String absence = host.detect().absence().orElseThrow();
    assertTrue(absence.contains("no memory.max at or above"), absence);
  }

  // ---- version 1 and both

  @Test
  void v1_hugeValue_isNoLimit() {
    host.v1("/");
    host.file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    host.file("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
    assertEquals(ContainerMemory.UNLIMITED, host.detect().limit());
    host.file("sys/fs/cgroup/memory/memory.limit_in_bytes", "18446744073709551615\n");
    assertEquals(ContainerMemory.UNLIMITED, host.detect().limit());
  }

  @Test
  void v1_nested_takesTheLowestAndKnowsNoHigh() {
    host.v1("/a/b");
    host.file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    host.file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4096\n");
    host.file("sys/fs/cgroup/memory/a/memory.high", "1\n");
    host.file("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "8192\n");
    host.file("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "2048\n");
    host.file("sys/fs/cgroup/memory/a/b/memory.stat", "inactive_file 9\ntotal_inactive_file 48\n");
    ContainerMemory container = host.detect();
    assertEquals(4096, container.limit());
    assertEquals(ContainerMemory.UNLIMITED, container.high());
    assertEquals(2000 / 8192.0, container.usage().orElseThrow().fraction());
  }

  @Test
  void v1_withoutHierarchy_ancestorsDoNotCount() {
    host.v1("/a/b");
    host.file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4096\n");
    host.file("sys/fs/cgroup/memory/a/memory.use_hierarchy", "0\n");
    host.file("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "8192\n");
    host.file("sys/fs/cgroup/memory/a/b/memory.use_hierarchy", "0\n");
    assertEquals(8192, host.detect().limit());
    host.file("sys/fs/cgroup/memory/a/memory.use_hierarchy", "1\n");
    assertEquals(4096, host.detect().limit());
  }

  @Test
  void hybrid_memoryInVersion1_pressureInVersion2() {
    host.file("proc/self/cgroup", "4:cpu,memory:/app\n1:name=systemd:/x\n0::/app\n");
    host.file(
        "proc/self/mountinfo",
        """
        30 1 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
        33 30 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory
        34 30 0:3 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
        41 30 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
        """);
    host.file("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "4096\n");
    host.file(
        "sys/fs/cgroup/unified/app/memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
    ContainerMemory container = host.detect();
    assertEquals(4096, container.limit());
    assertEquals(7, container.pressure().orElseThrow().some().totalMicros());
    assertTrue(container.toString().startsWith("cgroup V1 at "), container.toString());
  }

  @Test
  void hybrid_memoryInVersion2_isFoundThere() {
    host.file("proc/self/cgroup", "4:cpu:/c\n0::/app\n");
    host.file(
        "proc/self/mountinfo",
        """
        33 30 0:2 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
        41 30 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
        """);
    host.file("sys/fs/cgroup/unified/app/memory.max", "8192\n");
    assertEquals(8192, host.detect().limit());
  }

  // ---- absence and garbage

  @Test
  void missing_proc_isAbsentWithAReason() {
    ContainerMemory container = host.detect();
    String absence = container.absence().orElseThrow();
    assertTrue(absence.contains("not Linux"), absence);
    assertEquals(ContainerMemory.UNLIMITED, container.limit());
    assertEquals(ContainerMemory.UNLIMITED, container.high());
    assertEquals(ContainerMemory.UNLIMITED, container.budget().rootMax());
    assertEquals(Optional.empty(), container.usage());
    assertEquals(Optional.empty(), container.pressure());
    assertEquals(OptionalLong.empty(), container.untrackedBytes(0));
    assertEquals(List.of(), container.problems());
    assertTrue(container.toString().startsWith("no container: "), container.toString());
  }

  @Test
  void missing_mount_isAbsentWithAReason() {
    host.file("proc/self/cgroup", "0::/app\n");
    host.file("proc/self/mountinfo", "23 1 0:1 / / rw - ext4 /dev/sda rw\n");
    String absence = host.detect().absence().orElseThrow();
    assertTrue(absence.contains("no cgroup with the memory controller is mounted"), absence);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\0", "x", "-1", "12 34", "1e9", "123456789012345678901", "max max"})
  void garbage_limit_isReportedOnceAndNotFollowed(String garbage) {
    host.v2("/app");
    host.file("sys/fs/cgroup/memory.max", "5000\n");
    host.file("sys/fs/cgroup/app/memory.max", garbage);
    ContainerMemory container = host.detect();
    assertEquals(5000, container.limit());
    assertEquals(5000, container.limit());
    assertEquals(1, host.reports.size());
    assertEquals(1, container.problems().size());
    assertTrue(host.reports.get(0).contains("app" + java.io.File.separator + "memory.max"));
  }

  @Test
  void garbage_inProc_isSurvived() {
    host.file("proc/self/cgroup", "\n:::\n0\n0::\nx:memory\n5:memory:\n");
    host.file("proc/self/mountinfo", "\n - \n1 2 3 - \n1 2 3 4 5 6 - cgroup2\n-\n");
    assertTrue(host.detect().absence().isPresent());
  }

  @Test
  void garbage_later_keepsTheLastValueUntilItIsReadableAgain() {
    host.v2("/app");
    host.file("sys/fs/cgroup/app/memory.max", "5000\n");
    ContainerMemory container = host.detect();
    assertEquals(5000, container.limit());
    host.file("sys/fs/cgroup/app/memory.max", "???");
    assertEquals(5000, container.limit());
    host.delete("sys/fs/cgroup/app/memory.max");
    assertEquals(5000, container.limit());
    assertEquals(1, host.reports.size());
    host.file("sys/fs/cgroup/app/memory.max", "6000");
    assertEquals(6000, container.limit());
    assertEquals(List.of(), container.problems());
    host.file("sys/fs/cgroup/app/memory.max", "");
    assertEquals(6000, container.limit());
    assertEquals(2, host.reports.size());
  }

  @Test
  void garbage_pressureAndStat_areAbsentOrZero() {
    host.v2("/app");
    host.file("sys/fs/cgroup/app/memory.max", "100\n");
    host.file("sys/fs/cgroup/app/memory.current", "50\n");
    host.file("sys/fs/cgroup/app/memory.stat", "inactive_file many\n");
    host.file("sys/fs/cgroup/app/memory.pressure", "none\n");
    assertEquals(0.5, host.detect().usage().orElseThrow().fraction());
    assertEquals(Optional.empty(), host.detect().pressure());
  }

  // ---- budget

  @Test
  void budget_default_leavesFivePercentOrMinimum() {
    host.v2("/app");
    host.heapMax = 512 * MIB;
    host.file("sys/fs/cgroup/app/memory.max", Long.toString(4096 * MIB));
    Budget large = host.detect().budget();
    assertEquals(4096 * MIB / 20, large.reserve());
    assertEquals(4096 * MIB - 512 * MIB - 4096 * MIB / 20, large.rootMax());
    host.file("sys/fs/cgroup/app/memory.max", Long.toString(1024 * MIB));
    Budget small = host.detect().budget();
    assertEquals(new Budget(1024 * MIB, 512 * MIB, 64 * MIB, 448 * MIB), small);
    assertEquals(
        "rootMax=469762048 (448.0 MiB) = containerLimit=1073741824 (1024.0 MiB)"
            + " - heapMax=536870912 (512.0 MiB) - reserve=67108864 (64.0 MiB)",
        small.toString());
  }

  @Test
  void budget_nothingLeft_isZeroAndSaysSo() {
    for (long heapMax : new long[] {1000 * MIB, 4000 * MIB, Long.MAX_VALUE}) {
      Budget budget = Budget.of(1024 * MIB, heapMax, 64 * MIB);
      assertEquals(0, budget.rootMax());
      assertTrue(budget.toString().contains("nothing is left"), budget.toString());
      assertFalse(budget.toString().contains("\n"));
    }
    assertEquals(0, Budget.of(1024 * MIB, 1, Long.MAX_VALUE).rootMax());
    assertEquals(0, Budget.of(0, 0, 0).rootMax());
    String unlimited = Budget.of(ContainerMemory.UNLIMITED, 1, 1).toString();
    assertTrue(unlimited.startsWith("rootMax=unlimited = containerLimit=unlimited"), unlimited);
  }

  @Test
  void budget_ownReserve_isUsed() {
    host.v2("/app");
    host.heapMax = 10;
    host.file("sys/fs/cgroup/app/memory.max", "1000\n");
    ContainerMemory container = host.detect();
    assertEquals(new Budget(1000, 10, 90, 900), container.withReserve(90).budget());
    assertEquals(990, container.withReserve(0).budget().rootMax());
    assertEquals(0, container.budget().rootMax());
    assertThrows(IllegalArgumentException.class, () -> container.withReserve(-1));
  }

  @Test
  void untracked_isResidentLessHeapLessTracked() {
    host.file("proc/self/status", "Name:\tjava\nVmHWM:\t 9 kB\nVmRSS:\t  4000000000 kB\n");
    ContainerMemory container = host.detect();
    // The heap may grow between the two calls, but not by a TiB.
    long all = container.untrackedBytes(0).orElseThrow();
    assertTrue(all <= 4000000000L * 1024 && all > 4000000000L * 1024 - (1L << 40), "all=" + all);
    assertTrue(container.untrackedBytes(Long.MAX_VALUE / 2).orElseThrow() < 0);
    host.file("proc/self/status", "VmRSS: many kB\n");
    assertEquals(OptionalLong.empty(), container.untrackedBytes(0));
  }

  // ---- this machine

  @Test
  void thisMachine_asItIs() throws Exception {
    ContainerMemory container = ContainerMemory.detect();
    assumeTrue(
        container.absence().isEmpty(), () -> "no container: " + container.absence().orElseThrow());
    assertTrue(container.limit() >= 0);
    Budget budget = container.budget();
    assertTrue(budget.rootMax() >= 0, budget.toString());
    Usage usage = container.usage().orElseThrow();
    assertTrue(usage.usedBytes() >= 0 && usage.cacheBytes() >= 0, usage.toString());
    assertTrue(container.untrackedBytes(0).isPresent());
    assertTrue(Files.isDirectory(Path.of(usage.group())));
    List<Usage> near = new ArrayList<>();
    container.onNearLimit(1, near::add).close();
  }
}
