package io.memcg4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.memcg.ContainerMemory;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What doctor says of systems and JVMs that are not well. */
final class DoctorTest {
  private static final long MIB = 1L << 20;

  @TempDir private Path folder;

  private static GroupFigures group(String path, long usage, long high, long max) {
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    values.put("path", path);
    values.put("usage", usage);
    values.put("high", high);
    values.put("max", max);
    return new GroupFigures(path, values);
  }

  private static List<Finding> limits(long heapMax, long containerLimit, GroupFigures... groups) {
    List<Finding> findings = new ArrayList<>();
    ConsoleChecks.limits(
        "jvm 7", new GroupFigures.Snapshot(0, List.of(groups)), heapMax, containerLimit, findings);
    assertTrue(findings.stream().noneMatch(f -> f.advice().isEmpty()), "each with advice");
    return findings;
  }

  @Test
  void java_tooOld_fails() {
    assertEquals(Finding.Status.FAIL, SystemChecks.java(21).status());
    assertTrue(SystemChecks.java(21).advice().contains("JAVA_HOME"));
    assertEquals(Finding.Status.OK, SystemChecks.java(25).status());
  }

  @Test
  void nativeAccess_missing_namesTheOption() {
    assertTrue(SystemChecks.nativeAccess(false).advice().contains("--enable-native-access"));
    assertEquals(Finding.Status.OK, SystemChecks.nativeAccess(true).status());
  }

  @Test
  void system_otherThanLinux_isAWarning() {
    assertEquals(Finding.Status.WARN, SystemChecks.system("Mac OS X", "aarch64").status());
    assertEquals(Finding.Status.OK, SystemChecks.system("Linux", "amd64").status());
  }

  @Test
  void mappings_few_isAWarning() throws IOException {
    Path file = folder.resolve("max_map_count");
    assertEquals(Optional.empty(), SystemChecks.mappings(file));
    for (Map.Entry<String, Finding.Status> row :
        Map.of("65530\n", Finding.Status.OK, "32000\n", Finding.Status.WARN).entrySet()) {
      Files.writeString(file, row.getKey());
      assertEquals(row.getValue(), SystemChecks.mappings(file).orElseThrow().status());
    }
    for (String odd : List.of("", "many")) {
      Files.writeString(file, odd);
      assertEquals(Optional.empty(), SystemChecks.mappings(file), odd);
    }
  }

  /** Such files give all at the first read, and nothing at a second. */
  @Test
  void mappings_ofThisSystem_areReadWhole() throws IOException {
    Path file = Path.of("/proc/sys/vm/max_map_count");
    assumeTrue(Files.exists(file), "not Linux");
    String whole;
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      whole = reader.readLine();
    }
    assertTrue(SystemChecks.mappings(file).orElseThrow().found().contains("=" + whole));
  }

  @Test
  void options_withoutNativeAccess_isAWarning() throws IOException {
    List<Finding> findings = new ArrayList<>();
    ConsoleChecks.options(folder, "jvm 7", findings);
    assertEquals(List.of(), findings, "nothing is known");
    Files.writeString(folder.resolve("cmdline"), "java\0-cp\0app.jar\0App\0");
    Files.writeString(folder.resolve("environ"), "PATH=/bin\0");
    ConsoleChecks.options(folder, "jvm 7", findings);
    assertEquals(1, findings.size());
    for (String[] files :
        new String[][] {
          {"java\0--enable-native-access=ALL-UNNAMED\0App\0", "PATH=/bin\0"},
          {"java\0App\0", "A=b\0JDK_JAVA_OPTIONS=--enable-native-access=ALL-UNNAMED\0"}
        }) {
      findings.clear();
      Files.writeString(folder.resolve("cmdline"), files[0]);
      Files.writeString(folder.resolve("environ"), files[1]);
      ConsoleChecks.options(folder, "jvm 7", findings);
      assertEquals(List.of(), findings);
    }
  }

  @Test
  void limits_missing_areNamedWithTheCommand() {
    List<Finding> findings =
        limits(0, ContainerMemory.UNLIMITED, group("/", 0, -1, -1), group("/a", 0, -1, -1));
    assertEquals(2, findings.size());
    assertTrue(findings.getFirst().advice().contains("set --pid 7 memory.max"));
    assertTrue(findings.getLast().found().contains("1 of 1 groups"));
    assertEquals(
        List.of(),
        limits(
            64 * MIB,
            256 * MIB,
            group("/", 0, -1, 128 * MIB),
            group("/a", 0, MIB, -1),
            group("/a/q", 0, -1, -1)));
  }

  @Test
  void limits_moreThanTheContainer_isAWarning() {
    List<Finding> findings = limits(200 * MIB, 256 * MIB, group("/", 0, -1, 128 * MIB));
    assertTrue(
        findings.getFirst().found().contains("together are more than the container's 256.0M"));
    assertTrue(
        limits(0, 256 * MIB, group("/", 0, -1, -1)).getFirst().advice().contains("budget()"));
  }

  @Test
  void group_overItsLimit_isAWarning() {
    List<Finding> findings =
        limits(
            0,
            ContainerMemory.UNLIMITED,
            group("/", 0, -1, 9 * MIB),
            group("/a", 2 * MIB, -1, MIB));
    assertTrue(findings.getFirst().found().startsWith("/a is over its limit"));
  }

  @Test
  void finding_asJson_hasEveryKey() {
    Map<String, @Nullable Object> line =
        Json.parseObject(Finding.warn("a", "b \u001b", "c").json());
    assertEquals(List.of("check", "status", "found", "advice"), List.copyOf(line.keySet()));
    assertEquals("warn", line.get("status"));
    assertFalse(Finding.warn("a", "b \u001b", "c").text().contains("\u001b"));
  }

  @Test
  void container_withoutCgroups_isNoProblem() {
    assertTrue(
        Stream.of(Finding.Status.OK, Finding.Status.WARN)
            .toList()
            .containsAll(
                SystemChecks.container(ContainerMemory.detect()).stream()
                    .map(Finding::status)
                    .toList()));
  }
}
