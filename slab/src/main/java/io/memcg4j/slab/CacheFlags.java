package io.memcg4j.slab;

/**
 * How a cache behaves.
 *
 * @param accounted objects are charged to the scope's group; else to nobody
 * @param hwcacheAligned an object does not span more cache lines than it must
 * @param reclaimAccount slabs count as reclaimable
 * @param typesafe memory of slabs goes elsewhere only after a grace period
 * @param mergeable may share slabs with caches that say so too
 */
record CacheFlags(
    boolean accounted,
    boolean hwcacheAligned,
    boolean reclaimAccount,
    boolean typesafe,
    boolean mergeable) {
  static final CacheFlags DEFAULT = new CacheFlags(true, false, false, false, false);
}
