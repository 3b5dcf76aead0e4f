package io.memcg4j.slab;

import java.util.Comparator;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Pieces of an address range that nobody uses, joined with their neighbours. Gives out of the
 * smallest piece that fits, the lowest of those. Not thread-safe.
 */
final class FreeSpace {
  /*
   * Invariant  both maps hold the same pieces; no two pieces touch.
   */
  private record Piece(long start, long nrBytes) {}

  private final TreeMap<Long, Long> byStart = new TreeMap<>();
  private final TreeSet<Piece> bySize =
      new TreeSet<>(Comparator.comparingLong(Piece::nrBytes).thenComparingLong(Piece::start));

  private void put(long start, long nrBytes) {
    if (nrBytes > 0) {
      byStart.put(start, nrBytes);
      bySize.add(new Piece(start, nrBytes));
    }
  }

  private void drop(long start, long nrBytes) {
    byStart.remove(start);
    bySize.remove(new Piece(start, nrBytes));
  }

  /** Adds a piece that is not part of any. */
  void add(long start, long nrBytes) {
    long from = start;
    long end = start + nrBytes;
    Map.Entry<Long, Long> before = byStart.lowerEntry(start);
    if (before != null && before.getKey() + before.getValue() == start) {
      from = before.getKey();
      drop(from, before.getValue());
    }
    Long after = byStart.get(end);
    if (after != null) {
      drop(end, after);
      end += after;
    }
    put(from, end - from);
  }

  /**
   * Takes a piece.
   *
   * @param nrBytes its size
   * @param alignment power of two
   * @return its start; -1 if nothing fits
   */
  long take(long nrBytes, long alignment) {
    for (Piece piece : bySize.tailSet(new Piece(0, nrBytes))) {
      long aligned = (piece.start + alignment - 1) & -alignment;
      long before = aligned - piece.start;
      // An alignment near 2^63 overflows to a start below the piece.
      if (before >= 0 && before <= piece.nrBytes - nrBytes) {
        drop(piece.start, piece.nrBytes);
        put(piece.start, before);
        put(aligned + nrBytes, piece.nrBytes - before - nrBytes);
        return aligned;
      }
    }
    return -1;
  }

  /** Takes exactly these addresses. Returns whether they were free. */
  boolean takeAt(long start, long nrBytes) {
    Long length = byStart.get(start);
    if (length == null || length < nrBytes) {
      return false;
    }
    drop(start, length);
    put(start + nrBytes, length - nrBytes);
    return true;
  }
}
