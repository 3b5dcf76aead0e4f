package io.memcg4j.slab;

import java.util.Locale;

/**
 * Totals of a {@link Vmalloc}: counters that are kept, not a walk. Each is exact; together they are
 * racy while others allocate, exact at rest.
 *
 * @param totalBytes address space
 * @param usedBytes memory of areas, in whole pages
 * @param peakUsedBytes the highest {@code usedBytes} so far
 * @param nrAreas areas
 * @param lazyBytes memory of freed areas that waits for the next purge; charged to nobody
 * @param nrLazyAreas freed areas that wait for the next purge
 * @param pooledBytes addresses without memory that are kept for areas of the same size
 * @param nrPurges purges so far
 */
public record VmallocInfo(
    long totalBytes,
    long usedBytes,
    long peakUsedBytes,
    int nrAreas,
    long lazyBytes,
    int nrLazyAreas,
    long pooledBytes,
    long nrPurges) {
  /**
   * The lines of {@code /proc/meminfo} that are about areas.
   *
   * @return three lines; the last is 0 as in the kernel, which does not look for the largest chunk
   */
  public String meminfo() {
    return String.format(
        Locale.ROOT,
        "VmallocTotal:   %8d kB%nVmallocUsed:    %8d kB%nVmallocChunk:   %8d kB%n",
        totalBytes >> 10,
        usedBytes >> 10,
        0);
  }
}
