package io.memcg4j.percpu;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Which cells of a chunk are taken, and for each page how much room is where, so that a search
 * skips what does not fit. Cells are numbered within the chunk. Not thread-safe.
 */
final class ContigHints {
  /*
   * Layout     a bit per cell, and five numbers per page: the free cells at its beginning (left) and
   *            its end (right), its longest free run (contig, contigStart), its first free cell.
   * Invariant  all five are exact after each operation. A free run inside one page is found by
   *            contig, one over several pages by right, left and pages that are free as a whole.
   * Origin     the idea of pcpu_block_md of Linux mm/percpu.c. Its scan_hint is left out: a page is
   *            scanned again only when an allocation breaks its longest run, 16 words at the most.
   */
  static final int CELLS_PER_PAGE = 1 << 10;

  /** Bytes of heap that a page's bit and numbers take. */
  static final int BYTES_PER_PAGE = CELLS_PER_PAGE / 8 + 5 * Integer.BYTES;

  private final int nrPages;
  private final BitSet taken;
  private final int[] left;
  private final int[] right;
  private final int[] contig;
  private final int[] contigStart;
  private final int[] firstFree;

  ContigHints(int nrPages) {
    this.nrPages = nrPages;
    taken = new BitSet(nrPages * CELLS_PER_PAGE);
    left = full(nrPages);
    right = full(nrPages);
    contig = full(nrPages);
    contigStart = new int[nrPages];
    firstFree = new int[nrPages];
  }

  private static int[] full(int nrPages) {
    int[] numbers = new int[nrPages];
    Arrays.fill(numbers, CELLS_PER_PAGE);
    return numbers;
  }

  boolean isTaken(int cell) {
    return taken.get(cell);
  }

  /** The first free cell at or behind {@code cell}; the end of the chunk if there is none. */
  int nextFree(int cell) {
    return Math.min(taken.nextClearBit(cell), nrPages * CELLS_PER_PAGE);
  }

  boolean isPageFree(int page) {
    return left[page] == CELLS_PER_PAGE;
  }

  /** Free cells of the chunk. */
  int nrFree() {
    return nrPages * CELLS_PER_PAGE - taken.cardinality();
  }

  /** Cells of the longest free run of the chunk. */
  int longestRun() {
    int longest = 0;
    int run = 0;
    for (int page = 0; page < nrPages; page++) {
      if (isPageFree(page)) {
        run += CELLS_PER_PAGE;
      } else {
        longest = Math.max(longest, Math.max(run + left[page], contig[page]));
        run = right[page];
      }
    }
    return Math.max(longest, run);
  }

  /**
   * The first place for an object.
   *
   * @param nrCells its size
   * @param alignCells power of two, at most {@link #CELLS_PER_PAGE}
   * @return its first cell; -1 if there is no room
   */
  int find(int nrCells, int alignCells) {
    int runStart = 0; // of the free run that reaches the current page from the left
    for (int page = 0; page < nrPages; page++) {
      int pageStart = page * CELLS_PER_PAGE;
      int start = align(runStart, alignCells);
      if (start + nrCells <= pageStart + left[page]) {
        return start;
      }
      if (isPageFree(page)) {
        continue;
      }
      if (contig[page] >= nrCells) {
        start = findInPage(pageStart, firstFree[page], nrCells, alignCells);
        if (start >= 0) {
          return start;
        }
      }
      runStart = pageStart + CELLS_PER_PAGE - right[page];
    }
    return -1;
  }

  private int findInPage(int pageStart, int from, int nrCells, int alignCells) {
    int pageEnd = pageStart + CELLS_PER_PAGE;
    for (int free = pageStart + from; free < pageEnd; ) {
      int end = nextTaken(free, pageEnd);
      int start = align(free, alignCells);
      if (start + nrCells <= end) {
        return start;
      }
      free = taken.nextClearBit(end);
    }
    return -1;
  }

  private int nextTaken(int cell, int limit) {
    int next = taken.nextSetBit(cell);
    return next < 0 ? limit : Math.min(next, limit);
  }

  private static int align(int cell, int alignCells) {
    return (cell + alignCells - 1) & -alignCells;
  }

  /** Takes free cells. */
  void take(int from, int to) {
    taken.set(from, to);
    for (int page = from / CELLS_PER_PAGE; page * CELLS_PER_PAGE < to; page++) {
      int pageStart = page * CELLS_PER_PAGE;
      noteTaken(page, Math.max(from - pageStart, 0), Math.min(to - pageStart, CELLS_PER_PAGE));
    }
  }

  private void noteTaken(int page, int from, int to) {
    left[page] = Math.min(left[page], from);
    right[page] = Math.min(right[page], CELLS_PER_PAGE - to);
    int pageStart = page * CELLS_PER_PAGE;
    if (firstFree[page] >= from && firstFree[page] < to) {
      firstFree[page] = Math.min(taken.nextClearBit(pageStart + to) - pageStart, CELLS_PER_PAGE);
    }
    if (from < contigStart[page] + contig[page] && to > contigStart[page]) {
      rescan(page);
    }
  }

  private void rescan(int page) {
    int pageStart = page * CELLS_PER_PAGE;
    int pageEnd = pageStart + CELLS_PER_PAGE;
    contig[page] = 0;
    for (int free = pageStart + firstFree[page]; free < pageEnd; ) {
      int end = nextTaken(free, pageEnd);
      if (end - free > contig[page]) {
        contig[page] = end - free;
        contigStart[page] = free - pageStart;
      }
      free = taken.nextClearBit(end);
    }
  }

  /** Gives cells back that were taken. */
  void giveBack(int from, int to) {
    taken.clear(from, to);
    for (int page = from / CELLS_PER_PAGE; page * CELLS_PER_PAGE < to; page++) {
      noteFree(page, Math.max(from, page * CELLS_PER_PAGE));
    }
  }

  /** A cell of the page is free now: its run may be the longest. */
  private void noteFree(int page, int cell) {
    int pageStart = page * CELLS_PER_PAGE;
    int start = Math.max(taken.previousSetBit(cell) + 1, pageStart) - pageStart;
    int end = nextTaken(cell, pageStart + CELLS_PER_PAGE) - pageStart;
    if (start == 0) {
      left[page] = end;
    }
    if (end == CELLS_PER_PAGE) {
      right[page] = end - start;
    }
    if (end - start > contig[page]) {
      contig[page] = end - start;
      contigStart[page] = start;
    }
    firstFree[page] = Math.min(firstFree[page], start);
  }

  /** For tests: that all numbers are those of the bits. */
  void checkInvariants() {
    for (int page = 0; page < nrPages; page++) {
      int pageStart = page * CELLS_PER_PAGE;
      int run = 0;
      int longest = 0;
      int first = CELLS_PER_PAGE;
      int leading = CELLS_PER_PAGE;
      for (int i = 0; i < CELLS_PER_PAGE; i++) {
        if (isTaken(pageStart + i)) {
          leading = Math.min(leading, i);
          run = 0;
        } else {
          first = Math.min(first, i);
          longest = Math.max(longest, ++run);
        }
      }
      PercpuChunks.require(left[page] == leading, "left", page);
      PercpuChunks.require(right[page] == run, "right", page);
      PercpuChunks.require(contig[page] == longest, "contig", page);
      PercpuChunks.require(firstFree[page] == first, "firstFree", page);
      int end = contigStart[page] + longest;
      PercpuChunks.require(
          longest == 0
              || nextTaken(pageStart + contigStart[page], pageStart + end) == pageStart + end,
          "contigStart",
          page);
    }
  }
}
