package io.memcg4j.leak;

import java.util.Arrays;
import java.util.List;

/** Suspects of a scan by their addresses, and to which of them a word has been seen to point. */
final class SuspectIndex {
  private final long[] starts;
  private final long[] ends;
  private final boolean[] isSeen;
  private int nrSeen;

  SuspectIndex(List<Scan.Found> suspects) {
    Scan.Found[] sorted = suspects.toArray(new Scan.Found[0]);
    Arrays.sort(sorted, (a, b) -> Long.compare(a.address(), b.address()));
    starts = new long[sorted.length];
    ends = new long[sorted.length];
    for (int i = 0; i < sorted.length; i++) {
      starts[i] = sorted[i].address();
      ends[i] = starts[i] + sorted[i].nrBytes();
    }
    isSeen = new boolean[sorted.length];
  }

  /** A word that may point to, or into, a suspect. */
  void look(long value) {
    if (value < starts[0] || value >= ends[ends.length - 1]) {
      return;
    }
    int at = Arrays.binarySearch(starts, value);
    int suspect = at >= 0 ? at : -at - 2;
    if (value < ends[suspect] && !isSeen[suspect]) {
      isSeen[suspect] = true;
      nrSeen++;
    }
  }

  boolean isAllSeen() {
    return nrSeen == isSeen.length;
  }

  boolean isSeen(long address) {
    return isSeen[Arrays.binarySearch(starts, address)];
  }
}
