package io.memcg4j.benchmarks;

import io.memcg4j.memcg.ContainerMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a benchmark may take without harm to others. */
final class AvailableMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");

  private AvailableMemory() {}

  /**
   * Bytes that the system and this process's container can give; no bound where that is unknown.
   */
  static long bytes() {
    long left =
        ContainerMemory.detect()
            .usage()
            .map(usage -> usage.limitBytes() - usage.usedBytes())
            .orElse(Long.MAX_VALUE);
    return Math.min(left, ofSystem());
  }

  private static long ofSystem() {
    try {
      for (String line : Files.readAllLines(MEMINFO)) {
        if (line.startsWith("MemAvailable:")) {
          return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
        }
      }
    } catch (IOException | NumberFormatException e) {
      // Unknown.
    }
    return Long.MAX_VALUE;
  }
}
