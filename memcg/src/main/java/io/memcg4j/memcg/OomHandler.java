package io.memcg4j.memcg;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What happens when reclaim freed nothing: which group is asked to close, if any. Chosen per group;
 * a group without one has its parent's. A pure function of the snapshot: it must not allocate from
 * the tree, and is called with the tree's out-of-memory lock held.
 *
 * <p>Origin: the selection of the kernel's OOM killer, with groups in the place of processes.
 */
@FunctionalInterface
public interface OomHandler {
  /** Refuses the request and kills nobody: the policy of a group that was given none. */
  OomHandler FAIL_REQUEST = snapshot -> null;

  /**
   * Asks the group to close that uses most beyond its protection, the {@linkplain
   * Candidate#scoreAdjust score adjusted} by thousandths of the limit; nobody if all scores are 0.
   */
  OomHandler KILL_LARGEST =
      snapshot ->
          snapshot.candidates().stream()
              .filter(candidate -> snapshot.score(candidate) > 0)
              .max(
                  Comparator.comparingLong(snapshot::score)
                      .thenComparing(Candidate::path, Comparator.reverseOrder()))
              .orElse(null);

  /** The score adjustment of a group that is never killed. */
  int NEVER = -1000;

  /**
   * A group that can be asked to close.
   *
   * @param path its path
   * @param usageBytes what it and everything below it uses
   * @param protectedBytes the larger one of its min and low
   * @param scoreAdjust -1000 to 1000
   */
  record Candidate(String path, long usageBytes, long protectedBytes, int scoreAdjust) {}

  /**
   * What the policy knows.
   *
   * @param refusingPath the group whose limit refused
   * @param limitBytes its limit
   * @param requestedBytes what was asked for
   * @param candidates groups at or below it that can be asked to close and are not closing already
   */
  record Snapshot(
      String refusingPath, long limitBytes, long requestedBytes, List<Candidate> candidates) {
    /**
     * How much would be won.
     *
     * @param candidate one of the candidates
     * @return bytes, adjusted; 0 or less for one that is not worth it
     */
    public long score(Candidate candidate) {
      return Math.max(0, candidate.usageBytes() - candidate.protectedBytes())
          + limitBytes / 1000 * candidate.scoreAdjust();
    }
  }

  /**
   * Chooses.
   *
   * @param snapshot the groups that can be asked to close
   * @return one of its candidates; null to refuse the request
   */
  @Nullable Candidate choose(Snapshot snapshot);
}
