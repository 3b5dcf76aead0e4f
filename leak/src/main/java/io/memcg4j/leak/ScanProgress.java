package io.memcg4j.leak;

/**
 * How far a scan is.
 *
 * @param step what begins now
 * @param pass 1, or 2 while what was found is confirmed
 * @param nrScanned blocks looked into so far, in all passes
 */
public record ScanProgress(Step step, int pass, long nrScanned) {
  /** The steps of a scan, in their order; a second pass repeats the first two. */
  public enum Step {
    /** References outside of blocks are read, the Java heap among them. */
    ROOTS,
    /** Gray blocks are looked into. */
    MARK,
    /** Contents of white blocks are compared with the last scan's. */
    COMPARE,
    /** The scan is over. */
    DONE
  }
}
