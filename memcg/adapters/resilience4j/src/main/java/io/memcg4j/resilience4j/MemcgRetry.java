package io.memcg4j.resilience4j;

import io.github.resilience4j.core.IntervalFunction;
import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * Retries of requests that a limit refused, above the ones that the core makes itself: those free
 * memory, these wait until others have freed some.
 */
public final class MemcgRetry {
  private static final Duration FIRST_WAIT = Duration.ofMillis(10);

  private MemcgRetry() {}

  /**
   * Whether the same request may succeed later.
   *
   * @param failure what a request threw, also as the cause of what a future throws
   * @return true for a {@linkplain MemoryLimitException#retryable retryable} refusal only
   */
  public static boolean isRetryable(@Nullable Throwable failure) {
    MemoryLimitException refusal = refusal(failure);
    return refusal != null && refusal.retryable();
  }

  private static @Nullable MemoryLimitException refusal(@Nullable Throwable failure) {
    Throwable inner = failure;
    while (inner instanceof CompletionException || inner instanceof ExecutionException) {
      inner = inner.getCause();
    }
    return inner instanceof MemoryLimitException refusal ? refusal : null;
  }

  /**
   * A configuration that retries refusals and nothing else: three attempts, with waits that double
   * from 10 ms on and are random by half, so that those refused together do not come back together.
   *
   * @param <T> the results
   * @return to be changed and built; its {@code retryOnException} is set
   */
  public static <T> RetryConfig.Builder<T> config() {
    return RetryConfig.<T>custom()
        .intervalFunction(IntervalFunction.ofExponentialRandomBackoff(FIRST_WAIT, 2, 0.5))
        .retryOnException(MemcgRetry::isRetryable);
  }

  /**
   * Makes a retry reclaim what was refused, on the thread that retries and before it waits.
   *
   * @param retry any
   * @param group where to reclaim
   * @return that retry
   */
  public static Retry reclaiming(Retry retry, MemCgroup group) {
    retry
        .getEventPublisher()
        .onRetry(event -> {
          MemoryLimitException refusal = refusal(event.getLastThrowable());
          if (refusal != null) {
            group.reclaim(refusal.requestedBytes());
          }
        });
    return retry;
  }
}
