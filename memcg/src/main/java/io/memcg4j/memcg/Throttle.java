package io.memcg4j.memcg;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * How long a request has to pause because a group on its path is above {@code memory.high}. For
 * callers that may not sleep, such as event loops, this is what they get instead of the pause.
 *
 * <p>Origin: the penalty of {@code memory.high} in cgroup v2: the square of how far usage is above
 * the limit, times the pages that were charged.
 *
 * @param groupPath the group that is furthest above its limit; empty if none is
 * @param delayNanos the pause: 0, or 10 ms to 2 s
 */
public record Throttle(String groupPath, long delayNanos) {
  /** No pause. */
  public static final Throttle NONE = new Throttle("", 0);

  /** The longest pause of one request. */
  public static final long MAX_DELAY_NANOS = 2_000_000_000L;

  /** Shorter pauses are left out. */
  public static final long MIN_DELAY_NANOS = 10_000_000L;

  /**
   * The penalty in nanoseconds.
   *
   * @param usagePages what is used
   * @param highPages the limit that is passed
   * @param chargedPages what was charged since the last pause
   */
  static long penaltyNanos(long usagePages, long highPages, long chargedPages) {
    if (usagePages <= highPages) {
      return 0;
    }
    double overage = (double) (usagePages - highPages) / Math.max(highPages, 1);
    double nanos = overage * overage * chargedPages * TimeUnit.SECONDS.toNanos(1);
    return nanos <= MIN_DELAY_NANOS ? 0 : (long) Math.min(nanos, MAX_DELAY_NANOS);
  }

  /**
   * Whether there is a pause at all.
   *
   * @return true if {@link #delayNanos} is not 0
   */
  public boolean isNeeded() {
    return delayNanos > 0;
  }

  /**
   * The pause as a duration.
   *
   * @return 0 to 2 s
   */
  public Duration delay() {
    return Duration.ofNanos(delayNanos);
  }

  /**
   * A stage that is complete when the pause is over.
   *
   * @param executor what completes it
   * @return complete already if there is no pause
   */
  public CompletionStage<Void> toStage(Executor executor) {
    return isNeeded()
        ? CompletableFuture.runAsync(
            () -> {}, CompletableFuture.delayedExecutor(delayNanos, TimeUnit.NANOSECONDS, executor))
        : CompletableFuture.completedFuture(null);
  }
}
