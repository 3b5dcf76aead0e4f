package io.memcg4j.memcg;

/**
 * How far a request may go when a limit refuses. What slots hold in advance is called back in any
 * case.
 *
 * <p>Origin: the allocation flags of the kernel that matter to a charge.
 */
public enum ChargeMode {
  /** Reclaims up to 16 rounds without progress, then asks the out-of-memory policy. */
  NORMAL,
  /** Refused at once: no reclaim, no policy, no throttling. */
  NOWAIT,
  /** One round of reclaim, no policy. */
  NORETRY,
  /** All rounds of reclaim, no policy. */
  RETRY_MAYFAIL,
  /** As {@link #NORMAL}, and passes the limit in the end: never refused. */
  FORCE
}
