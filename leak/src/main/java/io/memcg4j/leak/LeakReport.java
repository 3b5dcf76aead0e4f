package io.memcg4j.leak;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * What one scan found. {@link #toString} is kmemleak's text, with the tenant and the cache.
 *
 * @param suspects blocks that are reported now, earlier ones that are still unreferenced included,
 *     by address
 * @param nrNew of those, how many are in a report for the first time
 * @param heapRoots effort for the Java heap
 * @param scanNanos time from begin to end
 * @param markNanos of that, looking into blocks
 * @param nrBlocks blocks that were allocated
 * @param nrScanned blocks looked into, in all passes
 * @param nrScannedBytes bytes looked at, in all passes
 * @param nrUnreadable registered ranges that could not be read to their end
 * @param nrPasses 1, or 2 if there was something to confirm
 */
public record LeakReport(
    List<LeakSuspect> suspects,
    int nrNew,
    HeapRoots heapRoots,
    long scanNanos,
    long markNanos,
    long nrBlocks,
    long nrScanned,
    long nrScannedBytes,
    long nrUnreadable,
    int nrPasses) {

  /** Makes the list immutable. */
  public LeakReport {
    suspects = List.copyOf(suspects);
  }

  /**
   * Bytes by tenant.
   *
   * @return total of the suspects' sizes by path of the group, sorted by path
   */
  public Map<String, Long> bytesByCgroup() {
    Map<String, Long> totals = new TreeMap<>();
    for (LeakSuspect suspect : suspects) {
      totals.merge(suspect.cgroup(), suspect.nrBytes(), Long::sum);
    }
    return totals;
  }

  /**
   * One line for each call stack, as flame graph tools read them: frames from the outermost in,
   * separated by semicolons, then the bytes.
   *
   * @return lines, sorted; empty if there are no suspects
   */
  public String toCollapsed() {
    Map<String, Long> lines = new TreeMap<>();
    for (LeakSuspect suspect : suspects) {
      StringBuilder line = new StringBuilder(suspect.cgroup().isEmpty() ? "-" : suspect.cgroup());
      for (StackTraceElement frame : suspect.frames().reversed()) {
        line.append(';').append(frame.getClassName()).append('.').append(frame.getMethodName());
      }
      line.append(";[").append(suspect.cache()).append(']');
      lines.merge(line.toString(), suspect.nrBytes(), Long::sum);
    }
    StringBuilder text = new StringBuilder();
    lines.forEach((line, nrBytes) -> text.append(line).append(' ').append(nrBytes).append('\n'));
    return text.toString();
  }

  /**
   * kmemleak's report.
   *
   * @return for each suspect its address, size, group, cache and call stack; then a summary line
   */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    long nrBytes = 0;
    for (LeakSuspect suspect : suspects) {
      nrBytes += suspect.nrBytes();
      text.append(
          String.format(
              Locale.ROOT,
              "unreferenced object 0x%016x (size %d):%n  cgroup \"%s\" cache %s%n"
                  + "  backtrace (crc %x):%n",
              suspect.address(),
              suspect.nrBytes(),
              suspect.cgroup(),
              suspect.cache(),
              suspect.checksum()));
      for (StackTraceElement frame : suspect.frames()) {
        text.append("    ").append(frame).append(System.lineSeparator());
      }
    }
    return text.append(
            String.format(
                Locale.ROOT,
                "SUMMARY: %d leaks, %d bytes in %d cgroups%n",
                suspects.size(),
                nrBytes,
                bytesByCgroup().size()))
        .toString();
  }
}
