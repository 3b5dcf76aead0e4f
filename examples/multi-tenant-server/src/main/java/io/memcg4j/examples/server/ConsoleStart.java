package io.memcg4j.examples.server;

import io.memcg4j.slab.Kmalloc;
import org.jspecify.annotations.Nullable;

/** The one place where the demo and the server open memcg4j's console. */
final class ConsoleStart {
  private ConsoleStart() {}

  /**
   * Opens the console for an allocator and its tree.
   *
   * @return where to look at it; null as long as there is no console in this build
   */
  static @Nullable String open(Kmalloc kmalloc) {
    return null;
  }
}
