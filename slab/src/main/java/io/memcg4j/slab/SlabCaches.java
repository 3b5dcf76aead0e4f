package io.memcg4j.slab;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** The caches of one allocator by index, kmalloc's size classes first. */
final class SlabCaches {
  /*
   * Invariant  byIndex[i] is null or the cache with index i; an index is never used again, as slots
   *            may still know it. No two names are equal.
   * Ordering   byIndex is replaced under the lock and never written in place.
   * Locks      lock, a leaf: a search and a copy of references.
   */
  private final ReentrantLock lock = new ReentrantLock();
  private volatile @Nullable SlabCache[] byIndex = new @Nullable SlabCache[SizeClasses.COUNT];
  private final long rangeBytes;

  SlabCaches(boolean accounted, long rangeBytes) {
    this.rangeBytes = rangeBytes;
    CacheFlags flags = new CacheFlags(accounted, false, false, false, false);
    for (int i = 0; i < SizeClasses.COUNT; i++) {
      int size = SizeClasses.size(i);
      int alignment = Integer.lowestOneBit(size);
      SlabGeometry geometry = SlabGeometry.of(i, size, 0, rangeBytes);
      byIndex[i] = new SlabCache(geometry, "kmalloc-" + size, size, alignment, flags, null);
    }
  }

  /** The cache with an index; null if there is none any more. */
  @Nullable SlabCache get(int index) {
    @Nullable SlabCache[] caches = byIndex;
    return index >= 0 && index < caches.length ? caches[index] : null;
  }

  /** The name of a cache for reports, also of one that was closed. */
  String nameOf(int index) {
    SlabCache cache = get(index);
    return cache == null ? "cache-" + index : cache.name();
  }

  /** The kmalloc class with an index. */
  SlabCache kmalloc(int index) {
    return Objects.requireNonNull(byIndex[index]);
  }

  /** All caches, in the order in which they were made. */
  List<SlabCache> all() {
    List<SlabCache> caches = new ArrayList<>();
    for (SlabCache cache : byIndex) {
      if (cache != null && !cache.geometry().isDebug()) {
        caches.add(cache);
      }
    }
    return caches;
  }

  /**
   * Makes a cache, or finds one that takes the new name in.
   *
   * @throws IllegalArgumentException if a cache has that name
   */
  SlabCache create(
      String name,
      int objectSize,
      int alignment,
      CacheFlags flags,
      @Nullable LongConsumer constructor) {
    int stride = (objectSize + alignment - 1) & -alignment;
    lock.lock();
    try {
      SlabCache host = null;
      for (SlabCache cache : all()) {
        if (cache.names().contains(name)) {
          throw new IllegalArgumentException(
              String.format(
                  Locale.ROOT,
                  "cache name in use: name=%s objectSize=%d by=%s objectSize=%d",
                  name,
                  objectSize,
                  cache.name(),
                  cache.objectSize()));
        }
        if (constructor == null && cache.canTake(stride, alignment, flags)) {
          host = cache;
        }
      }
      if (host != null) {
        host.addAlias(name, objectSize);
        return host;
      }
      int index = byIndex.length;
      SlabGeometry geometry = SlabGeometry.of(index, stride, 0, rangeBytes);
      if (flags.typesafe()) {
        geometry = geometry.asTypesafe();
      }
      SlabCache cache = new SlabCache(geometry, name, objectSize, alignment, flags, constructor);
      @Nullable SlabCache[] more = Arrays.copyOf(byIndex, index + 1);
      more[index] = cache;
      byIndex = more;
      return cache;
    } finally {
      lock.unlock();
    }
  }

  /** A place for the objects of a cache in debug mode, under the same name. */
  SlabGeometry addDebug(SlabGeometry normal, int stride, int leftBytes) {
    lock.lock();
    try {
      int index = byIndex.length;
      SlabGeometry geometry = SlabGeometry.of(index, stride, leftBytes, rangeBytes);
      geometry = normal.typesafe() ? geometry.asTypesafe() : geometry;
      SlabCache of = Objects.requireNonNull(get(normal.cacheIndex()), "cache is closed");
      @Nullable SlabCache[] more = Arrays.copyOf(byIndex, index + 1);
      more[index] =
          new SlabCache(geometry, of.name(), of.objectSize(), of.alignment(), of.flags(), null);
      byIndex = more;
      return geometry;
    } finally {
      lock.unlock();
    }
  }

  /** Drops one name; whether others are left, which keep the cache. */
  boolean removeAlias(SlabCache cache, String name) {
    lock.lock();
    try {
      return cache.removeName(name);
    } finally {
      lock.unlock();
    }
  }

  void remove(SlabCache cache) {
    lock.lock();
    try {
      @Nullable SlabCache[] fewer = byIndex.clone();
      fewer[cache.index()] = null;
      byIndex = fewer;
    } finally {
      lock.unlock();
    }
  }
}
