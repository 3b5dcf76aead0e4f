package io.memcg4j.objcg;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.CpuSlot;
import org.jspecify.annotations.Nullable;

/**
 * Charges objects the way the allocator floor does, with no memory behind them: by the thread's
 * scope, with objects charged in advance, and a reference for each object.
 */
final class TestAllocator {
  /** An object: who pays for it, and how much. */
  record Live(ObjCgroup owner, long nrBytes) {}

  /** Bytes of one stock that are charged and ready; pinned like the word of a slab. */
  private static final class Ready implements PreCharged {
    private static final int MAX_OBJECTS = 8;

    private final ObjStock stock;
    private long nrBytes;
    private boolean pinned;

    Ready(ObjStock stock) {
      this.stock = stock;
    }

    @Nullable MemCgroup take(long objectBytes) {
      if (nrBytes >= objectBytes) {
        nrBytes -= objectBytes;
        return null;
      }
      stock.uncharge(giveBack());
      long allowed = stock.readyRoomBytes() / objectBytes;
      long nrObjects = Math.clamp(allowed, 1, MAX_OBJECTS);
      MemCgroup refusedBy = stock.ensure(objectBytes, nrObjects * objectBytes);
      if (refusedBy != null) {
        return refusedBy;
      }
      nrObjects = Math.min(nrObjects, stock.nrBytes() / objectBytes);
      stock.pin();
      pinned = true;
      stock.take(nrObjects * objectBytes);
      nrBytes = (nrObjects - 1) * objectBytes;
      return null;
    }

    @Override
    public long giveBack() {
      long given = nrBytes;
      nrBytes = 0;
      if (pinned) {
        pinned = false;
        stock.unpin();
      }
      return given;
    }
  }

  private final ObjCgroups registry;
  private final int cacheIndex;

  TestAllocator(ObjCgroups registry) {
    this.registry = registry;
    this.cacheIndex = registry.newCacheIndex();
  }

  TestAllocator(MemCgroup root) {
    this(ObjCgroups.of(root));
  }

  /** An object charged as the calling thread's scope says. */
  Live allocate(long nrBytes) {
    Live object = tryAllocate(nrBytes);
    if (object == null) {
      throw new AssertionError("refused: nrBytes=" + nrBytes + " " + registry.currentScope());
    }
    return object;
  }

  /** An object charged as the calling thread's scope says; null if a limit refuses it. */
  @Nullable Live tryAllocate(long nrBytes) {
    ScopeFrame scope = registry.currentScope();
    if (scope == null) {
      return new Live(registry.rootHandle(), nrBytes);
    }
    if (scope.holdsSlot()) {
      if (!scope.slot().isArmed(scope.token())) {
        scope.resync();
      }
      return charge(scope.slot(), scope.stock(), nrBytes, true);
    }
    scope.resync();
    CpuSlot slot = registry.slots().claimShared();
    try {
      return charge(slot, registry.stock(slot, scope.current()), nrBytes, true);
    } finally {
      slot.release();
    }
  }

  /** As {@link #tryAllocate} with nothing but the stock: no objects are charged in advance. */
  @Nullable Live tryAllocateExactly(ScopeFrame scope, long nrBytes) {
    if (!scope.slot().isArmed(scope.token())) {
      scope.resync();
    }
    return charge(scope.slot(), scope.stock(), nrBytes, false);
  }

  private @Nullable Live charge(CpuSlot slot, ObjStock stock, long nrBytes, boolean inAdvance) {
    ObjCgroup owner = stock.handle();
    if (owner.isRoot()) {
      return new Live(owner, nrBytes);
    }
    stock.pin();
    try {
      MemCgroup refusedBy;
      if (inAdvance) {
        refusedBy = ready(stock).take(nrBytes);
      } else {
        refusedBy = stock.ensure(nrBytes, nrBytes);
        if (refusedBy == null) {
          stock.take(nrBytes);
        }
      }
      if (refusedBy != null) {
        return null;
      }
      owner.refs().get(slot);
      return new Live(owner, nrBytes);
    } finally {
      stock.unpin();
    }
  }

  private Ready ready(ObjStock stock) {
    Ready ready = (Ready) stock.cache(cacheIndex);
    if (ready == null) {
      ready = new Ready(stock);
      stock.setCache(cacheIndex, ready);
    }
    return ready;
  }

  /** Frees an object. Any thread, any scope. */
  void free(Live object) {
    ObjCgroup owner = object.owner();
    if (owner.isRoot()) {
      return;
    }
    ScopeFrame scope = registry.currentScope();
    if (scope != null && scope.holdsSlot()) {
      if (!scope.slot().isArmed(scope.token())) {
        scope.resync();
      }
      free(scope.slot(), object);
      return;
    }
    CpuSlot slot = registry.slots().claimShared();
    try {
      free(slot, object);
    } finally {
      slot.release();
    }
  }

  private static void free(CpuSlot slot, Live object) {
    object.owner().uncharge(slot, object.nrBytes());
    object.owner().refs().put(slot);
  }

  /** What a number of live bytes of one handle is charged at rest. */
  static long pageBytes(long nrBytes) {
    return (nrBytes + MemCgroup.PAGE_SIZE - 1) / MemCgroup.PAGE_SIZE * MemCgroup.PAGE_SIZE;
  }
}
