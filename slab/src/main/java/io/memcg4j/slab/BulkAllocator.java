package io.memcg4j.slab;

import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.LimitWalk;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import org.jspecify.annotations.Nullable;

/**
 * Many objects at once, or none: the charge of all comes first, so a bulk that a limit refuses has
 * held nothing that others wanted.
 */
final class BulkAllocator {
  /*
   * Locks      none held while room is made; nothing is under way on a slot then.
   * Not        that what was charged first is still there for the last objects: a stock that is close
   * guaranteed to its group's limit gives surplus back and charges again. Then a bulk can be refused
   *            half-way; what it has is freed, and it has nothing.
   * Origin     kmem_cache_alloc_bulk of Linux mm/slub.c.
   */
  private final SlabAllocator allocator;
  private final SlabCache cache;

  BulkAllocator(SlabAllocator allocator, SlabCache cache) {
    this.allocator = allocator;
    this.cache = cache;
  }

  /**
   * Allocates.
   *
   * @param scope the calling thread's innermost scope
   * @param flags {@link SlabAllocator#MAY_FAIL}, {@link SlabAllocator#UNACCOUNTED}
   * @return whether all are in {@code into}; false with {@code MAY_FAIL} only
   */
  boolean allocate(@Nullable ScopeFrame scope, long[] into, int from, int count, int flags) {
    allocator.checkOpen();
    if (allocator.isObserved()) {
      return allocateOneByOne(scope, into, from, count, flags);
    }
    boolean mayFail = (flags & SlabAllocator.MAY_FAIL) != 0;
    long totalBytes = (long) count * cache.geometry().chargeBytes();
    LimitWalk walk = null;
    while (true) {
      if (scope != null) {
        scope.resync();
      }
      boolean borrowed = scope == null || !scope.holdsSlot();
      CpuSlot slot = allocator.enter(scope);
      int nrDone;
      MemCgroup group;
      MemCgroup refusedBy;
      long overHighPages;
      try {
        SlotSlabs mine = allocator.slabsOf(slot);
        ObjStock stock = allocator.payer(slot, scope, flags);
        stock.pin();
        try {
          group = stock.handle().group();
          nrDone = attempt(mine, stock, into, from, count, totalBytes);
          refusedBy = mine.refusedBy();
          overHighPages = group.takeOverHighPages(slot);
          if (nrDone < count
              && refusedBy != null
              && (!mayFail || LimitWalk.canReclaim(refusedBy))) {
            ChargeMode mode = mayFail ? ChargeMode.RETRY_MAYFAIL : ChargeMode.NORMAL;
            walk = walk != null ? walk : new LimitWalk(group, totalBytes, mode);
            walk.noteDrain(slot);
          }
        } finally {
          stock.unpin();
        }
      } finally {
        if (borrowed) {
          slot.release();
        }
      }
      if (overHighPages != 0) {
        SlabAllocator.overHigh(scope, group, overHighPages);
      }
      if (nrDone == count) {
        return true;
      }
      free(scope, into, from, nrDone);
      if (allocator.deferredFrees().flush() > 0) {
        continue;
      }
      if (refusedBy == null) {
        if (mayFail) {
          return false;
        }
        throw group.mappingRefused(
            totalBytes, allocator.range().mappedBytes(), allocator.range().rangeBytes());
      }
      if (walk == null) {
        LimitWalk.refused(group, refusedBy, totalBytes);
        return false;
      }
      if (!walk.makeRoom(refusedBy)) {
        if (mayFail) {
          return false;
        }
        throw walk.refusal(refusedBy);
      }
    }
  }

  /** So that somebody can look at each of them. */
  private boolean allocateOneByOne(
      @Nullable ScopeFrame scope, long[] into, int from, int count, int flags) {
    int nrDone = 0;
    try {
      while (nrDone < count) {
        long address = allocator.allocate(scope, cache.geometry(), cache.objectSize(), 1, flags);
        if (address == SlabAllocator.NULL) {
          return false;
        }
        into[from + nrDone++] = address;
      }
      return true;
    } finally {
      if (nrDone < count) {
        free(scope, into, from, nrDone);
      }
    }
  }

  /** How many objects are in {@code into} afterwards; fewer than all only if something refused. */
  private int attempt(
      SlotSlabs mine, ObjStock stock, long[] into, int from, int count, long totalBytes) {
    Magazines magazines = mine.magazines(stock);
    if (magazines.isCharged()) {
      MemCgroup refusedBy = stock.ensure(totalBytes, totalBytes);
      mine.refused(refusedBy);
      if (refusedBy != null) {
        return 0;
      }
    }
    int nrDone = 0;
    while (nrDone < count) {
      long address = mine.allocate(magazines, cache.geometry(), 0);
      if (address == SlabAllocator.NULL) {
        break;
      }
      into[from + nrDone++] = address;
    }
    return nrDone;
  }

  /** Frees the first objects again and leaves no address behind. */
  void free(@Nullable ScopeFrame scope, long[] addresses, int from, int count) {
    for (int i = from + count - 1; i >= from; i--) {
      long address = addresses[i];
      addresses[i] = SlabAllocator.NULL;
      allocator.free(scope, address, -1);
    }
  }
}
