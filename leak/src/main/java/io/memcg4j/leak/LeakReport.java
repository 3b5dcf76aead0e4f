package io.memcg4j.leak;

import java.util.List;
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
   * Bytes of all suspects.
   *
   * @return the sum of their sizes
   */
  public long nrBytes() {
    return suspects.stream().mapToLong(LeakSuspect::nrBytes).sum();
  }

  /**
   * The root causes by call site, group and cache. A block whose call site is not known is alone.
   *
   * @return those with most bytes first, bytes that are only held by them included
   */
  public List<LeakGroup> groups() {
    return LeakGroup.of(suspects);
  }

  /**
   * The suspects for programs.
   *
   * @return one JSON object per line
   */
  public String toJsonLines() {
    return LeakJson.lines(suspects);
  }

  /**
   * The suspects one by one, as the kmemleak file lists them.
   *
   * @return kmemleak's text, by address
   */
  public String toList() {
    return LeakText.list(suspects);
  }

  /**
   * What has changed since an earlier report of the same scanner.
   *
   * @param earlier the report of an earlier scan
   * @return new and gone blocks, and growth by call site
   */
  public LeakDiff since(LeakReport earlier) {
    return LeakDiff.of(earlier, this);
  }

  /**
   * kmemleak's report: of each call site the first block, how many more there are and what they
   * hold, root causes only; then the totals by tenant and a summary line.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return LeakText.summary(this);
  }
}
