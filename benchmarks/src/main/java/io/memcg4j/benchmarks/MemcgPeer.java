package io.memcg4j.benchmarks;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** This allocator: each worker in a scope of its tenant, a group three deep with limits. */
final class MemcgPeer extends Peer {
  /** What can be on beside allocating. */
  enum Mode {
    ACCOUNTED,
    OFF,
    /** As a server would have it: call sites by sample, a scan every ten minutes. */
    LEAKS,
    /** All checks of the kernel's {@code slub_debug}, for every object. */
    DEBUG
  }

  private static final String ALL_CHECKS = "FZPU";
  private static final String SCAN_EVERY_10_MINUTES = "scan=600";
  private static final int MAX_DEBUG_OBJECTS = 10_000;

  private final Mode mode;
  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc;
  private final ObjCgroup[] tenants = new ObjCgroup[NR_TENANTS];

  private final @Nullable Kmemleak leaks;

  MemcgPeer(Mode mode) {
    this.mode = mode;
    kmalloc = Kmalloc.builder(root).accounting(mode != Mode.OFF).build();
    MemCgroup first = KmallocCase.userGroup(root, "tenant");
    MemCgroup parent = Objects.requireNonNull(first.parent());
    tenants[0] = ObjCgroup.of(first);
    for (int i = 1; i < NR_TENANTS; i++) {
      MemCgroup group = parent.create("other" + i);
      group.setMax(first.max());
      tenants[i] = ObjCgroup.of(group);
    }
    if (mode == Mode.LEAKS) {
      kmalloc.profile().sample();
      leaks = Kmemleak.builder(kmalloc).build();
      leaks.write(SCAN_EVERY_10_MINUTES);
    } else {
      leaks = null;
    }
    if (mode == Mode.DEBUG) {
      kmalloc.debug().set(ALL_CHECKS);
    }
  }

  @Override
  int maxObjects() {
    return mode == Mode.DEBUG ? MAX_DEBUG_OBJECTS : Integer.MAX_VALUE;
  }

  @Override
  public void close() {
    if (leaks != null) {
      leaks.off();
    }
    kmalloc.close();
  }

  @Override
  Worker worker(int tenant) {
    return new Bound(kmalloc, tenants[tenant].enter());
  }

  @Override
  Limited limited(long maxBytes) {
    MemCgroup group = root.create("limited");
    group.setMax(maxBytes);
    Scope scope = ObjCgroup.of(group).enter();
    Bound worker = new Bound(kmalloc, scope);
    return new Limited() {
      private final List<Long> held = new ArrayList<>();

      @Override
      public void fillTo(int percent, int size) {
        long share = maxBytes * percent / 100;
        while (group.usage() < share) {
          held.add(worker.allocate(size));
        }
      }

      @Override
      public long pairs(int count, int size) {
        return worker.pairs(count, size);
      }

      @Override
      public int refusals(int count, long size) {
        int nrRefused = 0;
        for (int i = 0; i < count; i++) {
          try {
            worker.free(worker.allocate(size));
          } catch (MemoryLimitException e) {
            nrRefused++;
          }
        }
        return nrRefused;
      }

      @Override
      public int nullRefusals(int count, long size) {
        int nrRefused = 0;
        for (int i = 0; i < count; i++) {
          nrRefused += worker.bound.tryAllocate(size) == Kmalloc.NULL ? 1 : 0;
        }
        return nrRefused;
      }

      @Override
      public void close() {
        held.forEach(worker::free);
        worker.close();
        group.remove();
      }
    };
  }

  private static final class Bound extends AddressWorker {
    private final Scope scope;
    private final Kmalloc.Bound bound;

    Bound(Kmalloc kmalloc, Scope scope) {
      this.scope = scope;
      bound = kmalloc.bind(scope);
    }

    @Override
    long allocate(long size) {
      return bound.allocate(size);
    }

    @Override
    long allocateZeroed(long size) {
      return bound.allocateZeroed(size);
    }

    @Override
    long allocateAligned(long size, long alignment) {
      return bound.allocateAligned(size, alignment);
    }

    @Override
    long reallocate(long address, long size) {
      return bound.reallocate(address, size);
    }

    @Override
    void free(long address) {
      bound.free(address);
    }

    @Override
    public void close() {
      scope.close();
    }
  }
}
