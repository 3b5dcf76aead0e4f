package io.memcg4j.caffeine;

import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** A value that one thread is loading, for all who ask for it meanwhile. */
final class Flight<V> {
  /** What the loader came to. A failure is the matter of the thread that loads. */
  record Landing<V>(boolean failed, @Nullable V value) {}

  final Thread pilot = Thread.currentThread();
  private final CompletableFuture<Landing<V>> landing = new CompletableFuture<>();

  void land(@Nullable V value) {
    landing.complete(new Landing<>(false, value));
  }

  void fail() {
    landing.complete(new Landing<>(true, null));
  }

  Landing<V> await() {
    return landing.join();
  }
}
