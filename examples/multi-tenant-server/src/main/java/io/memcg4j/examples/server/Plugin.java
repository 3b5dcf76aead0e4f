package io.memcg4j.examples.server;

import io.memcg4j.slab.Kmalloc;

/** Code that a tenant brings along: runs inside its requests, and so at its expense. */
@FunctionalInterface
interface Plugin {
  /** Does nothing. */
  Plugin NONE = (kmalloc, key, nrBytes) -> {};

  /**
   * A value is about to be stored.
   *
   * @param kmalloc allocates at the tenant's expense
   * @param key of the value
   * @param nrBytes its size
   */
  void storing(Kmalloc kmalloc, String key, int nrBytes);
}
