package io.memcg4j.leak;

/**
 * The scans of a scanner so far.
 *
 * @param nrScans scans that came to their end
 * @param nrReported blocks that were reported as new, in all scans
 * @param last the report of the last scan; without suspects before the first one and after {@code
 *     clear}
 */
public record ScanTotals(long nrScans, long nrReported, LeakReport last) {
  ScanTotals with(LeakReport report) {
    return with(report, 1);
  }

  ScanTotals with(LeakReport report, int nrMore) {
    return new ScanTotals(nrScans + nrMore, nrReported + report.nrNew(), report);
  }
}
