package io.memcg4j.slab;

import java.util.List;

/**
 * What a cache is and holds. Racy while others allocate; exact at rest.
 *
 * @param names the cache's name and those that were merged into it
 * @param objectSize bytes of an object that may be used
 * @param strideBytes bytes from one object to the next
 * @param chargeBytes what one object is charged
 * @param alignment of objects
 * @param accounted whether objects are charged to the scope's group
 * @param hwcacheAligned whether an object spans no more cache lines than it must
 * @param reclaimAccount whether {@code mappedBytes} count as reclaimable
 * @param typesafe whether memory goes elsewhere only after a grace period
 * @param hasConstructor whether objects are constructed
 * @param nrObjects allocated objects, without deferred ones
 * @param nrDeferred objects that wait for their readers before they are free; charged still
 * @param nrSlabs slabs, with those that hold no object
 * @param objectsPerSlab objects that a slab can hold
 * @param mappedBytes memory of the slabs
 */
public record KmemCacheInfo(
    List<String> names,
    int objectSize,
    int strideBytes,
    int chargeBytes,
    int alignment,
    boolean accounted,
    boolean hwcacheAligned,
    boolean reclaimAccount,
    boolean typesafe,
    boolean hasConstructor,
    long nrObjects,
    long nrDeferred,
    int nrSlabs,
    int objectsPerSlab,
    long mappedBytes) {
  static KmemCacheInfo of(SlabAllocator allocator, SlabCache cache) {
    SlabGeometry geometry = cache.geometry();
    CacheFlags flags = cache.flags();
    long nrObjects = 0;
    int nrSlabs = 0;
    for (Slab slab : allocator.range().inUse()) {
      if (slab.geometry == geometry) {
        nrObjects += slab.nrLiveObjects();
        nrSlabs++;
      }
    }
    return new KmemCacheInfo(
        cache.names(),
        cache.objectSize(),
        geometry.objectSize(),
        geometry.chargeBytes(),
        cache.alignment(),
        flags.accounted(),
        flags.hwcacheAligned(),
        flags.reclaimAccount(),
        flags.typesafe(),
        cache.constructor() != null,
        nrObjects,
        cache.nrDeferred().sum(),
        nrSlabs,
        geometry.nrWords() * geometry.objectsPerWord(),
        ((long) nrSlabs * geometry.nrChunks()) << SlabGeometry.CHUNK_SHIFT);
  }
}
