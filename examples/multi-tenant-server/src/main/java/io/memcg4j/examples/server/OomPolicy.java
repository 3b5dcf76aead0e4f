package io.memcg4j.examples.server;

/** What happens when a tenant is at its limit and nothing of it can be reclaimed. */
enum OomPolicy {
  /** The request that does not fit is refused. */
  REFUSE,

  /** All values of the tenant are dropped, as for a cache; then the request is tried once more. */
  CLEAR
}
