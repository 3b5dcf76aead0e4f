package io.memcg4j.benchmarks;

/**
 * How traces are replayed.
 *
 * @param maxBytes the limit of each tenant's group; {@code MemCgroup.UNLIMITED} for none
 * @param threaded each recorded thread on a thread of its own; not timed
 * @param nrRounds timed rounds, at least 1
 */
record ReplayOptions(long maxBytes, boolean threaded, int nrRounds) {}
