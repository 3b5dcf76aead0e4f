package io.memcg4j.slab;

import io.memcg4j.memcg.MemoryClass;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** The areas of an allocator, made on first use: they reserve a range of their own. */
final class LazyVmalloc {
  private final SlabAllocator allocator;
  private final Mapper mapper;
  private final long rangeBytes;
  private final ReentrantLock making = new ReentrantLock();
  private volatile @Nullable Vmalloc made;

  LazyVmalloc(SlabAllocator allocator, Mapper mapper, long rangeBytes) {
    this.allocator = allocator;
    this.mapper = mapper;
    this.rangeBytes = rangeBytes;
  }

  Vmalloc get() {
    Vmalloc areas = made;
    return areas != null ? areas : make();
  }

  private Vmalloc make() {
    making.lock();
    try {
      Vmalloc areas = made;
      if (areas == null) {
        allocator.checkOpen();
        ScopeCharger charger =
            new ScopeCharger(
                allocator.registry(),
                allocator.isAccounted(),
                MemoryClass.VMALLOC,
                allocator.faults());
        areas = new Vmalloc(mapper, rangeBytes, charger, allocator::noteSomethingToPurge);
        made = areas;
      }
      return areas;
    } finally {
      making.unlock();
    }
  }

  /** Null before the first use. */
  @Nullable Vmalloc ifMade() {
    return made;
  }

  /** See {@link Vmalloc#shrink}. */
  long shrink() {
    Vmalloc areas = made;
    return areas == null ? 0 : areas.shrink();
  }

  boolean hasSomethingToPurge() {
    Vmalloc areas = made;
    return areas != null && areas.hasSomethingToPurge();
  }

  void purge() {
    Vmalloc areas = made;
    if (areas != null) {
      areas.purge();
    }
  }

  /** See {@link Vmalloc#requireEmpty}. */
  void requireEmpty() {
    Vmalloc areas = made;
    if (areas != null) {
      areas.requireEmpty();
    }
  }

  void close() {
    Vmalloc areas = made;
    if (areas != null) {
      areas.close();
    }
  }
}
