package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import io.memcg4j.objcg.ScopeFrame;
import io.memcg4j.percpu.CpuSlot;
import io.memcg4j.percpu.PercpuAllocator;
import io.memcg4j.percpu.PercpuCharger;
import io.memcg4j.percpu.PercpuPages;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The per-CPU allocator of a {@link Kmalloc}: made at first use, on the same pages, charged to the
 * group of the calling thread's scope. Thread-safe.
 */
final class PercpuMemory implements PercpuCharger {
  private static final long CAPACITY_PER_UNIT = 1L << 30;
  private static final int MAX_LINES = 16;

  private final ObjCgroups registry;
  private final Mapper mapper;
  private final ScopeCharger charger;
  private final ReentrantLock making = new ReentrantLock();
  private volatile @Nullable PercpuAllocator allocator;
  private boolean closed; // guarded by making

  PercpuMemory(SlabAllocator slabs) {
    this.registry = slabs.registry();
    this.mapper = slabs.pages();
    this.charger =
        new ScopeCharger(registry, slabs.isAccounted(), MemoryClass.PERCPU, slabs.faults());
  }

  PercpuAllocator allocator() {
    PercpuAllocator made = allocator;
    return made != null ? made : make();
  }

  private PercpuAllocator make() {
    making.lock();
    try {
      if (closed) {
        throw new IllegalStateException("allocator is closed");
      }
      PercpuAllocator made = allocator;
      if (made == null) {
        made = new PercpuAllocator(registry.slots(), new Pages(mapper), this, CAPACITY_PER_UNIT);
        allocator = made;
      }
      return made;
    } finally {
      making.unlock();
    }
  }

  /** What is live, for a leak scanner. */
  void forEachLive(Consumer<LiveBlock> visitor) {
    PercpuAllocator made = allocator;
    if (made == null) {
      return;
    }
    int nrUnits = made.nrUnits();
    made.forEach((handle, nrBytes, payer) ->
        visitor.accept(
            new LiveBlock(
                handle,
                nrBytes,
                nrUnits,
                nrUnits == 1 ? 0 : made.address(handle, 1) - made.address(handle, 0),
                "percpu",
                registry.handle(payer),
                StackDepot.NONE,
                "",
                0,
                "",
                null)));
  }

  long nrLive() {
    PercpuAllocator made = allocator;
    return made == null ? 0 : made.nrLive();
  }

  long shrink() {
    PercpuAllocator made = allocator;
    return made == null ? 0 : made.shrink();
  }

  /** A space and a figure per group and object size; more lines than there is room for are cut. */
  String report() {
    PercpuAllocator made = allocator;
    if (made == null) {
      return "";
    }
    Map<String, Long> counts = new TreeMap<>();
    made.forEach((handle, nrBytes, payer) -> {
      ObjCgroup owner = registry.handle(payer);
      String group = owner == null ? "?" : owner.group().path();
      counts.merge("group=" + group + " percpuSize=" + nrBytes, 1L, Long::sum);
    });
    StringBuilder lines = new StringBuilder();
    counts.entrySet().stream()
        .limit(MAX_LINES)
        .forEach(line ->
            lines.append(
                String.format(Locale.ROOT, " [%s nrObjects=%d]", line.getKey(), line.getValue())));
    if (counts.size() > MAX_LINES) {
      lines.append(" and ").append(counts.size() - MAX_LINES).append(" more");
    }
    return lines.toString();
  }

  /**
   * Ends allocation.
   *
   * @throws IllegalStateException if objects are live
   */
  void close() {
    making.lock();
    try {
      PercpuAllocator made = allocator;
      if (made != null) {
        made.close();
      }
      closed = true;
    } finally {
      making.unlock();
    }
  }

  @Override
  public int charge(long nrBytes, boolean mayFail) {
    ObjCgroup payer = charger.charge(nrBytes, mayFail ? SlabAllocator.MAY_FAIL : 0);
    return payer == null ? REFUSED : payer.id(); // the root's, who is not charged, is NOBODY
  }

  @Override
  public void uncharge(int payer, long nrBytes) {
    ObjCgroup owner = registry.handle(payer);
    if (owner == null) {
      throw new AssertionError("payer is gone: id=" + payer); // the charge holds a reference
    }
    charger.uncharge(owner, nrBytes);
  }

  @Override
  public RuntimeException mappingRefused(long nrBytes, long mappedBytes, long rangeBytes) {
    ScopeFrame scope = registry.currentScope();
    MemCgroup group = scope == null ? registry.rootHandle().group() : scope.current().group();
    return group.mappingRefused(nrBytes, mappedBytes, rangeBytes);
  }

  @Override
  public @Nullable CpuSlot currentSlot() {
    ScopeFrame scope = registry.currentScope();
    return scope == null ? null : scope.slot();
  }

  private record Pages(Mapper mapper) implements PercpuPages {
    @Override
    public long reserve(long nrBytes) {
      return mapper.reserve(nrBytes);
    }

    @Override
    public boolean commit(long address, long nrBytes) {
      return mapper.commit(address, nrBytes);
    }

    @Override
    public void discard(long address, long nrBytes) {
      mapper.discard(address, nrBytes);
    }

    @Override
    public void release(long address, long nrBytes) {
      mapper.release(address, nrBytes);
    }

    @Override
    public MemorySegment memory() {
      return Mmap.MEMORY;
    }
  }
}
