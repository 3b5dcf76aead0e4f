package io.memcg4j.slab;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The address space of {@link Vmalloc}: which addresses are free, which wait for the purge, which
 * are kept in pools for the next area of their size. Knows nothing of charges.
 */
final class VmallocSpace {
  /*
   * Layout     the reservation is cut into runs, each followed by a guard page, and free pieces. The
   *            first page is a guard too.
   * Invariant  a run is in exactly one of: the hands of a caller (allocating, living, resizing), lazy,
   *            a pool, the hands of the purge. Free pieces, guard pages and what a run has beyond
   *            committedBytes are inaccessible, if the mapper can do that. Runs in pools have no
   *            memory, and so read as zero; all of them are committed as a whole.
   *            index holds every run but those that are being made or dissolved.
   * Ordering   an address is not given out again before the purge has discarded its memory. Counters
   *            change with the lock held and are read without.
   * Locks      purging, then lock. lock: a few steps, no charge, no system call. purging is held while
   *            memory is given back; nobody waits for it but shrink and whoever found no space.
   * Origin     vmap_nodes, lazy purge and pools by size of Linux mm/vmalloc.c.
   */
  private static final int MAX_POOLED_PAGES = 256;
  private static final int MAX_LAZY_RUNS = 2048;
  private static final long LAZY_BYTES_PER_STEP = 32L << 20;
  private static final int DECAY_SHIFT = 2; // a quarter of what was not needed since the last purge
  private static final long MIN_RANGE_BYTES = 1L << 21;

  private final Mapper mapper;
  private final long pageBytes;
  private final long reservation;
  private final long reservedBytes;
  private final long maxLazyBytes;
  private final AddressTree<VmallocRun> index = new AddressTree<>();
  private final ReentrantLock lock = new ReentrantLock();
  private final ReentrantLock purging = new ReentrantLock();
  private final FreeSpace free = new FreeSpace();
  private final List<ArrayDeque<VmallocRun>> pools = new ArrayList<>();
  private ArrayList<VmallocRun> lazy = new ArrayList<>();
  private volatile long usedBytes;
  private volatile long peakUsedBytes;
  private volatile int nrAreas;
  private volatile long lazyBytes;
  private volatile int nrLazy;
  private volatile long pooledBytes;
  private volatile long nrPurges;
  private volatile boolean closed;
  private boolean released;

  VmallocSpace(Mapper mapper, long rangeBytes) {
    this.mapper = mapper;
    this.pageBytes = mapper.pageBytes();
    long wanted = rangeBytes;
    long address = mapper.reserve(wanted);
    while (address == 0) {
      wanted >>>= 1;
      if (wanted < MIN_RANGE_BYTES) {
        throw new IllegalStateException(
            String.format(
                Locale.ROOT, "address space refused by the OS: rangeBytes=%d", rangeBytes));
      }
      address = mapper.reserve(wanted & -pageBytes);
    }
    reservation = address;
    reservedBytes = wanted & -pageBytes;
    int nrSteps = 32 - Integer.numberOfLeadingZeros(Runtime.getRuntime().availableProcessors());
    maxLazyBytes = Math.min(nrSteps * LAZY_BYTES_PER_STEP, reservedBytes / 4);
    free.add(reservation + pageBytes, reservedBytes - pageBytes);
    for (int i = 0; i <= MAX_POOLED_PAGES; i++) {
      pools.add(new ArrayDeque<>(0));
    }
  }

  /** Bytes of the largest area that could ever be allocated. */
  long maxBytes() {
    return reservedBytes - 2 * pageBytes;
  }

  long pageBytes() {
    return pageBytes;
  }

  long roundUp(long nrBytes) {
    return (nrBytes + pageBytes - 1) & -pageBytes;
  }

  // ---- readers: no lock

  /** The run around an address; it may be one where nothing lives. */
  @Nullable VmallocRun find(long address) {
    return index.find(address);
  }

  /** All runs, by address, those included where nothing lives. */
  void forEach(Consumer<VmallocRun> visitor) {
    index.forEach(range -> visitor.accept(range.value()));
  }

  VmallocInfo info() {
    return new VmallocInfo(
        reservedBytes, usedBytes, peakUsedBytes, nrAreas, lazyBytes, nrLazy, pooledBytes, nrPurges);
  }

  /**
   * Whether a run waits for the purge, or its purge is under way, so that nothing may live there.
   */
  boolean isLazy(VmallocRun run) {
    return run.lazy;
  }

  String unpurgedLine(VmallocRun run) {
    long end = endOf(run);
    return String.format(
        Locale.ROOT, "0x%016x-0x%016x %7d unpurged vm_area", run.base, end, end - run.base);
  }

  int nrAreas() {
    return nrAreas;
  }

  long usedBytes() {
    return usedBytes;
  }

  int nrLazy() {
    return nrLazy;
  }

  long reservedBytes() {
    return reservedBytes;
  }

  boolean overlaps(long address, long nrBytes) {
    return ObjectTracking.overlap(address, nrBytes, reservation, reservedBytes);
  }

  String range() {
    return String.format(Locale.ROOT, "0x%x..0x%x", reservation, reservation + reservedBytes);
  }

  // ---- allocate

  /**
   * A run whose first bytes are usable and read as zero, counted as used, where nothing lives yet.
   *
   * @param nrBytes usable bytes, whole pages
   * @param capacityBytes addresses to have in addition to grow into, at least {@code nrBytes}
   * @param alignment power of two
   * @return null if there is no such space, or the OS refuses memory
   */
  @Nullable VmallocRun allocate(long nrBytes, long capacityBytes, long alignment) {
    VmallocRun run = attempt(nrBytes, capacityBytes, alignment);
    if (run == null && (nrLazy != 0 || pooledBytes != 0 || purging.isLocked())) {
      purge(true); // what waits there may be enough
      run = attempt(nrBytes, capacityBytes, alignment);
    }
    return run != null || capacityBytes == nrBytes ? run : attempt(nrBytes, nrBytes, alignment);
  }

  private @Nullable VmallocRun attempt(long nrBytes, long capacityBytes, long alignment) {
    long base;
    lock.lock();
    try {
      if (closed) {
        throw new IllegalStateException("allocator is closed");
      }
      VmallocRun pooled = capacityBytes == nrBytes ? takePooled(nrBytes, alignment) : null;
      if (pooled != null) {
        countUsed(nrBytes, 1);
        return pooled;
      }
      base = free.take(capacityBytes + pageBytes, Math.max(alignment, pageBytes));
      if (base < 0) {
        return null;
      }
      countUsed(nrBytes, 1);
    } finally {
      lock.unlock();
    }
    if (!mapper.commit(base, nrBytes)) {
      lock.lock();
      try {
        free.add(base, capacityBytes + pageBytes);
        countUsed(-nrBytes, -1);
      } finally {
        lock.unlock();
      }
      return null;
    }
    VmallocRun run = new VmallocRun(base, capacityBytes);
    run.committedBytes = nrBytes;
    index.insert(base, capacityBytes, run);
    return run;
  }

  private @Nullable VmallocRun takePooled(long nrBytes, long alignment) {
    long nrPages = nrBytes / pageBytes;
    VmallocRun run = nrPages > MAX_POOLED_PAGES ? null : pools.get((int) nrPages).peekLast();
    if (run == null || (run.base & (alignment - 1)) != 0) {
      return null;
    }
    pools.get((int) nrPages).removeLast();
    countPooled(-nrBytes);
    return run;
  }

  private void countUsed(long nrBytes, int areas) {
    long used = usedBytes + nrBytes;
    int nr = nrAreas + areas;
    usedBytes = used;
    nrAreas = nr;
    if (used > peakUsedBytes) {
      peakUsedBytes = used;
    }
  }

  private void countLazy(long nrBytes) {
    long sum = lazyBytes + nrBytes;
    lazyBytes = sum;
    nrLazy = lazy.size();
  }

  private void countPooled(long nrBytes) {
    long sum = pooledBytes + nrBytes;
    pooledBytes = sum;
  }

  // ---- resize: the caller owns the run

  /**
   * Makes more of a run usable, if need be with free addresses behind it.
   *
   * @return false, with nothing changed, if they are not free or the OS refuses memory
   */
  boolean grow(VmallocRun run, long nrBytes) {
    long oldCapacity = run.capacityBytes;
    lock.lock();
    try {
      long more = nrBytes - oldCapacity;
      if (more > 0) {
        // The new guard page is the last of what is taken; the old one becomes memory.
        if (!free.takeAt(run.base + oldCapacity + pageBytes, more)) {
          return false;
        }
        run.capacityBytes = nrBytes;
      }
      countUsed(nrBytes - run.committedBytes, 0);
    } finally {
      lock.unlock();
    }
    long oldBytes = run.committedBytes;
    if (!mapper.commit(run.base + oldBytes, nrBytes - oldBytes)) {
      lock.lock();
      try {
        if (run.capacityBytes != oldCapacity) {
          free.add(run.base + oldCapacity + pageBytes, nrBytes - oldCapacity);
          run.capacityBytes = oldCapacity;
        }
        countUsed(oldBytes - nrBytes, 0);
      } finally {
        lock.unlock();
      }
      return false;
    }
    run.committedBytes = nrBytes;
    if (nrBytes > oldCapacity) {
      index.replace(run.base, nrBytes, run);
    }
    return true;
  }

  /**
   * Makes the end of a run inaccessible, and gives its memory back. The addresses stay with it.
   *
   * @return false, with nothing changed, if the OS refuses
   */
  boolean shrink(VmallocRun run, long nrBytes) {
    long less = run.committedBytes - nrBytes;
    if (!mapper.uncommit(run.base + nrBytes, less)) {
      return false;
    }
    run.committedBytes = nrBytes;
    lock.lock();
    try {
      countUsed(-less, 0);
    } finally {
      lock.unlock();
    }
    return true;
  }

  // ---- free

  /** Takes a run back where nothing lives any more; its memory goes with the next purge. */
  void retire(VmallocRun run) {
    boolean release = false;
    lock.lock();
    try {
      countUsed(-run.committedBytes, -1);
      if (closed) {
        release = nrAreas == 0;
      } else {
        run.lazy = true;
        lazy.add(run);
        countLazy(run.committedBytes);
      }
    } finally {
      lock.unlock();
    }
    if (release) {
      release();
      return;
    }
    if (lazyBytes > 2 * maxLazyBytes || nrLazy > 2 * MAX_LAZY_RUNS) {
      purge(false); // whoever purges does not keep up: wait for it
    } else if ((lazyBytes > maxLazyBytes || nrLazy > MAX_LAZY_RUNS) && purging.tryLock()) {
      try {
        purgeHolding(false);
      } finally {
        purging.unlock();
      }
    }
  }

  /**
   * Gives the memory of freed areas back and makes their addresses usable again.
   *
   * @param emptyPools also give up all addresses that are kept in pools
   * @return bytes given back
   */
  long purge(boolean emptyPools) {
    purging.lock();
    try {
      return purgeHolding(emptyPools);
    } finally {
      purging.unlock();
    }
  }

  private long purgeHolding(boolean emptyPools) {
    List<VmallocRun> victims;
    List<VmallocRun> dissolved = new ArrayList<>();
    lock.lock();
    try {
      if (closed) {
        return 0;
      }
      victims = lazy;
      lazy = new ArrayList<>();
      nrLazy = 0;
      // Decay first: what is in the pools now was not needed since the last purge.
      pools.forEach(pool -> takeSurplus(pool, emptyPools ? 0 : DECAY_SHIFT, dissolved));
    } finally {
      lock.unlock();
    }
    if (victims.isEmpty() && dissolved.isEmpty()) {
      return 0;
    }
    long nrBytes = 0;
    List<VmallocRun> pooled = new ArrayList<>();
    for (VmallocRun run : victims) {
      nrBytes += run.committedBytes;
      (isPoolable(run) && !emptyPools ? pooled : dissolved).add(run);
    }
    forStretches(pooled, this::discard);
    List<VmallocRun> refused = new ArrayList<>();
    forStretches(dissolved, stretch -> dissolve(stretch, refused));
    long nrBytesBack = nrBytes;
    lock.lock();
    try {
      for (VmallocRun run : pooled) {
        run.lazy = false;
        pools.get((int) (run.capacityBytes / pageBytes)).addLast(run);
        countPooled(run.capacityBytes);
      }
      for (VmallocRun run : refused) {
        lazy.add(run); // for the next purge
        nrBytesBack -= run.committedBytes;
      }
      countLazy(-nrBytesBack);
      long nr = nrPurges;
      nrPurges = nr + 1;
    } finally {
      lock.unlock();
    }
    return nrBytes;
  }

  private void takeSurplus(ArrayDeque<VmallocRun> pool, int shift, List<VmallocRun> into) {
    int surplus = (pool.size() + (1 << shift) - 1) >>> shift;
    for (; surplus > 0; surplus--) {
      VmallocRun run = pool.removeFirst();
      countPooled(-run.capacityBytes);
      into.add(run);
    }
  }

  private boolean isPoolable(VmallocRun run) {
    return run.committedBytes == run.capacityBytes
        && run.capacityBytes <= MAX_POOLED_PAGES * pageBytes;
  }

  private long endOf(VmallocRun run) {
    return run.base + run.capacityBytes + pageBytes;
  }

  /** Shows runs that lie side by side together, so that they take one system call. */
  private void forStretches(List<VmallocRun> runs, Consumer<List<VmallocRun>> visitor) {
    runs.sort(Comparator.comparingLong(run -> run.base));
    int from = 0;
    for (int i = 1; i <= runs.size(); i++) {
      if (i == runs.size() || endOf(runs.get(i - 1)) != runs.get(i).base) {
        visitor.accept(runs.subList(from, i));
        from = i;
      }
    }
  }

  private void discard(List<VmallocRun> stretch) {
    long base = stretch.getFirst().base;
    if (!mapper.tryDiscard(base, endOf(stretch.getLast()) - base)) {
      stretch.forEach(run -> mapper.discard(run.base, run.committedBytes));
    }
  }

  private void dissolve(List<VmallocRun> stretch, List<VmallocRun> refused) {
    long base = stretch.getFirst().base;
    long nrBytes = endOf(stretch.getLast()) - base;
    if (!mapper.uncommit(base, nrBytes)) {
      refused.addAll(stretch);
      return;
    }
    stretch.forEach(run -> index.remove(run.base));
    lock.lock();
    try {
      free.add(base, nrBytes);
    } finally {
      lock.unlock();
    }
  }

  // ---- close

  /**
   * Ends allocation, and gives the address space back once the last area is freed.
   *
   * @return areas that are still there
   */
  int close() {
    lock.lock();
    try {
      closed = true;
      if (nrAreas != 0) {
        return nrAreas;
      }
    } finally {
      lock.unlock();
    }
    release();
    return 0;
  }

  private void release() {
    purging.lock();
    try {
      if (!released) {
        released = true;
        lazyBytes = 0;
        nrLazy = 0;
        pooledBytes = 0;
        mapper.release(reservation, reservedBytes);
      }
    } finally {
      purging.unlock();
    }
  }
}
