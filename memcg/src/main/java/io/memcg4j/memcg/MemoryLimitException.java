package io.memcg4j.memcg;

/**
 * A charge that a limit refused. Nothing was charged, and nothing is left behind.
 *
 * <p>Made only where the refusal is turned into an exception; callers for whom a refusal is an
 * ordinary answer use the forms that return it as a value. Figures are of the moment in which it
 * was made: the limit may have room again by now.
 */
public final class MemoryLimitException extends RuntimeException {
  /** What {@link #limitedBy} says when no group refused but memory could not be mapped. */
  public static final String OS = "os";

  /** What {@link #limitedBy} says when nothing refused but a test wanted it to look so. */
  public static final String INJECTED = "injected";

  private static final long serialVersionUID = 1L;

  private final String group;
  private final String limitedBy;
  private final long requestedBytes;
  private final long usageBytes;
  private final long maxBytes;
  private final int reclaimRounds;
  private final long freedBytes;
  private final boolean retryable;

  MemoryLimitException(
      String group,
      String limitedBy,
      long requestedBytes,
      long usageBytes,
      long maxBytes,
      int reclaimRounds,
      long freedBytes,
      boolean retryable) {
    super(
        reason(limitedBy)
            + (": group=" + group)
            + (" limitedBy=" + limitedBy)
            + (" requestedBytes=" + requestedBytes)
            + (" usageBytes=" + usageBytes)
            + (" maxBytes=" + (maxBytes == MemCgroup.UNLIMITED ? "max" : maxBytes))
            + (" reclaimRounds=" + reclaimRounds)
            + (" freedBytes=" + freedBytes)
            + (" retryable=" + retryable));
    this.group = group;
    this.limitedBy = limitedBy;
    this.requestedBytes = requestedBytes;
    this.usageBytes = usageBytes;
    this.maxBytes = maxBytes;
    this.reclaimRounds = reclaimRounds;
    this.freedBytes = freedBytes;
    this.retryable = retryable;
  }

  private static String reason(String limitedBy) {
    return switch (limitedBy) {
      case OS -> "memory refused by the OS";
      case INJECTED -> "memory refused by fault injection";
      default -> "memory.max exceeded";
    };
  }

  /**
   * For the floors above: the refusal of a request that would have been granted.
   *
   * @param group who was to pay
   * @param requestedBytes what was asked for
   * @return an error with {@link #INJECTED} as the limit, and the figures of {@code group}
   */
  public static MemoryLimitException injected(MemCgroup group, long requestedBytes) {
    return new MemoryLimitException(
        group.path(), INJECTED, requestedBytes, group.usage(), group.max(), 0, 0, true);
  }

  /**
   * Path of the group that was to be charged.
   *
   * @return as {@link MemCgroup#path}
   */
  public String group() {
    return group;
  }

  /**
   * Path of the group whose limit refused: {@link #group} or one of its ancestors.
   *
   * @return as {@link MemCgroup#path}; {@link #OS} if memory could not be mapped; {@link #INJECTED}
   */
  public String limitedBy() {
    return limitedBy;
  }

  /**
   * What was asked for.
   *
   * @return bytes, as the caller counted them: not rounded up to pages
   */
  public long requestedBytes() {
    return requestedBytes;
  }

  /**
   * Usage of the group that refused.
   *
   * @return bytes
   */
  public long usageBytes() {
    return usageBytes;
  }

  /**
   * Limit of the group that refused.
   *
   * @return bytes, {@link MemCgroup#UNLIMITED} if it was lifted meanwhile
   */
  public long maxBytes() {
    return maxBytes;
  }

  /**
   * How often memory was sought below the limit before the request was given up.
   *
   * @return {@code 0..}{@link MemCgroup#MAX_RECLAIM_RETRIES}; 0 if nothing could have helped
   */
  public int reclaimRounds() {
    return reclaimRounds;
  }

  /**
   * What those rounds freed below the limit; racy, as others charge and free meanwhile.
   *
   * @return bytes
   */
  public long freedBytes() {
    return freedBytes;
  }

  /**
   * Whether the same request can succeed once others have freed memory.
   *
   * @return false if it is larger than the lowest limit above it, so that it can never fit
   */
  public boolean retryable() {
    return retryable;
  }
}
