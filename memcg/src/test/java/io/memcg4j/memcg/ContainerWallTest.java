package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.memcg4j.percpu.CpuSlots;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A process in a group of the operating system with a real limit. Only where the tests may make
 * one: as root, with the memory controller in version 1.
 */
final class ContainerWallTest {
  private static final long MIB = 1L << 20;
  private static final long LIMIT = 160 * MIB;

  /** What runs in the group: takes memory, touches it, until its tenant is refused. */
  static final class Tenant {
    private Tenant() {}

    public static void main(String[] args) {
      ContainerMemory container = ContainerMemory.detect().withReserve(64 * MIB);
      System.out.println(container);
      MemCgroup root = MemCgroup.root();
      root.setMax(container.budget().rootMax());
      Charge charge = root.create("tenant").charge("buffers", MemoryClass.FOREIGN);
      long bytes = 0;
      while (charge.trySet(bytes + MIB)) {
        Arena.global().allocate(MIB).fill((byte) 1);
        bytes += MIB;
      }
      System.out.println("refused at=" + bytes + " max=" + root.max());
    }
  }

  private static Path makeGroup() {
    Path own = null;
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/cgroup"))) {
        String[] field = line.split(":", 3);
        if (field.length == 3 && List.of(field[1].split(",", -1)).contains("memory")) {
          own = Path.of("/sys/fs/cgroup/memory" + field[2]);
        }
      }
      assumeTrue(own != null, "no memory controller of version 1");
      Path group = own.resolve("memcg4j-test-" + ProcessHandle.current().pid());
      Files.createDirectory(group);
      return group;
    } catch (IOException e) {
      assumeTrue(false, () -> "no group can be made here: " + e);
      throw new AssertionError(e);
    }
  }

  @Test
  @Timeout(value = 3, unit = TimeUnit.MINUTES)
  void limitOfTheContainer_tenantIsRefusedBeforeTheProcessIsKilled() throws Exception {
    Path group = makeGroup();
    Process process = null;
    try {
      Files.writeString(group.resolve("memory.limit_in_bytes"), Long.toString(LIMIT));
      process = start(group);
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.waitFor(), output);
      List<String> lines = output.lines().toList();
      assertTrue(lines.getFirst().startsWith("cgroup V1 at " + group + ", rootMax="), output);
      assertTrue(lines.getFirst().contains("containerLimit=" + LIMIT + " (160.0 MiB)"), output);
      long rootMax = Long.parseLong(lines.getLast().replaceFirst(".* max=", ""));
      assertTrue(rootMax > 32 * MIB && rootMax < LIMIT - 64 * MIB, output);
      assertTrue(lines.getLast().startsWith("refused at=" + rootMax / MIB * MIB), output);
      List<String> oom = Files.readAllLines(group.resolve("memory.oom_control"));
      assertTrue(
          !oom.toString().contains("oom_kill ") || oom.contains("oom_kill 0"), oom::toString);
    } finally {
      if (process != null) {
        process.destroyForcibly().waitFor();
      }
      remove(group);
    }
  }

  /** The shell goes into the group before it becomes the JVM. */
  private static Process start(Path group) throws Exception {
    Path percpu =
        Path.of(CpuSlots.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    String classPath =
        String.join(
            File.pathSeparator,
            Path.of("target", "classes").toAbsolutePath().toString(),
            Path.of("target", "test-classes").toAbsolutePath().toString(),
            percpu.toString());
    return new ProcessBuilder(
            "sh",
            "-c",
            "echo $$ > \"$0\" && exec \"$@\"",
            group.resolve("cgroup.procs").toString(),
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx32m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            classPath,
            Tenant.class.getName())
        .redirectErrorStream(true)
        .start();
  }

  /** The kernel may need a moment to see that the process has left. */
  private static void remove(Path group) throws Exception {
    for (int attempt = 0; ; attempt++) {
      try {
        Files.delete(group);
        return;
      } catch (IOException e) {
        if (attempt == 100) {
          throw e;
        }
        Thread.sleep(50);
      }
    }
  }
}
