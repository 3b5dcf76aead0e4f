package io.memcg4j.percpu;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Locale;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The chunks of an allocator: finds room, makes chunks, and gives memory back. Thread-safe; knows
 * nothing of charges.
 */
final class PercpuChunks {
  /*
   * Layout     one reserved range, cut into chunks; a chunk is one unit per slot, side by side. A
   *            handle is the object's address in the first unit; its other copies are a unit apart
   *            each. Chunks are made usable as a whole, in order of index, and the OS puts a page
   *            behind each unit at its first touch: a unit that no slot writes to stays empty.
   *            Opening page by page as the kernel does would cost an mprotect per unit and leave
   *            mappings of a page each, of which Linux allows a process 65530.
   * Lists      by the longest free run of the chunk: list 0 has full ones, 1 to 14 powers of two.
   *            Then those that gave their empty pages back (sidelined), those that are free as a
   *            whole, those that wait for giving back. A search goes from the list of its size up
   *            to the free ones, so the fullest are used first.
   * Invariant  an isolated chunk is sidelined, waits, or is being worked on by the holder of
   *            mapping. Nothing is allocated from the last two. nrEmptyPages counts the empty
   *            populated pages of all others. At most one chunk is on the list of free ones.
   * Locks      1. mapping: while pages are opened or given back, so that one thread does it and who
   *            finds no room waits for it. 2. lock: lists and bit maps, a few hundred instructions;
   *            leaf. No charge, callback or system call under lock, no charge or callback under
   *            mapping.
   * Ordering   all under lock, except usableBytes: written before a handle below it is published.
   * Origin     Linux mm/percpu.c: chunk slots, isolation and depopulation; none of its text or code.
   *            Its worker is whoever freed what made a chunk worth the while.
   */
  private static final int FULL = 0;
  private static final int NR_SIZE_SLOTS = slotOf(PercpuChunk.UNIT_SIZE) + 1;
  private static final int SIDELINED = NR_SIZE_SLOTS;
  private static final int FREE = SIDELINED + 1;
  private static final int TO_DEPOPULATE = FREE + 1;
  private static final int NR_LISTS = TO_DEPOPULATE + 1;

  /** A chunk below this slot that has no room after all is not asked again before a free. */
  private static final int SLOT_FAIL_THRESHOLD = 3;

  /** Empty populated pages that all chunks together keep. */
  private static final int EMPTY_PAGES_HIGH = 4;

  /** A chunk is worth the work if this part of its pages is empty. */
  private static final int EMPTY_PART = 4;

  static final long NONE = 0;

  /** A handle is a multiple of 4: the lowest bit tells that the memory may be dirty. */
  static final long DIRTY = 1;

  private final PercpuPages pages;
  private final int nrUnits;
  private final long base;
  private final long chunkBytes;
  private final int maxChunks;

  private final ReentrantLock mapping = new ReentrantLock();
  private final ReentrantLock lock = new ReentrantLock();

  private final ChunkList[] lists = new ChunkList[NR_LISTS];
  private final BitSet usedIndexes = new BitSet();
  private @Nullable PercpuChunk[] chunks = new PercpuChunk[16];
  private int nrUsable; // chunks that were opened once
  private int nrChunks;
  private int nrMaxChunks;
  private int nrEmptyPages;
  private long nrAlloc;
  private long nrDealloc;
  private long nrMaxAlloc;
  private long nrFailed;
  private long curBytes;
  private int minAllocSize;
  private int maxAllocSize;
  private long nrDepopulated;
  private boolean closed;

  /** From the base on: what can be accessed. Grows until the end, then 0. Racy reads are stale. */
  private long usableBytes;

  private volatile boolean depopulateWanted;

  /**
   * Reserves the range; a smaller one, down to a chunk, if the OS has no such.
   *
   * @throws IllegalStateException if the OS gives no address space
   */
  PercpuChunks(PercpuPages pages, int nrUnits, long capacityPerUnit) {
    this.pages = pages;
    this.nrUnits = nrUnits;
    this.chunkBytes = (long) nrUnits * PercpuChunk.UNIT_SIZE;
    long nrWanted =
        Math.min(Math.max(1, capacityPerUnit / PercpuChunk.UNIT_SIZE), Integer.MAX_VALUE / 2);
    long address = pages.reserve(nrWanted * chunkBytes);
    while (address == 0 && nrWanted > 1) {
      nrWanted /= 2;
      address = pages.reserve(nrWanted * chunkBytes);
    }
    if (address == 0) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT, "no address space for per-CPU memory: chunkBytes=%d", chunkBytes));
    }
    base = address;
    maxChunks = (int) nrWanted;
    Arrays.setAll(lists, i -> new ChunkList());
  }

  private static int slotOf(int nrBytes) {
    int highestBit = Integer.SIZE - Integer.numberOfLeadingZeros(nrBytes);
    return Math.max(highestBit - 5 + 2, 1);
  }

  int nrUnits() {
    return nrUnits;
  }

  long rangeBytes() {
    return maxChunks * chunkBytes;
  }

  /** Whether an address is in memory that can be accessed, in any unit. */
  boolean isUsable(long address) {
    return Long.compareUnsigned(address - base, usableBytes) < 0;
  }

  // ---- take

  /**
   * Takes room in every unit.
   *
   * @return the handle, with {@link #DIRTY} if the memory has to be cleared; {@link #NONE} if the
   *     range is used up or the OS refuses
   */
  long allocate(int nrBytes, int alignment, int payer) {
    int nrCells = nrBytes >>> PercpuChunk.CELL_SHIFT;
    int alignCells = Math.max(1, alignment >>> PercpuChunk.CELL_SHIFT);
    long found = take(nrCells, alignCells, payer);
    if (found != NONE) {
      return found;
    }
    mapping.lock();
    try {
      // Others may have made a chunk, or finished with one that was out of reach, meanwhile.
      do {
        found = take(nrCells, alignCells, payer);
      } while (found == NONE && makeChunk());
    } finally {
      mapping.unlock();
    }
    if (found == NONE) {
      noteFailure();
    }
    return found;
  }

  private void noteFailure() {
    lock.lock();
    try {
      nrFailed++;
    } finally {
      lock.unlock();
    }
  }

  private long take(int nrCells, int alignCells, int payer) {
    lock.lock();
    try {
      checkOpen();
      int nrBytes = nrCells << PercpuChunk.CELL_SHIFT;
      for (int slot = slotOf(nrBytes); slot <= FREE; slot++) {
        PercpuChunk next;
        for (PercpuChunk chunk = lists[slot].first(); chunk != null; chunk = next) {
          next = chunk.next;
          int cell = chunk.find(nrCells, alignCells);
          if (cell >= 0) {
            return take(chunk, cell, nrCells, payer);
          }
          if (slot < SLOT_FAIL_THRESHOLD) {
            lists[FULL].take(chunk);
          }
        }
      }
      return NONE;
    } finally {
      lock.unlock();
    }
  }

  private long take(PercpuChunk chunk, int cell, int nrCells, int payer) {
    int emptyBefore = chunk.isolated ? 0 : chunk.nrEmptyPopulatedPages();
    boolean dirty = chunk.take(cell, nrCells, payer);
    chunk.isolated = false;
    nrEmptyPages += chunk.nrEmptyPopulatedPages() - emptyBefore;
    relist(chunk);
    int nrBytes = nrCells << PercpuChunk.CELL_SHIFT;
    nrAlloc++;
    nrMaxAlloc = Math.max(nrMaxAlloc, nrAlloc - nrDealloc);
    curBytes += nrBytes;
    minAllocSize = minAllocSize == 0 ? nrBytes : Math.min(minAllocSize, nrBytes);
    maxAllocSize = Math.max(maxAllocSize, nrBytes);
    return chunk.base + ((long) cell << PercpuChunk.CELL_SHIFT) + (dirty ? DIRTY : 0);
  }

  private void relist(PercpuChunk chunk) {
    int slot;
    if (chunk.isFree()) {
      slot = FREE;
    } else if (chunk.contigBytes() == 0) {
      slot = FULL;
    } else {
      slot = slotOf(chunk.contigBytes());
    }
    lists[slot].take(chunk);
  }

  /** With mapping held. Returns false if there is no address space, or the OS refuses memory. */
  private boolean makeChunk() {
    int index = usedIndexes.nextClearBit(0); // written with both locks held
    if (index >= maxChunks) {
      return false;
    }
    long start = base + index * chunkBytes;
    PercpuChunk chunk = new PercpuChunk(index, start);
    if (index >= nrUsable) {
      if (!pages.commit(start, chunkBytes)) {
        return false;
      }
      nrUsable = index + 1;
    }
    lock.lock();
    try {
      if (index >= chunks.length) {
        chunks = Arrays.copyOf(chunks, 2 * chunks.length);
      }
      usableBytes = nrUsable * chunkBytes;
      chunks[index] = chunk;
      usedIndexes.set(index);
      nrChunks++;
      nrMaxChunks = Math.max(nrMaxChunks, nrChunks);
      relist(chunk);
    } finally {
      lock.unlock();
    }
    return true;
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("per-CPU allocator is closed");
    }
  }

  // ---- give back

  /**
   * Frees an object.
   *
   * @return its size and payer, see {@link #freedBytes} and {@link #freedPayer}
   * @throws IllegalArgumentException if the handle is not that of a live object
   */
  long free(long handle) {
    lock.lock();
    try {
      PercpuChunk chunk = chunkOf(handle);
      int cell = cellOf(chunk, handle);
      int end = chunk.endOf(cell);
      int payer = chunk.owner(cell);
      int nrBytes = (end - cell) << PercpuChunk.CELL_SHIFT;
      int emptyBefore = chunk.nrEmptyPopulatedPages();
      chunk.giveBack(cell, end);
      if (!chunk.isolated) {
        nrEmptyPages += chunk.nrEmptyPopulatedPages() - emptyBefore;
      }
      nrDealloc++;
      curBytes -= nrBytes;
      settle(chunk);
      return ((long) nrBytes << Integer.SIZE) | payer;
    } finally {
      lock.unlock();
    }
  }

  static int freedBytes(long freed) {
    return (int) (freed >>> Integer.SIZE);
  }

  static int freedPayer(long freed) {
    return (int) freed;
  }

  /** After a free: where the chunk belongs now. */
  private void settle(PercpuChunk chunk) {
    if (chunk.isolated && chunk.list != lists[SIDELINED]) {
      return; // whoever works on it looks again
    }
    int nrEmpty = chunk.nrEmptyPopulatedPages();
    boolean isSecondFree = chunk.isFree() && !lists[FREE].isEmpty();
    boolean isWorthIt =
        chunk.isolated
            ? nrEmpty > 0
            : nrEmptyPages > EMPTY_PAGES_HIGH + nrEmpty
                && nrEmpty * EMPTY_PART >= PercpuChunk.UNIT_PAGES;
    if (isSecondFree || isWorthIt) {
      isolate(chunk);
    } else if (!chunk.isolated) {
      relist(chunk);
    }
  }

  private void isolate(PercpuChunk chunk) {
    if (!chunk.isolated) {
      chunk.isolated = true;
      nrEmptyPages -= chunk.nrEmptyPopulatedPages();
    }
    lists[TO_DEPOPULATE].take(chunk);
    depopulateWanted = true;
  }

  /** Gives back to the OS what frees have set aside. */
  void depopulateIfWanted() {
    if (depopulateWanted) {
      mapping.lock();
      try {
        depopulate(EMPTY_PAGES_HIGH);
      } finally {
        mapping.unlock();
      }
    }
  }

  /**
   * Gives every page without an object back to the OS.
   *
   * @return bytes given back, of all units
   */
  long shrink() {
    mapping.lock();
    try {
      long before = nrDepopulated;
      lock.lock();
      try {
        for (PercpuChunk chunk : chunks) {
          if (chunk != null && (chunk.isFree() || chunk.nrEmptyPopulatedPages() > 0)) {
            isolate(chunk);
          }
        }
      } finally {
        lock.unlock();
      }
      depopulate(0);
      return (nrDepopulated - before) * nrUnits * PercpuChunk.PAGE_SIZE;
    } finally {
      mapping.unlock();
    }
  }

  /** With mapping held. */
  private void depopulate(int nrEmptyToKeep) {
    for (PercpuChunk chunk = nextToDepopulate(); chunk != null; chunk = nextToDepopulate()) {
      int victims;
      boolean whole;
      lock.lock();
      try {
        whole = chunk.isFree() && (nrEmptyToKeep == 0 || !lists[FREE].isEmpty());
        victims = whole || nrEmptyPages >= nrEmptyToKeep ? chunk.emptyPopulatedPages() : 0;
        chunk.depopulate(victims);
        if (whole) {
          chunks[chunk.index] = null;
        }
      } finally {
        lock.unlock();
      }
      discard(chunk, victims);
      lock.lock();
      try {
        nrDepopulated += Integer.bitCount(victims);
        if (whole) {
          usedIndexes.clear(chunk.index);
          nrChunks--;
        } else {
          finish(chunk, victims);
        }
      } finally {
        lock.unlock();
      }
    }
  }

  private @Nullable PercpuChunk nextToDepopulate() {
    lock.lock();
    try {
      PercpuChunk chunk = lists[TO_DEPOPULATE].first();
      if (chunk == null) {
        depopulateWanted = false;
      } else {
        ChunkList.remove(chunk);
      }
      return chunk;
    } finally {
      lock.unlock();
    }
  }

  /** The chunk can be used again; objects may have been freed in it meanwhile. */
  private void finish(PercpuChunk chunk, int victims) {
    if (chunk.isFree() && !lists[FREE].isEmpty()) {
      lists[TO_DEPOPULATE].take(chunk);
    } else if (victims == 0 || chunk.isFree()) {
      chunk.isolated = false;
      nrEmptyPages += chunk.nrEmptyPopulatedPages();
      relist(chunk);
    } else {
      lists[SIDELINED].take(chunk);
    }
  }

  private void discard(PercpuChunk chunk, int victims) {
    for (int rest = victims; rest != 0; ) {
      int first = Integer.numberOfTrailingZeros(rest);
      int nrPages = Integer.numberOfTrailingZeros(~(rest >>> first));
      long nrBytes = (long) nrPages * PercpuChunk.PAGE_SIZE;
      if (nrPages == PercpuChunk.UNIT_PAGES) {
        pages.discard(chunk.base, chunkBytes);
        return;
      }
      for (int unit = 0; unit < nrUnits; unit++) {
        long start = chunk.base + (long) unit * PercpuChunk.UNIT_SIZE;
        pages.discard(start + (long) first * PercpuChunk.PAGE_SIZE, nrBytes);
      }
      rest &= -1 << (first + nrPages);
    }
  }

  // ---- look

  /** Size of a live object. */
  int size(long handle) {
    lock.lock();
    try {
      PercpuChunk chunk = chunkOf(handle);
      int cell = cellOf(chunk, handle);
      return (chunk.endOf(cell) - cell) << PercpuChunk.CELL_SHIFT;
    } finally {
      lock.unlock();
    }
  }

  private PercpuChunk chunkOf(long handle) {
    checkOpen();
    long offset = handle - base;
    if (Long.compareUnsigned(offset, usableBytes) >= 0) {
      throw badHandle("not from this per-CPU allocator", handle);
    }
    PercpuChunk chunk = chunks[(int) (offset / chunkBytes)];
    if (chunk == null) {
      throw badHandle("not allocated", handle);
    }
    return chunk;
  }

  private static int cellOf(PercpuChunk chunk, long handle) {
    long offset = handle - chunk.base;
    if (offset >= PercpuChunk.UNIT_SIZE) {
      throw badHandle("address in a unit, not a handle", handle);
    }
    int cell = (int) (offset >>> PercpuChunk.CELL_SHIFT);
    if (!chunk.isTaken(cell)) {
      throw badHandle("not allocated", handle);
    }
    if ((offset & (PercpuChunk.CELL_SIZE - 1)) != 0 || !chunk.isObject(cell)) {
      throw badHandle("inside an object", handle);
    }
    return cell;
  }

  private static IllegalArgumentException badHandle(String reason, long handle) {
    return new IllegalArgumentException(
        String.format(Locale.ROOT, "bad per-CPU handle: %s: handle=0x%x", reason, handle));
  }

  long nrLive() {
    lock.lock();
    try {
      return nrAlloc - nrDealloc;
    } finally {
      lock.unlock();
    }
  }

  /** Shows all live objects; those of a chunk are of one moment. No lock is held meanwhile. */
  void forEach(PercpuAllocator.Visitor visitor) {
    for (int index = 0; ; index++) {
      long[] handles;
      long[] sizesAndPayers;
      int nrObjects = 0;
      lock.lock();
      try {
        if (index >= chunks.length) {
          return;
        }
        PercpuChunk chunk = chunks[index];
        if (chunk == null) {
          continue;
        }
        handles = new long[chunk.nrObjects()];
        sizesAndPayers = new long[handles.length];
        for (int cell = chunk.nextObject(0); cell >= 0; cell = chunk.nextObject(cell + 1)) {
          long nrBytes = (long) (chunk.endOf(cell) - cell) << PercpuChunk.CELL_SHIFT;
          handles[nrObjects] = chunk.base + ((long) cell << PercpuChunk.CELL_SHIFT);
          sizesAndPayers[nrObjects++] = (nrBytes << Integer.SIZE) | chunk.owner(cell);
        }
      } finally {
        lock.unlock();
      }
      for (int i = 0; i < nrObjects; i++) {
        visitor.visit(handles[i], freedBytes(sizesAndPayers[i]), freedPayer(sizesAndPayers[i]));
      }
    }
  }

  /** Memory that may be resident, in all units. */
  long mappedBytes() {
    lock.lock();
    try {
      return (long) nrPopulatedPages() * nrUnits * PercpuChunk.PAGE_SIZE;
    } finally {
      lock.unlock();
    }
  }

  private int nrPopulatedPages() {
    int nrPopulated = 0;
    for (PercpuChunk chunk : chunks) {
      nrPopulated += chunk == null ? 0 : chunk.nrPopulatedPages();
    }
    return nrPopulated;
  }

  PercpuStats stats() {
    lock.lock();
    try {
      int nrPopulated = nrPopulatedPages();
      int nrEmpty = 0;
      PercpuStats.Chunk[] each = new PercpuStats.Chunk[usedIndexes.cardinality()];
      int nrShown = 0;
      for (PercpuChunk chunk : chunks) {
        if (chunk != null) {
          nrEmpty += chunk.nrEmptyPopulatedPages();
          each[nrShown++] = chunk.stats();
        }
      }
      return new PercpuStats(
          PercpuChunk.UNIT_SIZE,
          nrUnits,
          nrAlloc,
          nrDealloc,
          nrAlloc - nrDealloc,
          nrMaxAlloc,
          nrFailed,
          curBytes,
          nrChunks,
          nrMaxChunks,
          minAllocSize,
          maxAllocSize,
          nrEmpty,
          nrPopulated,
          (long) nrPopulated * nrUnits * PercpuChunk.PAGE_SIZE,
          nrDepopulated,
          Arrays.asList(Arrays.copyOf(each, nrShown)));
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends allocation and gives the range back, unless objects are live.
   *
   * @return the number of live objects, in which case nothing is closed
   */
  long close() {
    mapping.lock();
    try {
      lock.lock();
      try {
        if (closed || nrAlloc != nrDealloc) {
          return nrAlloc - nrDealloc;
        }
        closed = true;
        usableBytes = 0;
        Arrays.fill(chunks, null);
        Arrays.setAll(lists, i -> new ChunkList());
      } finally {
        lock.unlock();
      }
      pages.release(base, rangeBytes());
      return 0;
    } finally {
      mapping.unlock();
    }
  }

  /** For tests: that counts and lists agree with the bit maps. To be called at rest. */
  void checkInvariants() {
    lock.lock();
    try {
      int nrEmpty = 0;
      long nrLive = 0;
      int nrFree = 0;
      for (PercpuChunk chunk : chunks) {
        if (chunk == null) {
          continue;
        }
        chunk.checkInvariants();
        nrLive += chunk.nrObjects();
        nrFree += chunk.isFree() ? 1 : 0;
        nrEmpty += chunk.isolated ? 0 : chunk.nrEmptyPopulatedPages();
        boolean isWhereItBelongs =
            chunk.isolated
                ? chunk.list == lists[SIDELINED]
                : chunk.list != null
                    && chunk.list != lists[SIDELINED]
                    && chunk.list != lists[TO_DEPOPULATE];
        require(isWhereItBelongs, "list", chunk.index);
      }
      require(nrEmpty == nrEmptyPages, "empty pages", nrEmpty - nrEmptyPages);
      require(nrLive == nrAlloc - nrDealloc, "live objects", nrLive - nrAlloc + nrDealloc);
      require(nrFree <= 1, "free chunks", nrFree);
    } finally {
      lock.unlock();
    }
  }

  static void require(boolean holds, String what, long value) {
    if (!holds) {
      throw new AssertionError("invariant broken: " + what + ": value=" + value);
    }
  }
}
