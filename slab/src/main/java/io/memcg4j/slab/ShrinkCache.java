package io.memcg4j.slab;

import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.SlotWork;

/**
 * Gives the memory of one cache that is in no use back to the OS. What slots hold in advance of
 * other caches is given back to those.
 */
final class ShrinkCache extends SlotWork {
  private final SlabAllocator allocator;
  private final SlabGeometry geometry;

  ShrinkCache(SlabAllocator allocator, SlabCache cache) {
    super(allocator.registry().slots());
    this.allocator = allocator;
    this.geometry = cache.geometry();
  }

  /** Returns the bytes given back. */
  long shrink() {
    allocator.deferredFrees().flush();
    ScopeFrame scope = allocator.registry().currentScope();
    CpuSlot own = null;
    if (scope != null && scope.holdsSlot()) {
      scope.resync();
      own = scope.slot();
    }
    allocator.registry().rootHandle().group().drain();
    allocator.registry().slots().submit(this, own);
    return allocator.range().purge(geometry);
  }

  @Override
  protected void run(CpuSlot slot) {
    SlotSlabs mine = allocator.slabsOf(slot);
    mine.giveBackRoot();
    mine.shrink(geometry.cacheIndex());
  }
}
