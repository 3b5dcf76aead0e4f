package io.memcg4j.benchmarks;

import io.memcg4j.benchmarks.Peer.Worker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What objects take that are held and written to: pages of the process and what is alive on the
 * Java heap, the array that holds them left out.
 */
final class ResidentMemory {
  /**
   * A heap that is resident from the start, so that what it grows by is nobody's memory, and the
   * small compiler only: the large one takes and gives back tens of megabytes when it likes.
   */
  static final List<String> OPTIONS =
      List.of(
          "-Xms1500m",
          "-Xmx1500m",
          "-XX:+AlwaysPreTouch",
          "-XX:+UseSerialGC",
          "-XX:TieredStopAtLevel=1");

  private static final int NR_WARM = 20_000;
  private static final int NR_COLLECTIONS = 3;

  private ResidentMemory() {}

  static double perPayloadByte(Peer peer, int nrObjects, int size) {
    try (Worker worker = peer.worker(0)) {
      Object warm = worker.batch(NR_WARM);
      worker.fill(warm, size);
      worker.touch(warm);
      Object batch = worker.batch(nrObjects);
      long before = bytes();
      worker.fill(batch, size);
      worker.touch(batch);
      long after = bytes();
      worker.freeAll(batch);
      worker.freeAll(warm);
      return (double) (after - before) / ((long) nrObjects * size);
    }
  }

  private static long bytes() {
    for (int i = 0; i < NR_COLLECTIONS; i++) {
      System.gc();
    }
    Runtime runtime = Runtime.getRuntime();
    return ofProcess() + runtime.totalMemory() - runtime.freeMemory();
  }

  /**
   * Counted page by page: the sum in {@code status} is behind by what each processor keeps. Pages
   * of files are left out, as the kernel takes them back when memory is short.
   */
  private static long ofProcess() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/smaps_rollup"))) {
        if (line.startsWith("Anonymous:")) {
          return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw new IllegalStateException("no Anonymous in /proc/self/smaps_rollup");
  }
}
