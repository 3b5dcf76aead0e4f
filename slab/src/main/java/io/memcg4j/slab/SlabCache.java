package io.memcg4j.slab;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** What a cache is: one for every cache index of an allocator, kmalloc's classes included. */
final class SlabCache {
  /*
   * Invariant  names holds the name of the cache and of those that were merged into it, in the order
   *            in which they came; a cache is destroyed with its last name. objectSize is the largest
   *            that any of them asked for, and at most the geometry's.
   * Locks      names and objectSize are written under SlabCaches.lock.
   * Origin     struct kmem_cache of Linux mm/slab.h.
   */

  /** A cache with slack below this takes another one in. */
  private static final int MAX_MERGE_SLACK = Long.BYTES;

  private final SlabGeometry geometry;
  private final int alignment;
  private final CacheFlags flags;
  private final @Nullable Constructor constructor;
  private final LongAdder nrDeferred = new LongAdder();
  private volatile List<String> names;
  private volatile int objectSize;

  SlabCache(
      SlabGeometry geometry,
      String name,
      int objectSize,
      int alignment,
      CacheFlags flags,
      @Nullable LongConsumer constructor) {
    this.geometry = geometry;
    this.names = List.of(name);
    this.objectSize = objectSize;
    this.alignment = alignment;
    this.flags = flags;
    this.constructor = constructor == null ? null : new Constructor(name, constructor);
  }

  /** The one that it was made with, or the oldest that is left. */
  String name() {
    return names.getFirst();
  }

  List<String> names() {
    return names;
  }

  int nrAliases() {
    return names.size() - 1;
  }

  /** Bytes that may be used: what was asked for. */
  int objectSize() {
    return objectSize;
  }

  int alignment() {
    return alignment;
  }

  SlabGeometry geometry() {
    return geometry;
  }

  int index() {
    return geometry.cacheIndex();
  }

  CacheFlags flags() {
    return flags;
  }

  @Nullable Constructor constructor() {
    return constructor;
  }

  /** Objects that wait for their readers before they are free. */
  LongAdder nrDeferred() {
    return nrDeferred;
  }

  /** Whether objects of that kind may come from this cache's slabs. */
  boolean canTake(int stride, int wantedAlignment, CacheFlags wanted) {
    int slack = geometry.objectSize() - stride;
    return flags.mergeable()
        && !flags.typesafe()
        && constructor == null
        && wanted.equals(flags)
        && slack >= 0
        && slack < MAX_MERGE_SLACK
        && geometry.objectSize() % wantedAlignment == 0;
  }

  void addAlias(String name, int size) {
    List<String> more = new ArrayList<>(names);
    more.add(name);
    names = List.copyOf(more);
    objectSize = Math.max(objectSize, size);
  }

  /** Whether other names are left. */
  boolean removeName(String name) {
    List<String> fewer = new ArrayList<>(names);
    fewer.remove(name);
    if (fewer.isEmpty()) {
      return false;
    }
    names = List.copyOf(fewer);
    return true;
  }
}
