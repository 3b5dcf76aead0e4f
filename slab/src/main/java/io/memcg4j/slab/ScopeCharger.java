package io.memcg4j.slab;

import io.memcg4j.memcg.ChargeMode;
import io.memcg4j.memcg.LimitWalk;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import org.jspecify.annotations.Nullable;

/**
 * Charges memory of one class that is in no slab, areas or per-CPU objects, to the group of the
 * calling thread's scope: first the charge, then the memory, so that what is refused was never
 * mapped.
 *
 * <p>Thread-safe. The payer is read once per charge, so a thread that is moved meanwhile does not
 * split it.
 */
final class ScopeCharger {
  /*
   * Locks      to be called with none held and no operation under way on the caller's slot: shrinkers
   *            and policies run inside.
   * Origin     obj_cgroup_charge and obj_cgroup_uncharge of Linux mm/memcontrol.c.
   */
  private final ObjCgroups registry;
  private final boolean accounted;
  private final MemoryClass memoryClass;
  private final FaultInjection faults;

  ScopeCharger(
      ObjCgroups registry, boolean accounted, MemoryClass memoryClass, FaultInjection faults) {
    this.registry = registry;
    this.accounted = accounted;
    this.memoryClass = memoryClass;
    this.faults = faults;
  }

  /**
   * Charges bytes to whoever pays on this thread now.
   *
   * @param nrBytes at least 1
   * @param flags {@link SlabAllocator#MAY_FAIL}
   * @return who paid, to be given to {@link #uncharge} once; null if refused
   * @throws io.memcg4j.memcg.MemoryLimitException if refused without {@code MAY_FAIL}
   */
  @Nullable ObjCgroup charge(long nrBytes, int flags) {
    ScopeFrame scope = registry.currentScope();
    ObjCgroup nominal = accounted && scope != null ? scope.current() : registry.rootHandle();
    if (faults.isOn() && isFaulted(nominal, nrBytes)) {
      FaultInjection.refused(nominal.group(), nrBytes, flags);
      return null;
    }
    if (!accounted || scope == null) {
      return registry.rootHandle();
    }
    boolean mayFail = (flags & SlabAllocator.MAY_FAIL) != 0;
    LimitWalk walk = null;
    while (true) {
      scope.resync();
      CpuSlot slot = scope.holdsSlot() ? scope.slot() : registry.slots().claimShared();
      ObjCgroup payer;
      MemCgroup group;
      MemCgroup refusedBy;
      long overHighPages;
      try {
        ObjStock stock = scope.holdsSlot() ? scope.stock() : registry.stock(slot, scope.current());
        payer = stock.handle();
        if (payer.id() == ObjCgroup.ROOT_ID) {
          return payer;
        }
        stock.pin();
        try {
          group = payer.group();
          refusedBy = stock.ensure(nrBytes, nrBytes);
          if (refusedBy == null) {
            stock.take(nrBytes);
            payer.refs().get(slot);
          } else if (!mayFail || LimitWalk.canReclaim(refusedBy)) {
            ChargeMode mode = mayFail ? ChargeMode.RETRY_MAYFAIL : ChargeMode.NORMAL;
            walk = walk != null ? walk : new LimitWalk(group, nrBytes, mode);
            walk.noteDrain(slot);
          }
          overHighPages = group.takeOverHighPages(slot);
        } finally {
          stock.unpin();
        }
      } finally {
        if (!scope.holdsSlot()) {
          slot.release();
        }
      }
      if (refusedBy == null) {
        count(group, nrBytes);
        if (overHighPages != 0) {
          scope.overHigh(group, overHighPages);
        }
        return payer;
      }
      if (walk == null) {
        LimitWalk.refused(group, refusedBy, nrBytes);
        return null;
      }
      if (!walk.makeRoom(refusedBy)) {
        if (mayFail) {
          return null;
        }
        throw walk.refusal(refusedBy);
      }
    }
  }

  /**
   * Charges more to who pays for something already, whoever's scope the calling thread is in.
   *
   * @param payer what {@link #charge} returned
   * @param nrBytes whole pages
   * @param flags {@link SlabAllocator#MAY_FAIL}
   * @return whether it is charged, to be given to {@link #uncharge} with the rest
   * @throws io.memcg4j.memcg.MemoryLimitException if refused without {@code MAY_FAIL}
   */
  boolean chargeMore(ObjCgroup payer, long nrBytes, int flags) {
    if (faults.isOn() && isFaulted(payer, nrBytes)) {
      FaultInjection.refused(payer.group(), nrBytes, flags);
      return false;
    }
    if (payer.id() == ObjCgroup.ROOT_ID) {
      return true;
    }
    boolean mayFail = (flags & SlabAllocator.MAY_FAIL) != 0;
    LimitWalk walk = null;
    while (true) {
      MemCgroup group = payer.group();
      ScopeFrame scope = registry.currentScope();
      CpuSlot slot = enter(scope);
      MemCgroup refusedBy;
      long overHighPages;
      try {
        refusedBy = group.charge(slot, nrBytes >>> MemCgroup.PAGE_SHIFT);
        if (refusedBy != null && (!mayFail || LimitWalk.canReclaim(refusedBy))) {
          ChargeMode mode = mayFail ? ChargeMode.RETRY_MAYFAIL : ChargeMode.NORMAL;
          walk = walk != null ? walk : new LimitWalk(group, nrBytes, mode);
          walk.noteDrain(slot);
        }
        overHighPages = group.takeOverHighPages(slot);
      } finally {
        leave(scope, slot);
      }
      if (refusedBy == null) {
        count(group, nrBytes);
        if (overHighPages != 0 && scope != null) {
          scope.overHigh(group, overHighPages);
        } else if (overHighPages != 0) {
          group.handleOverHigh(overHighPages, true);
        }
        return true;
      }
      if (walk == null) {
        LimitWalk.refused(group, refusedBy, nrBytes);
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

  /** Whether a request is to fail for no reason: the memory, or its charge if somebody pays. */
  private boolean isFaulted(ObjCgroup payer, long nrBytes) {
    FaultKind kind =
        switch (memoryClass) {
          case VMALLOC -> FaultKind.VMALLOC;
          case PERCPU -> FaultKind.PERCPU;
          default -> null; // guarded objects, which are asked for as objects before
        };
    return (kind != null && faults.fails(kind, nrBytes))
        || (payer.id() != ObjCgroup.ROOT_ID && faults.fails(FaultKind.CHARGE, nrBytes));
  }

  /** Gives a charge back, also after its group was removed. Any thread. */
  void uncharge(ObjCgroup payer, long nrBytes) {
    uncharge(payer, nrBytes, 1);
  }

  /** Gives a part of a charge back; the rest is still charged. Any thread. */
  void unchargePart(ObjCgroup payer, long nrBytes) {
    uncharge(payer, nrBytes, 0);
  }

  private void uncharge(ObjCgroup payer, long nrBytes, int nrRefs) {
    if (payer.id() == ObjCgroup.ROOT_ID) {
      return;
    }
    count(payer.group(), -nrBytes);
    ScopeFrame scope = registry.currentScope();
    CpuSlot slot = enter(scope);
    try {
      payer.uncharge(slot, nrBytes);
      if (nrRefs > 0) {
        payer.refs().put(slot);
      }
    } finally {
      leave(scope, slot);
    }
  }

  /** Slab is what is left when all other classes are taken away. */
  private void count(MemCgroup group, long deltaBytes) {
    if (memoryClass != MemoryClass.SLAB) {
      group.countClass(memoryClass, deltaBytes);
    }
  }

  private CpuSlot enter(@Nullable ScopeFrame scope) {
    if (scope != null && scope.holdsSlot()) {
      scope.resync();
      return scope.slot();
    }
    return registry.slots().claimShared();
  }

  private static void leave(@Nullable ScopeFrame scope, CpuSlot slot) {
    if (scope == null || !scope.holdsSlot()) {
      slot.release();
    }
  }
}
