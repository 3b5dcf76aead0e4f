package io.memcg4j.leak;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** How much memory the system and this process's container can still give. */
final class FreeMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");
  private static final Path CGROUP = Path.of("/sys/fs/cgroup");

  private FreeMemory() {}

  /** Bytes, the smaller of both; 0 if unknown. */
  static long bytes() {
    return Math.min(available(MEMINFO), leftInCgroup(CGROUP));
  }

  static long available(Path meminfo) {
    try {
      for (String line : Files.readAllLines(meminfo)) {
        if (line.startsWith("MemAvailable:")) {
          return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
        }
      }
    } catch (IOException | NumberFormatException e) {
      // Unknown, as below.
    }
    return 0;
  }

  /** What the cgroup of a container, seen as the root, leaves; no bound if there is none. */
  static long leftInCgroup(Path folder) {
    try {
      List<String> max = Files.readAllLines(folder.resolve("memory.max"));
      List<String> current = Files.readAllLines(folder.resolve("memory.current"));
      return max.getFirst().equals("max")
          ? Long.MAX_VALUE
          : Math.max(0, Long.parseLong(max.getFirst()) - Long.parseLong(current.getFirst()));
    } catch (IOException | NumberFormatException e) {
      return Long.MAX_VALUE;
    }
  }
}
