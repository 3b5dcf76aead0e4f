package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.percpu.Srcu;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One reserved range of addresses, in chunks of 32 KiB, and which slab or large object each belongs
 * to. Hands out runs of chunks, keeps emptied ones for a moment and gives their memory back to the
 * OS.
 */
final class SlabRange {
  /*
   * Layout     slabs[chunk] is the slab that covers it: address to slab is a shift and a load.
   *            [0, top) has been handed out at some time; [0, committed) is accessible.
   * Invariant  every chunk below top is in exactly one of: a slab in use, a retained run (metadata
   *            kept, memory dirty), cleanRuns (no metadata, no memory).
   *            mapped = memory of slabs in use and of retained runs. A cache has one geometry object,
   *            and so has a number of chunks for large objects.
   * Ordering   slabs is written under the lock; an entry is stored before any address in it is
   *            handed out, so whoever got the address sees it. An array that is replaced by a longer
   *            one lacks only entries of addresses that its reader cannot have.
   * Locks      discarding, then lock. lock: no callback, charge or system call is made with it held,
   *            but for opening fresh address space, which is rare; readers are polled, which never
   *            waits. discarding keeps the range mapped while memory is given back, which may take
   *            long.
   * Not        which of two equally good runs is taken.
   * guaranteed
   * Origin     the idea of a slab-aligned virtual area instead of struct page.
   */
  private static final int CHUNK_SHIFT = SlabGeometry.CHUNK_SHIFT;
  private static final int COMMIT_CHUNKS = 128;
  private static final int MAX_RETAINED_CHUNKS = 64;
  private static final int MIN_RANGE_CHUNKS = 64;

  private final Mapper mapper;
  private final Srcu readers;
  private final long reservation;
  private final long reservedBytes;
  private final int nrChunks;
  private final long base;
  private final ReentrantLock lock = new ReentrantLock();
  private final ReentrantLock discarding = new ReentrantLock();
  private final TreeMap<Integer, Integer> cleanRuns = new TreeMap<>();
  private final IdentityHashMap<SlabGeometry, Deque<Slab>> retained = new IdentityHashMap<>();
  private final SlabGeometry[] largeGeometries = new SlabGeometry[MAX_RETAINED_CHUNKS + 1];
  private @Nullable Slab[] slabs = new @Nullable Slab[COMMIT_CHUNKS];
  private int top;
  private int committed;
  private int nrSlabs;
  private int nrLarge;
  private long mappedBytes;
  private long peakMappedBytes;
  private long retainedBytes;
  private int nrPins;
  private boolean closed;

  /**
   * Reserves the addresses.
   *
   * @param readers who may look at objects of typesafe caches
   */
  SlabRange(Mapper mapper, long rangeBytes, Srcu readers) {
    this.mapper = mapper;
    this.readers = readers;
    long wanted = rangeBytes >>> CHUNK_SHIFT;
    long address = 0;
    while (address == 0) {
      address = mapper.reserve((wanted + 1) << CHUNK_SHIFT);
      if (address == 0 && (wanted >>>= 1) < MIN_RANGE_CHUNKS) {
        throw new IllegalStateException(
            String.format(
                Locale.ROOT, "address space refused by the OS: rangeBytes=%d", rangeBytes));
      }
    }
    reservation = address;
    reservedBytes = (wanted + 1) << CHUNK_SHIFT;
    nrChunks = (int) wanted;
    base = (address + SlabGeometry.CHUNK_SIZE - 1) & -SlabGeometry.CHUNK_SIZE;
  }

  /** The slab that covers an address; null if none does. Two loads, no lock. */
  @Nullable Slab find(long address) {
    @Nullable Slab[] array = slabs;
    long chunk = (address - base) >>> CHUNK_SHIFT;
    return chunk < array.length ? array[(int) chunk] : null;
  }

  /** As {@link #find} for an address that may come from anywhere: takes the lock on a miss. */
  @Nullable Slab findSlow(long address) {
    Slab slab = find(address);
    if (slab != null) {
      return slab;
    }
    lock.lock();
    try {
      return find(address);
    } finally {
      lock.unlock();
    }
  }

  long base() {
    return base;
  }

  /** Bytes of the largest object that could ever be allocated. */
  long rangeBytes() {
    return (long) nrChunks << CHUNK_SHIFT;
  }

  /**
   * Slabs with every object free: up to {@code max} of those that wait for the purge, else a new
   * one.
   *
   * @return how many were stored in {@code into}; 0 if the range is used up or the OS refuses
   *     memory
   */
  int allocateSlabs(SlabGeometry geometry, @Nullable Slab[] into, int max) {
    lock.lock();
    try {
      int nrFound = 0;
      for (Slab slab; nrFound < max && (slab = takeRetained(geometry)) != null; nrFound++) {
        grow(slab, (long) slab.nrChunks << CHUNK_SHIFT);
        into[nrFound] = slab;
      }
      if (nrFound == 0) {
        int run = takeRun(geometry.nrChunks(), 1);
        if (run < 0) {
          return 0;
        }
        Slab slab = publish(geometry, run, geometry.nrChunks(), false);
        grow(slab, (long) slab.nrChunks << CHUNK_SHIFT);
        into[nrFound++] = slab;
      }
      nrSlabs += nrFound;
      return nrFound;
    } finally {
      lock.unlock();
    }
  }

  /**
   * A run for a large object, aligned to a power of two of chunks. What may not read as zero is in
   * {@link Slab#dirtyBytes}.
   *
   * @param nrBytes of its beginning: what the owner is about to touch
   */
  @Nullable Slab allocateRun(int nrRunChunks, int alignChunks, long nrBytes) {
    lock.lock();
    try {
      SlabGeometry geometry = largeGeometry(nrRunChunks);
      Slab slab = alignChunks == 1 ? takeRetained(geometry) : null;
      if (slab == null) {
        int run = takeRun(nrRunChunks, alignChunks);
        if (run < 0) {
          return null;
        }
        slab = publish(geometry, run, nrRunChunks, true);
      }
      slab.dirtyBytes = slab.residentBytes;
      grow(slab, nrBytes);
      nrLarge++;
      return slab;
    } finally {
      lock.unlock();
    }
  }

  /** The owner is about to touch the first {@code nrBytes} of a large object. */
  void resident(Slab slab, long nrBytes) {
    lock.lock();
    try {
      grow(slab, nrBytes);
    } finally {
      lock.unlock();
    }
  }

  private void grow(Slab slab, long nrBytes) {
    long more = nrBytes - slab.residentBytes;
    if (more > 0) {
      slab.residentBytes = nrBytes;
      mappedBytes += more;
      peakMappedBytes = Math.max(peakMappedBytes, mappedBytes);
    }
  }

  private SlabGeometry largeGeometry(int nrRunChunks) {
    int index = nrRunChunks <= MAX_RETAINED_CHUNKS ? nrRunChunks : 0;
    SlabGeometry geometry = largeGeometries[index];
    if (geometry == null) {
      geometry = new SlabGeometry(-1, 1, 0, 1, index, 0, 0);
      largeGeometries[index] = geometry;
    }
    return geometry;
  }

  private @Nullable Slab takeRetained(SlabGeometry geometry) {
    Deque<Slab> mine = retained.get(geometry);
    Slab slab = mine == null ? null : mine.pollLast();
    if (slab != null) {
      retainedBytes -= slab.residentBytes;
    }
    return slab;
  }

  private Slab publish(SlabGeometry geometry, int run, int nrRunChunks, boolean large) {
    Slab slab = new Slab(geometry, run, nrRunChunks, base + ((long) run << CHUNK_SHIFT), large);
    @Nullable Slab[] array = slabs;
    if (run + nrRunChunks > array.length) {
      array = Arrays.copyOf(array, Math.max(run + nrRunChunks, array.length * 2));
    }
    Arrays.fill(array, run, run + nrRunChunks, slab);
    slabs = array;
    return slab;
  }

  /** First fit below top, else fresh space. Returns the first chunk or -1. */
  private int takeRun(int nrRunChunks, int alignChunks) {
    if (closed) {
      throw new IllegalStateException("allocator is closed");
    }
    for (Map.Entry<Integer, Integer> clean : cleanRuns.entrySet()) {
      int start = clean.getKey();
      int end = start + clean.getValue();
      int aligned = align(start, alignChunks);
      if (aligned + (long) nrRunChunks <= end) {
        cleanRuns.remove(start);
        addClean(start, aligned - start);
        addClean(aligned + nrRunChunks, end - aligned - nrRunChunks);
        return aligned;
      }
    }
    int run = align(top, alignChunks);
    long end = run + (long) nrRunChunks;
    if (end > nrChunks || !commitTo((int) end)) {
      return -1;
    }
    addClean(top, run - top);
    top = (int) end;
    return run;
  }

  private int align(int chunk, int alignChunks) {
    // Objects are aligned by address, and the base is aligned to one chunk only.
    long address = base + ((long) chunk << CHUNK_SHIFT);
    long mask = ((long) alignChunks << CHUNK_SHIFT) - 1;
    return (int) Math.min(nrChunks, (((address + mask) & ~mask) - base) >>> CHUNK_SHIFT);
  }

  private boolean commitTo(int end) {
    if (end <= committed) {
      return true;
    }
    int target = (int) Math.min(nrChunks, Math.max(end, committed + (long) COMMIT_CHUNKS));
    if (!commit(target) && !commit(end)) {
      return false;
    }
    return true;
  }

  private boolean commit(int target) {
    long from = base + ((long) committed << CHUNK_SHIFT);
    if (!mapper.commit(from, (long) (target - committed) << CHUNK_SHIFT)) {
      return false;
    }
    committed = target;
    return true;
  }

  private void addClean(int start, int length) {
    if (length == 0) {
      return;
    }
    int from = start;
    int end = start + length;
    Map.Entry<Integer, Integer> before = cleanRuns.lowerEntry(start);
    if (before != null && before.getKey() + before.getValue() == start) {
      from = before.getKey();
    }
    Integer after = cleanRuns.remove(end);
    if (after != null) {
      end += after;
    }
    cleanRuns.put(from, end - from);
  }

  /**
   * Takes back slabs whose objects are all free, for use or purge later.
   *
   * @param emptySinceNanos the time from which they wait for the purge
   */
  void retire(long emptySinceNanos, @Nullable Slab[] from, int count) {
    lock.lock();
    try {
      for (int i = 0; i < count && !closed; i++) {
        retain(Objects.requireNonNull(from[i]), emptySinceNanos);
        nrSlabs--;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Takes back a large object, for use or purge later; memory of a very large one at once. */
  void retireLarge(long emptySinceNanos, Slab slab) {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      nrLarge--;
      if (slab.nrChunks <= MAX_RETAINED_CHUNKS) {
        retain(slab, emptySinceNanos);
        return;
      }
      forget(slab);
    } finally {
      lock.unlock();
    }
    discard(List.of(slab));
  }

  private void retain(Slab slab, long emptySinceNanos) {
    slab.retiredNanos = emptySinceNanos;
    if (slab.geometry.typesafe()) {
      slab.graceCookie = readers.startPoll();
    }
    retainedBytes += slab.residentBytes;
    retained.computeIfAbsent(slab.geometry, g -> new ArrayDeque<>()).addLast(slab);
  }

  /** Drops the metadata of a run that is about to be discarded. */
  private void forget(Slab slab) {
    Arrays.fill(slabs, slab.firstChunk, slab.firstChunk + slab.nrChunks, null);
    mappedBytes -= slab.residentBytes;
  }

  /**
   * The owner will touch no more than the first {@code nrBytes} of a large object.
   *
   * @param nrBytes multiple of the page size
   */
  void trim(Slab slab, long nrBytes) {
    long surplus = slab.residentBytes - nrBytes;
    if (surplus > 0) {
      mapper.discard(slab.base + nrBytes, surplus);
      lock.lock();
      try {
        slab.residentBytes = nrBytes;
        mappedBytes -= surplus;
      } finally {
        lock.unlock();
      }
    }
  }

  /**
   * Gives pages of a slab in use back to the OS; by the owner of its home slot, who makes sure that
   * the range stays mapped. They read as zero until they are written.
   *
   * @param pages a bit per page of the slab
   */
  void discardPages(Slab slab, long pages) {
    for (long rest = pages; rest != 0; ) {
      int first = Long.numberOfTrailingZeros(rest);
      int count = Long.numberOfTrailingZeros(~(rest >>> first));
      mapper.discard(
          slab.base + ((long) first << MemCgroup.PAGE_SHIFT), (long) count << MemCgroup.PAGE_SHIFT);
      rest = first + count >= Long.SIZE ? 0 : rest & (-1L << (first + count));
    }
    long nrBytes = (long) Long.bitCount(pages) << MemCgroup.PAGE_SHIFT;
    lock.lock();
    try {
      slab.residentBytes -= nrBytes;
      mappedBytes -= nrBytes;
    } finally {
      lock.unlock();
    }
  }

  /** The owner is about to write to so many pages of a slab that were given back. */
  void repopulate(Slab slab, int nrPages) {
    lock.lock();
    try {
      grow(slab, slab.residentBytes + ((long) nrPages << MemCgroup.PAGE_SHIFT));
    } finally {
      lock.unlock();
    }
  }

  /**
   * Gives memory back to the OS, without the lock, and then the addresses back to use. Whoever
   * comes later, with victims or without, finds the addresses of those before in use again.
   */
  private void discard(List<Slab> victims) {
    discarding.lock();
    try {
      if (closed) {
        return;
      }
      for (Slab slab : victims) {
        mapper.discard(
            base + ((long) slab.firstChunk << CHUNK_SHIFT), (long) slab.nrChunks << CHUNK_SHIFT);
      }
      lock.lock();
      try {
        for (Slab slab : victims) {
          addClean(slab.firstChunk, slab.nrChunks);
        }
      } finally {
        lock.unlock();
      }
    } finally {
      discarding.unlock();
    }
  }

  /**
   * Gives back the memory of runs that were retired at or before a time, or of all retired runs;
   * but for those of typesafe caches that readers may still look at.
   *
   * @return bytes given back
   */
  long purge(long retiredUntilNanos, boolean all) {
    List<Slab> victims = new ArrayList<>();
    long nrBytes = 0;
    lock.lock();
    try {
      for (Deque<Slab> runs : retained.values()) {
        nrBytes += takeVictims(runs, retiredUntilNanos, all, victims);
      }
    } finally {
      lock.unlock();
    }
    discard(victims);
    return nrBytes;
  }

  /** As {@link #purge} for all retired runs of one cache. */
  long purge(SlabGeometry geometry) {
    List<Slab> victims = new ArrayList<>();
    long nrBytes;
    lock.lock();
    try {
      Deque<Slab> runs = retained.get(geometry);
      nrBytes = runs == null ? 0 : takeVictims(runs, 0, true, victims);
    } finally {
      lock.unlock();
    }
    discard(victims);
    return nrBytes;
  }

  private long takeVictims(
      Deque<Slab> runs, long retiredUntilNanos, boolean all, List<Slab> victims) {
    long nrBytes = 0;
    for (Slab slab = runs.peekFirst();
        slab != null
            && (all || slab.retiredNanos - retiredUntilNanos <= 0)
            && (!slab.geometry.typesafe() || readers.poll(slab.graceCookie));
        slab = runs.peekFirst()) {
      runs.removeFirst();
      victims.add(slab);
      nrBytes += slab.residentBytes;
      retainedBytes -= slab.residentBytes;
      forget(slab);
    }
    return nrBytes;
  }

  /** A cache is gone: so is what was kept for it, once nothing is retained. */
  void forget(SlabGeometry geometry) {
    lock.lock();
    try {
      Deque<Slab> runs = retained.get(geometry);
      if (runs != null && runs.isEmpty()) {
        retained.remove(geometry);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Objects that are allocated right now. Racy while others allocate. */
  long nrLiveObjects() {
    long nrLive = 0;
    for (Slab slab : inUse()) {
      nrLive += slab.nrLiveObjects();
    }
    return nrLive;
  }

  /** Slabs and large objects, retained ones included, each once. */
  List<Slab> inUse() {
    lock.lock();
    try {
      List<Slab> found = new ArrayList<>();
      for (int chunk = 0; chunk < top; ) {
        Slab slab = slabs[chunk];
        if (slab == null) {
          chunk++;
        } else {
          found.add(slab);
          chunk += slab.nrChunks;
        }
      }
      return found;
    } finally {
      lock.unlock();
    }
  }

  /** A slab and how much of its memory may be resident. */
  record Resident(Slab slab, long nrBytes) {}

  /** As {@link #inUse}, of one moment. */
  List<Resident> residents() {
    lock.lock();
    try {
      return inUse().stream().map(slab -> new Resident(slab, slab.residentBytes)).toList();
    } finally {
      lock.unlock();
    }
  }

  long mappedBytes() {
    lock.lock();
    try {
      return mappedBytes;
    } finally {
      lock.unlock();
    }
  }

  long peakMappedBytes() {
    lock.lock();
    try {
      return peakMappedBytes;
    } finally {
      lock.unlock();
    }
  }

  long retainedBytes() {
    lock.lock();
    try {
      return retainedBytes;
    } finally {
      lock.unlock();
    }
  }

  int nrSlabs() {
    return nrSlabs;
  }

  int nrLarge() {
    return nrLarge;
  }

  /** Keeps addresses mapped for whoever reads them from outside. Returns false if closed. */
  boolean pin() {
    lock.lock();
    try {
      nrPins += closed ? 0 : 1;
      return !closed;
    } finally {
      lock.unlock();
    }
  }

  /** Undoes one {@link #pin}; the last one after the close unmaps. */
  void unpin() {
    lock.lock();
    try {
      if (--nrPins == 0 && closed) {
        mapper.release(reservation, reservedBytes);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Unmaps everything, once nobody has it pinned; addresses must not be touched any more. */
  void close() {
    discarding.lock();
    try {
      lock.lock();
      try {
        if (!closed) {
          closed = true;
          slabs = new @Nullable Slab[0];
          top = 0;
          retained.clear();
          cleanRuns.clear();
          nrSlabs = 0;
          mappedBytes = 0;
          retainedBytes = 0;
          if (nrPins == 0) {
            mapper.release(reservation, reservedBytes);
          }
        }
      } finally {
        lock.unlock();
      }
    } finally {
      discarding.unlock();
    }
  }
}
