package io.memcg4j.resilience4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.memcg.Shrinker;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;

/** What a limit refused is tried again if it can ever fit, and nothing else is. */
final class RetryResilience4jTest {
  private static final int MIB = 1 << 20;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup group = root.create("acme");
  private final Charge charge = group.charge("test", MemoryClass.HEAP);
  private final Charge other = group.charge("other", MemoryClass.HEAP);
  private final RetryConfig config = MemcgRetry.config().intervalFunction(_ -> 0L).build();
  private int nrAttempts;

  RetryResilience4jTest() {
    group.setMax(4 * MIB);
    other.set(3 * MIB);
  }

  @Test
  void retryable_isTriedAgain_untilItFits() {
    Retry.of("memory", config)
        .executeRunnable(() -> {
          if (++nrAttempts == 3) {
            other.set(0);
          }
          charge.set(2 * MIB);
        });
    assertEquals(3, nrAttempts);
    assertEquals(2 * MIB, charge.nrBytes());
  }

  @Test
  void retryable_threeTimesInVain_throwsTheRefusal() {
    MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> attempt(2L * MIB));
    assertTrue(e.retryable());
    assertEquals(3, nrAttempts);
  }

  @Test
  void tooLargeForEver_isTriedOnce() {
    MemoryLimitException e = assertThrows(MemoryLimitException.class, () -> attempt(5L * MIB));
    assertFalse(e.retryable());
    assertEquals(1, nrAttempts);
    assertFalse(MemcgRetry.isRetryable(e));
  }

  @Test
  void otherFailure_isTriedOnce() {
    assertThrows(IllegalArgumentException.class, () -> attempt(-1));
    assertEquals(1, nrAttempts);
    assertFalse(MemcgRetry.isRetryable(null));
    assertFalse(MemcgRetry.isRetryable(new CompletionException(null)));
  }

  @Test
  void refusalInsideAFuture_isRetryable() {
    MemoryLimitException refusal =
        assertThrows(MemoryLimitException.class, () -> charge.set(2 * MIB));
    assertTrue(MemcgRetry.isRetryable(refusal));
    assertTrue(MemcgRetry.isRetryable(new CompletionException(new ExecutionException(refusal))));
    assertFalse(MemcgRetry.isRetryable(new IllegalStateException(refusal)));
  }

  @Test
  void reclaiming_asksShrinkersBetweenAttempts() {
    group.addShrinker(
        new Shrinker() {
          @Override
          public long count() {
            return other.nrBytes();
          }

          @Override
          public long scan(long nrBytes) {
            long freed = Math.min(nrBytes, other.nrBytes());
            other.set(other.nrBytes() - freed);
            return freed;
          }
        });
    Retry retry = MemcgRetry.reclaiming(Retry.of("memory", config), group);
    retry.executeRunnable(() -> {
      nrAttempts++;
      MemCgroup refusing = charge.add(2 * MIB, ChargeMode.NOWAIT); // without reclaim
      if (refusing != null) {
        throw group.refusal(refusing, 2 * MIB);
      }
    });
    assertEquals(2, nrAttempts);
    assertTrue(other.nrBytes() <= 2 * MIB);
  }

  private void attempt(long nrBytes) {
    Retry.of("memory", config)
        .executeRunnable(() -> {
          nrAttempts++;
          charge.set(nrBytes);
        });
  }
}
