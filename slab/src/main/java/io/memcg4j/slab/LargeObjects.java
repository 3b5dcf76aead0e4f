package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Objects above the size classes: runs of chunks of their own, charged by whole pages.
 *
 * <p>Origin: large kmalloc of Linux mm/slub.c.
 */
final class LargeObjects {
  private static final int MAX_CHUNKS_TO_DOUBLE = 1 << 15;

  private final SlabAllocator allocator;
  private final SlabRange range;
  private final boolean accounted;

  LargeObjects(SlabAllocator allocator, boolean accounted) {
    this.allocator = allocator;
    this.range = allocator.range();
    this.accounted = accounted;
  }

  /** On a slot that the caller owns; 0 if refused, and the slot's slabs know by whom. */
  long allocate(SlotSlabs mine, ObjStock stock, long nrBytes, int alignChunks, int flags) {
    long nrPages = pagesFor(nrBytes);
    long chargeBytes = nrPages << MemCgroup.PAGE_SHIFT;
    boolean charged = isCharged(stock.handle());
    if (charged) {
      if (mine.isFaulted(stock, chargeBytes, flags)) {
        return SlabAllocator.NULL;
      }
      MemCgroup refusedBy = stock.ensure(chargeBytes, chargeBytes);
      if (refusedBy != null) {
        mine.refused(refusedBy);
        return SlabAllocator.NULL;
      }
      stock.take(chargeBytes);
    }
    int nrChunks = (int) ((chargeBytes + SlabGeometry.CHUNK_SIZE - 1) >>> SlabGeometry.CHUNK_SHIFT);
    boolean roomToGrow = (flags & SlabAllocator.GROWING) != 0 && nrChunks <= MAX_CHUNKS_TO_DOUBLE;
    Slab slab = null;
    try {
      slab = roomToGrow ? range.allocateRun(2 * nrChunks, alignChunks, chargeBytes) : null;
      if (slab == null) {
        slab = range.allocateRun(nrChunks, alignChunks, chargeBytes);
      }
    } finally {
      if (slab == null && charged) {
        stock.uncharge(chargeBytes);
        stock.giveBackAll();
      }
    }
    if (slab == null) {
      mine.refused(null);
      return SlabAllocator.NULL;
    }
    if (charged) {
      stock.handle().refs().get(mine.slot());
    }
    long dirtyBytes = Math.min(slab.dirtyBytes, nrBytes);
    slab.birthEpoch = allocator.tracking().epoch();
    SlabTrack track = slab.track();
    if (track != null) {
      track.unwatch();
    }
    slab.allocateLarge(stock.handle(), (int) nrPages);
    if (allocator.profile().isOn()) {
      allocator.profile().allocatedLarge(slab);
    }
    if ((flags & SlabAllocator.ZEROED) != 0 && dirtyBytes > 0) {
      SlabAllocator.zero(slab.base, dirtyBytes);
    }
    return slab.base;
  }

  private boolean isCharged(ObjCgroup handle) {
    return accounted && handle.id() != ObjCgroup.ROOT_ID;
  }

  private static long pagesFor(long nrBytes) {
    return (nrBytes + MemCgroup.PAGE_SIZE - 1) >>> MemCgroup.PAGE_SHIFT;
  }

  /** Frees the object that starts at an address. */
  void free(@Nullable ScopeFrame scope, Slab slab, long address) {
    Word word = slab.words[0];
    if (word.remote() != 0) {
      throw allocator.doubleFree(address, slab, word, 1);
    }
    if (!freeOnce(scope, slab)) {
      throw allocator.badFree("double free", address, slab);
    }
  }

  /** False if it was free, with nothing changed. */
  boolean freeOnce(@Nullable ScopeFrame scope, Slab slab) {
    CpuSlot slot = allocator.enter(scope);
    try {
      if (!slab.words[0].freeOnce()) {
        return false;
      }
      allocator.profile().freedLarge(slab);
      // Only now is it certain that what is read belongs to this object and to no later one.
      ObjCgroup owner = Objects.requireNonNull(slab.largeOwner, "object without owner");
      if (isCharged(owner)) {
        owner.uncharge(slot, (long) slab.nrPages << MemCgroup.PAGE_SHIFT);
        owner.refs().put(slot);
      }
    } finally {
      SlabAllocator.leave(slot, scope);
    }
    if (slab.words[0].remote() != 0) {
      slab.words[0].clearRemote(1); // it was deferred
    }
    range.retireLarge(System.nanoTime(), slab);
    allocator.noteSomethingToPurge();
    return true;
  }

  /**
   * Changes the size of a large object where it stands.
   *
   * @return false if it has to move: too large for its run; or because the limit refused, in which
   *     case a move would be refused as well
   */
  boolean resize(@Nullable ScopeFrame scope, Slab slab, long nrBytes) {
    long nrPages = pagesFor(nrBytes);
    long newBytes = nrPages << MemCgroup.PAGE_SHIFT;
    if (newBytes > (long) slab.nrChunks << SlabGeometry.CHUNK_SHIFT) {
      return false;
    }
    long more = newBytes - ((long) slab.nrPages << MemCgroup.PAGE_SHIFT);
    ObjCgroup owner = slab.largeOwner;
    if (owner != null && isCharged(owner) && more != 0) {
      CpuSlot slot = allocator.enter(scope);
      try {
        if (more < 0) {
          owner.uncharge(slot, -more);
        } else if (!chargeMore(slot, owner, more)) {
          return false;
        }
      } finally {
        SlabAllocator.leave(slot, scope);
      }
    }
    allocator.profile().resizedLarge(slab, (int) nrPages);
    if (more > 0) {
      range.resident(slab, newBytes);
    } else if (more < 0) {
      range.trim(slab, newBytes);
    }
    return true;
  }

  private boolean chargeMore(CpuSlot slot, ObjCgroup owner, long nrBytes) {
    FaultInjection faults = allocator.faults();
    if (faults.isOn() && faults.fails(FaultKind.CHARGE, nrBytes)) {
      return false;
    }
    ObjStock stock = allocator.registry().find(slot, owner.id());
    if (stock == null) {
      long nrPages = nrBytes >>> MemCgroup.PAGE_SHIFT;
      return owner.group().charge(slot, nrPages) == null;
    }
    stock.pin();
    boolean granted = stock.ensure(nrBytes, nrBytes) == null;
    if (granted) {
      stock.take(nrBytes);
    }
    stock.unpin();
    return granted;
  }
}
