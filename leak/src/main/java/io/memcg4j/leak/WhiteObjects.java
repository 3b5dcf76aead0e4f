package io.memcg4j.leak;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * A look at what marking has left white in some slabs: what is old and of the contents of the last
 * scan is suspect, all else becomes gray. One thread.
 */
final class WhiteObjects implements Runnable {
  /*
   * Locks      none: the slabs of a stretch are 64 by 64, so that no word of a map of slabs belongs to
   *            two of them.
   * Cost       neighbours are copied at once and summed from the copy: a call for a segment of an object
   *            costs more than its bytes.
   */
  private static final int SLABS = Long.SIZE;
  private static final int COPY_BYTES = 1 << 16;

  private final Marker marker;
  private final Pace pace;
  private final Remembered before;
  private final boolean isAged;
  private final int firstSlab;
  private final int endSlab;

  private final CRC32C crc = new CRC32C();
  private final byte[] copy = new byte[COPY_BYTES];
  private final MemorySegment copySegment = MemorySegment.ofArray(copy);

  private long sinceNanos;

  final Checksums.Part sums = new Checksums.Part();
  final List<Scan.Found> suspects = new ArrayList<>();

  private WhiteObjects(
      Marker marker, Pace pace, Remembered before, boolean isAged, int firstSlab, int endSlab) {
    this.marker = marker;
    this.pace = pace;
    this.before = before;
    this.isAged = isAged;
    this.firstSlab = firstSlab;
    this.endSlab = endSlab;
  }

  /** All slabs in so many stretches, by ascending address. */
  static List<WhiteObjects> stretches(
      Marker marker, Pace pace, Remembered before, boolean isAged, int nrStretches) {
    int nrSlabs = marker.map.nrSlabs();
    int nrGroups = (nrSlabs + SLABS - 1) / SLABS;
    List<WhiteObjects> stretches = new ArrayList<>();
    for (int i = 0; i < nrStretches; i++) {
      int from = (int) ((long) nrGroups * i / nrStretches) * SLABS;
      int end = Math.min(nrSlabs, (int) ((long) nrGroups * (i + 1) / nrStretches) * SLABS);
      stretches.add(new WhiteObjects(marker, pace, before, isAged, from, end));
    }
    return stretches;
  }

  @Override
  public void run() {
    sinceNanos = System.nanoTime();
    for (int slab = firstSlab; slab < endSlab; slab++) {
      sinceNanos = pace.rest(sinceNanos);
      int word = marker.map.firstWord(slab);
      for (int end = word + marker.map.nrWords[slab]; word < end; word++) {
        long white = marker.white(slab, word);
        if (white != 0) {
          look(slab, word, white);
        }
      }
    }
  }

  private void look(int slab, int word, long white) {
    HeapMap map = marker.map;
    long nrBytes = map.objectBytes[slab];
    long start = map.address(slab, word, 0);
    long old = map.old[word];
    int row = old == 0 ? -1 : before.sums().row(start, nrBytes);
    long known = row < 0 ? 0 : before.sums().bits(row) & old;
    long gray = white;
    sums.addRow(start, nrBytes, white);
    for (long bits = white; bits != 0; ) {
      int first = Long.numberOfTrailingZeros(bits);
      int count = copyRun(start + first * nrBytes, nrBytes, bits >>> first);
      for (int i = 0; i < count; i++) {
        long address = start + (first + i) * nrBytes;
        long bit = 1L << (first + i);
        int sum =
            nrBytes <= COPY_BYTES ? sum(i * (int) nrBytes, (int) nrBytes) : sum(address, nrBytes);
        sums.addSum(sum);
        if ((known & bit) != 0
            && before.sums().sum(row, bit) == sum
            && before.mayBeFound(address, isAged)) {
          suspects.add(new Scan.Found(address, nrBytes, slab, word, sum));
          gray &= ~bit;
        }
        bits &= bits - 1;
      }
    }
    if (gray != 0) {
      marker.grayObjects(slab, word, gray);
    }
  }

  /**
   * Copies the first of some neighbours and those that follow, as far as they fit; at least one.
   */
  private int copyRun(long address, long nrBytes, long neighbours) {
    if (nrBytes > COPY_BYTES) {
      return 1;
    }
    int count = Math.min(Long.numberOfTrailingZeros(~neighbours), COPY_BYTES / (int) nrBytes);
    MemorySegment.copy(Memory.ALL, address, copySegment, 0, count * nrBytes);
    return count;
  }

  private int sum(int offset, int nrBytes) {
    crc.reset();
    crc.update(copy, offset, nrBytes);
    return (int) crc.getValue();
  }

  private int sum(long address, long nrBytes) {
    crc.reset();
    for (long done = 0; done < nrBytes; done += COPY_BYTES) {
      int piece = (int) Math.min(COPY_BYTES, nrBytes - done);
      MemorySegment.copy(Memory.ALL, address + done, copySegment, 0, piece);
      crc.update(copy, 0, piece);
      sinceNanos = pace.rest(sinceNanos);
    }
    return (int) crc.getValue();
  }
}
