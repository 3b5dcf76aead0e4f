package io.memcg4j.leak;

/**
 * What is remembered of a block from one scan to the next, if nobody referred to it.
 *
 * @param checksum of the contents when it was last found unreferenced
 * @param nrUnreferenced scans in a row that found it unreferenced, contents unchanged, in both
 *     passes; {@link #NO_CHECKSUM} if the checksum is none, so that no contents equal it
 * @param isReported whether it has been reported as new, which happens once
 * @param sinceNanos {@link System#nanoTime} at which it existed already
 */
record Suspect(int checksum, int nrUnreferenced, boolean isReported, long sinceNanos) {
  static final int NO_CHECKSUM = -1;

  /** Of a block of which nothing is known yet. */
  static Suspect unknown(long sinceNanos) {
    return new Suspect(0, NO_CHECKSUM, false, sinceNanos);
  }

  Suspect withoutChecksum() {
    return new Suspect(0, NO_CHECKSUM, isReported, sinceNanos);
  }

  Suspect reported() {
    return new Suspect(checksum, nrUnreferenced, true, sinceNanos);
  }

  /** See {@link Remembered#mayBeFound}. */
  boolean mayBeFound(boolean isAged) {
    return nrUnreferenced != NO_CHECKSUM && (isAged || nrUnreferenced > 0);
  }
}
