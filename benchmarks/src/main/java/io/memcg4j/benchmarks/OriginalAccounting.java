package io.memcg4j.benchmarks;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ObjStock;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.PercpuRef;
import java.util.Arrays;

/**
 * Accounting as the kernel did it before its references were scoped, over an allocator that does
 * not account: every allocation looks the current handle up, takes a reference on it, charges its
 * byte stock and records the owner beside the object; every free reads the owner, uncharges it and
 * drops the reference. Everything it uses is what the scoped way uses too: the slot's stocks, the
 * handles' per-CPU references, plain accesses to the slot that the scope owns. For the root's
 * handle it stops after the look-up, as the kernel does.
 *
 * <p>Confined to the thread of one scope; all objects are of {@link KmallocLoop#SIZE} bytes.
 */
final class OriginalAccounting {
  private static final int SIZE_SHIFT = Integer.numberOfTrailingZeros(KmallocLoop.SIZE);

  private final ObjCgroups handles;
  private final PercpuRef[] references; // by id; a handle does not count its objects
  private final CpuSlot slot;
  private final long rangeMask;
  private final int[] owners; // by position in the allocator's range; ROOT_ID: nobody is charged

  /**
   * Accounting for the objects of one allocator.
   *
   * @param rangeBytes power of two that the allocator's range does not exceed: an object's address
   *     modulo it is a position that no other object has
   */
  OriginalAccounting(ObjCgroups handles, ScopeFrame scope, long rangeBytes) {
    this.handles = handles;
    this.references = new PercpuRef[scope.current().id() + 1];
    Arrays.setAll(references, id -> new PercpuRef(handles.slots(), () -> {}));
    this.slot = scope.slot();
    this.rangeMask = rangeBytes - 1;
    this.owners = new int[Math.toIntExact(rangeBytes >> SIZE_SHIFT)];
  }

  /** The scope of the calling thread, found by the thread. */
  ScopeFrame currentScope() {
    ScopeFrame scope = handles.currentScope();
    if (scope == null) {
      throw new IllegalStateException("no scope: thread=" + Thread.currentThread());
    }
    return scope;
  }

  /** Before an allocation: takes a reference and charges it. Returns the owner's id. */
  int charge(ScopeFrame scope) {
    ObjCgroup handle = scope.current();
    if (handle.id() == ObjCgroup.ROOT_ID) {
      return ObjCgroup.ROOT_ID;
    }
    if (!references[handle.id()].tryGet(slot)) {
      throw new IllegalStateException("owner is gone: handle=" + handle);
    }
    ObjStock stock = handles.stock(slot, handle);
    MemCgroup refusedBy = stock.ensure(KmallocLoop.SIZE, KmallocLoop.SIZE);
    if (refusedBy != null) {
      references[handle.id()].put(slot);
      throw handle.group().refusal(slot, refusedBy, KmallocLoop.SIZE);
    }
    stock.take(KmallocLoop.SIZE);
    return handle.id();
  }

  /** After an allocation: records who pays for the object. */
  void record(long address, int owner) {
    if (owner != ObjCgroup.ROOT_ID) {
      owners[position(address)] = owner;
    }
  }

  /** Before a free: undoes {@link #charge} and {@link #record}. */
  void uncharge(long address) {
    int position = position(address);
    int owner = owners[position];
    if (owner != ObjCgroup.ROOT_ID) {
      owners[position] = ObjCgroup.ROOT_ID;
      ObjCgroup handle = handles.handle(owner);
      if (handle == null) {
        throw new IllegalStateException("owner is gone: id=" + owner);
      }
      handle.uncharge(slot, KmallocLoop.SIZE);
      references[owner].put(slot);
    }
  }

  private int position(long address) {
    return (int) ((address & rangeMask) >> SIZE_SHIFT);
  }
}
