package io.memcg4j.benchmarks;

import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.slab.Kmalloc;

/** The loops of {@link KmallocLoop} with {@link OriginalAccounting} around each call. */
final class OriginalLoop {
  private OriginalLoop() {}

  /** The caller holds its scope and the bound allocator. */
  static final class Bound implements KmallocLoop {
    private final OriginalAccounting accounting;
    private final ScopeFrame scope;
    private final Kmalloc.Bound kmalloc;

    Bound(OriginalAccounting accounting, ScopeFrame scope, Kmalloc.Bound kmalloc) {
      this.accounting = accounting;
      this.scope = scope;
      this.kmalloc = kmalloc;
    }

    @Override
    public void allocateAll(long[] addresses) {
      OriginalAccounting accounts = accounting;
      ScopeFrame current = scope;
      Kmalloc.Bound allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        int owner = accounts.charge(current);
        long address = allocator.allocate(SIZE);
        accounts.record(address, owner);
        addresses[i] = address;
      }
    }

    @Override
    public void freeAll(long[] addresses) {
      OriginalAccounting accounts = accounting;
      Kmalloc.Bound allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        accounts.uncharge(addresses[i]);
        allocator.free(addresses[i]);
      }
    }
  }

  /** Scope and allocator are found by the thread, each on its own. */
  static final class Static implements KmallocLoop {
    private final OriginalAccounting accounting;
    private final Kmalloc kmalloc;

    Static(OriginalAccounting accounting, Kmalloc kmalloc) {
      this.accounting = accounting;
      this.kmalloc = kmalloc;
    }

    @Override
    public void allocateAll(long[] addresses) {
      OriginalAccounting accounts = accounting;
      Kmalloc allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        int owner = accounts.charge(accounts.currentScope());
        long address = allocator.allocate(SIZE);
        accounts.record(address, owner);
        addresses[i] = address;
      }
    }

    @Override
    public void freeAll(long[] addresses) {
      OriginalAccounting accounts = accounting;
      Kmalloc allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        accounts.uncharge(addresses[i]);
        allocator.free(addresses[i]);
      }
    }
  }
}
