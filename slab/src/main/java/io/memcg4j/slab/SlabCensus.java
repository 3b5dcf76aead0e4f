package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** One walk over an allocator's slabs for {@link SlabStat}. By one thread, while others go on. */
final class SlabCensus {
  /*
   * Invariant  an object is counted as one thing: deferred, else freed elsewhere, else ready, else
   *            free, else allocated; so the parts of a word sum up to its objects whatever happens.
   * Ordering   a word is read as by Word.allocated(); what the magazine has of it belongs to it.
   */
  private final SlabAllocator allocator;
  private final Map<Integer, Sums> byCache = new TreeMap<>();
  private final IdentityHashMap<MemCgroup, long[]> ready = new IdentityHashMap<>();
  private long retainedBytes;
  private long mappedBytes;
  private long largeBytes;
  private long nrLarge;

  private static final class Sums {
    long slabs;
    long activeSlabs;
    long active;
    long deferred;
    long parked;
    long free;
    long mappedBytes;
  }

  SlabCensus(SlabAllocator allocator) {
    this.allocator = allocator;
  }

  SlabStat take() {
    for (SlabRange.Resident resident : allocator.range().residents()) {
      mappedBytes += resident.nrBytes();
      if (resident.slab().large) {
        addLarge(resident.slab(), resident.nrBytes());
      } else {
        add(resident.slab(), resident.nrBytes());
      }
    }
    List<SlabStat.Cache> rows = new ArrayList<>();
    for (SlabCache cache : allocator.caches().all()) {
      rows.add(row(cache, cache.name(), byCache.remove(cache.index())));
    }
    byCache.forEach((index, sums) -> {
      SlabCache cache = allocator.caches().get(index);
      if (cache != null) {
        rows.add(row(cache, cache.name() + ":debug", sums));
      }
    });
    long inUseBytes = largeBytes;
    long parkedBytes = 0;
    long freeBytes = 0;
    for (SlabStat.Cache row : rows) {
      inUseBytes += (row.activeObjects() + row.nrDeferred()) * row.objectSize();
      parkedBytes += row.parkedBytes();
      freeBytes += row.freeInSlabs() * row.objectSize();
    }
    return new SlabStat(
        rows,
        tenants(),
        inUseBytes,
        parkedBytes,
        freeBytes,
        retainedBytes,
        mappedBytes,
        largeBytes,
        nrLarge);
  }

  private void addLarge(Slab slab, long residentBytes) {
    if (slab.words[0].isFree(1)) {
      retainedBytes += residentBytes;
    } else {
      nrLarge++;
      largeBytes += (long) slab.nrPages << MemCgroup.PAGE_SHIFT;
    }
  }

  private void add(Slab slab, long residentBytes) {
    if (slab.home == null) {
      retainedBytes += residentBytes;
      return;
    }
    Sums sums = byCache.computeIfAbsent(slab.cacheIndex, i -> new Sums());
    sums.slabs++;
    sums.mappedBytes += residentBytes;
    if (!hasOwners(slab)) {
      sums.parked += slab.nrObjects();
      return;
    }
    long inUseBefore = sums.active + sums.deferred;
    for (Word word : slab.words) {
      add(sums, word);
    }
    if (sums.active + sums.deferred != inUseBefore) {
      sums.activeSlabs++;
    }
  }

  private static boolean hasOwners(Slab slab) {
    for (Word word : slab.words) {
      if (word.ownerAcquire() != null) {
        return true;
      }
    }
    return false;
  }

  private void add(Sums sums, Word word) {
    Word.Parts parts = word.parts();
    sums.deferred += Long.bitCount(parts.deferred());
    sums.parked += Long.bitCount(parts.ready());
    sums.free += Long.bitCount(parts.free());
    sums.active += Long.bitCount(parts.allocated());
    Magazines owner = word.ownerAcquire();
    if (parts.charged() != 0 && owner != null && owner.isCharged()) {
      long[] sum = ready.computeIfAbsent(owner.handle().group(), g -> new long[2]);
      sum[0] += Long.bitCount(parts.charged());
      sum[1] += (long) Long.bitCount(parts.charged()) * word.slab.chargeBytes;
    }
  }

  private SlabStat.Cache row(SlabCache cache, String name, @Nullable Sums found) {
    Sums sums = found == null ? new Sums() : found;
    SlabGeometry geometry = cache.geometry();
    int objectsPerSlab = geometry.nrWords() * geometry.objectsPerWord();
    return new SlabStat.Cache(
        name,
        sums.active,
        sums.slabs * objectsPerSlab,
        geometry.objectSize(),
        objectsPerSlab,
        geometry.nrChunks() << (SlabGeometry.CHUNK_SHIFT - MemCgroup.PAGE_SHIFT),
        sums.activeSlabs,
        sums.slabs,
        sums.parked,
        sums.parked * geometry.objectSize(),
        sums.free,
        sums.deferred,
        sums.mappedBytes,
        allocator.slowPathCounts(cache.index()));
  }

  private List<SlabStat.Tenant> tenants() {
    Map<String, SlabStat.Tenant> byPath = new TreeMap<>();
    ready.forEach((group, sum) ->
        byPath.put(
            group.path(),
            new SlabStat.Tenant(group.path(), sum[0], sum[1], group.stockBoundBytes())));
    return List.copyOf(byPath.values());
  }
}
