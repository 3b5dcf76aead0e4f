package io.memcg4j.percpu;

import java.util.Arrays;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * One unit of memory for every slot, with one bookkeeping for all of them: what is taken is taken
 * at the same place of every unit. Guarded by the allocator's lock.
 */
final class PercpuChunk {
  static final int CELL_SHIFT = 2;
  static final int CELL_SIZE = 1 << CELL_SHIFT;
  static final int PAGE_SIZE = CELL_SIZE * ContigHints.CELLS_PER_PAGE;

  /**
   * 68 KiB. An odd number of pages, so that the units' copies of one object do not all compete for
   * the same places of the TLB and the outer caches; above twice the largest object.
   */
  static final int UNIT_PAGES = 17;

  static final int UNIT_SIZE = UNIT_PAGES * PAGE_SIZE;
  private static final int UNIT_CELLS = UNIT_SIZE >>> CELL_SHIFT;

  /** Bytes of heap per page: hints, a bit of the bound map and four bytes of owner per cell. */
  static final int BOOKKEEPING_BYTES_PER_PAGE =
      ContigHints.BYTES_PER_PAGE
          + ContigHints.CELLS_PER_PAGE / 8
          + ContigHints.CELLS_PER_PAGE * Integer.BYTES;

  final int index;

  /** First address of the first unit. */
  final long base;

  private final ContigHints cells = new ContigHints(UNIT_PAGES);

  /** Where objects begin: an object ends at the next beginning, or the next free cell. */
  private final BitSet bounds = new BitSet(UNIT_CELLS);

  /** Who paid, at the first cell of each object; by page, made when the first one is charged. */
  private final int[] @Nullable [] owners = new int[UNIT_PAGES][];

  /** Pages that may have memory behind them, as a bit mask. */
  private int populated;

  private int nrObjects;

  /** Free runs and empty pages, kept up to date by {@link #refresh}. */
  private int longestRun = UNIT_CELLS;

  private int emptyPages = (1 << UNIT_PAGES) - 1;

  /** Whether the chunk's empty pages are on their way back to the OS, or went there. */
  boolean isolated;

  /** The list that the chunk is on, and its neighbours. */
  @Nullable ChunkList list;

  @Nullable PercpuChunk previous;
  @Nullable PercpuChunk next;

  PercpuChunk(int index, long base) {
    this.index = index;
    this.base = base;
  }

  /** The first cell of a place for an object, or -1. */
  int find(int nrCells, int alignCells) {
    return longestRun < nrCells ? -1 : cells.find(nrCells, alignCells);
  }

  /**
   * Takes cells for an object.
   *
   * @return whether they may be dirty: a page of them was populated before
   */
  boolean take(int from, int nrCells, int payer) {
    if (payer != PercpuCharger.NOBODY) {
      setOwner(from, payer); // first, as it may find no memory
    }
    cells.take(from, from + nrCells);
    bounds.set(from);
    nrObjects++;
    int pages = pagesOf(from, from + nrCells);
    boolean dirty = (populated & pages) != 0;
    populated |= pages;
    refresh();
    return dirty;
  }

  /** Frees the object at a cell that {@link #isObject} says is one; it ends before {@code to}. */
  void giveBack(int from, int to) {
    cells.giveBack(from, to);
    bounds.clear(from);
    clearOwner(from);
    nrObjects--;
    refresh();
  }

  private void refresh() {
    longestRun = cells.longestRun();
    int mask = 0;
    for (int page = 0; page < UNIT_PAGES; page++) {
      if (cells.isPageFree(page)) {
        mask |= 1 << page;
      }
    }
    emptyPages = mask;
  }

  private static int pagesOf(int from, int to) {
    int first = from / ContigHints.CELLS_PER_PAGE;
    int last = (to - 1) / ContigHints.CELLS_PER_PAGE;
    return ((1 << (last - first + 1)) - 1) << first;
  }

  boolean isTaken(int cell) {
    return cells.isTaken(cell);
  }

  /** Whether an object begins at the cell. */
  boolean isObject(int cell) {
    return bounds.get(cell);
  }

  /** The object that begins at the cell ends before this one. */
  int endOf(int cell) {
    int nextBound = bounds.nextSetBit(cell + 1);
    int nextFree = cells.nextFree(cell);
    return nextBound < 0 ? nextFree : Math.min(nextBound, nextFree);
  }

  /** The object that begins at {@code cell} or behind it; -1 if there is none. */
  int nextObject(int cell) {
    return bounds.nextSetBit(cell);
  }

  int owner(int cell) {
    int[] mine = owners[cell / ContigHints.CELLS_PER_PAGE];
    return mine == null ? PercpuCharger.NOBODY : mine[cell % ContigHints.CELLS_PER_PAGE];
  }

  private void setOwner(int cell, int payer) {
    int page = cell / ContigHints.CELLS_PER_PAGE;
    int[] mine = owners[page];
    if (mine == null) {
      mine = new int[ContigHints.CELLS_PER_PAGE];
      owners[page] = mine;
    }
    mine[cell % ContigHints.CELLS_PER_PAGE] = payer;
  }

  private void clearOwner(int cell) {
    int[] mine = owners[cell / ContigHints.CELLS_PER_PAGE];
    if (mine != null) {
      mine[cell % ContigHints.CELLS_PER_PAGE] = PercpuCharger.NOBODY;
    }
  }

  boolean isFree() {
    return nrObjects == 0;
  }

  int nrObjects() {
    return nrObjects;
  }

  int nrFreeBytes() {
    return cells.nrFree() << CELL_SHIFT;
  }

  int contigBytes() {
    return longestRun << CELL_SHIFT;
  }

  int nrPopulatedPages() {
    return Integer.bitCount(populated);
  }

  int nrEmptyPopulatedPages() {
    return Integer.bitCount(emptyPages & populated);
  }

  /** Pages that are populated and empty, as a bit mask. */
  int emptyPopulatedPages() {
    return emptyPages & populated;
  }

  int populatedPages() {
    return populated;
  }

  /** The pages are to be given back: what was known about their payers goes too. */
  void depopulate(int pages) {
    assert (pages & ~emptyPopulatedPages()) == 0;
    populated &= ~pages;
    for (int page = 0; page < UNIT_PAGES; page++) {
      if ((pages & (1 << page)) != 0) {
        owners[page] = null;
      }
    }
  }

  PercpuStats.Chunk stats() {
    int[] sizes = new int[nrObjects];
    int nrSizes = 0;
    for (int cell = nextObject(0); cell >= 0; cell = nextObject(cell + 1)) {
      sizes[nrSizes++] = (endOf(cell) - cell) << CELL_SHIFT;
    }
    Arrays.sort(sizes);
    int sumFrag = 0;
    int maxFrag = 0;
    int lastEnd = 0;
    for (int cell = nextObject(0); cell >= 0; cell = nextObject(cell + 1)) {
      int frag = (cell - lastEnd) << CELL_SHIFT;
      sumFrag += frag;
      maxFrag = Math.max(maxFrag, frag);
      lastEnd = endOf(cell);
    }
    return new PercpuStats.Chunk(
        index,
        nrObjects,
        nrFreeBytes(),
        contigBytes(),
        sumFrag,
        maxFrag,
        nrPopulatedPages(),
        nrEmptyPopulatedPages(),
        nrSizes == 0 ? 0 : sizes[0],
        nrSizes == 0 ? 0 : sizes[nrSizes / 2],
        nrSizes == 0 ? 0 : sizes[nrSizes - 1],
        isolated);
  }

  /** For tests: that what is counted is what the bits say. */
  void checkInvariants() {
    cells.checkInvariants();
    int nrTaken = 0;
    int nrBounds = 0;
    for (int cell = nextObject(0); cell >= 0; cell = nextObject(cell + 1)) {
      nrTaken += endOf(cell) - cell;
      nrBounds++;
      int pages = pagesOf(cell, endOf(cell));
      PercpuChunks.require((pages & ~populated) == 0, "populated", cell);
    }
    PercpuChunks.require(nrBounds == nrObjects, "objects", nrBounds - nrObjects);
    PercpuChunks.require(nrTaken == UNIT_CELLS - cells.nrFree(), "taken cells", nrTaken);
  }
}
