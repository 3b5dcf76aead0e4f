package io.memcg4j.leak;

import java.util.Arrays;
import java.util.List;

/** What the contents of unreferenced objects in slabs were, from one scan to the next. */
final class Checksums {
  /*
   * Layout     a row for each word of the bitmaps that has such objects, by ascending address of the
   *            word's first object; the sums of its objects are neighbours, in the order of the bits.
   *            4 bytes for an object and 24 for a row: an object of its own for each would be dearer to
   *            make than the checksum. The addresses stand in an array that this object refers to
   *            directly, so that it is told from a holder of references (HprofReader).
   * Invariant  bits[row] is not 0; firstSum[row] + bitCount(bits[row]) = firstSum[row + 1].
   */
  static final Checksums NONE =
      new Checksums(new long[0], new long[0], new int[0], new int[0], new int[0], 0);

  private final long[] starts;
  private final long[] bits;
  private final int[] objectBytes;
  private final int[] firstSum;
  private final int[] sums;
  private final long sinceNanos;

  private Checksums(
      long[] starts, long[] bits, int[] objectBytes, int[] firstSum, int[] sums, long sinceNanos) {
    this.starts = starts;
    this.bits = bits;
    this.objectBytes = objectBytes;
    this.firstSum = firstSum;
    this.sums = sums;
    this.sinceNanos = sinceNanos;
  }

  /**
   * All rows of some parts.
   *
   * @param parts by ascending address
   * @param sinceNanos when the scan began
   */
  static Checksums of(List<Part> parts, long sinceNanos) {
    int nrRows = parts.stream().mapToInt(part -> part.nrRows).sum();
    int nrSums = parts.stream().mapToInt(part -> part.nrSums).sum();
    Checksums all =
        new Checksums(
            new long[nrRows],
            new long[nrRows],
            new int[nrRows],
            new int[nrRows],
            new int[nrSums],
            sinceNanos);
    int row = 0;
    int sum = 0;
    for (Part part : parts) {
      System.arraycopy(part.starts, 0, all.starts, row, part.nrRows);
      System.arraycopy(part.bits, 0, all.bits, row, part.nrRows);
      System.arraycopy(part.objectBytes, 0, all.objectBytes, row, part.nrRows);
      System.arraycopy(part.sums, 0, all.sums, sum, part.nrSums);
      for (int i = 0; i < part.nrRows; i++) {
        all.firstSum[row + i] = sum + part.firstSum[i];
      }
      row += part.nrRows;
      sum += part.nrSums;
    }
    return all;
  }

  /** When the scan began that this is of: its objects existed already. */
  long sinceNanos() {
    return sinceNanos;
  }

  int nrObjects() {
    return sums.length;
  }

  /** The row of a word whose objects have the same size now; -1 if there is none. */
  int row(long start, long nrBytes) {
    int row = Arrays.binarySearch(starts, start);
    return row >= 0 && objectBytes[row] == (int) nrBytes ? row : -1;
  }

  /** Objects of a row. */
  long bits(int row) {
    return bits[row];
  }

  /** The sum of an object of a row. */
  int sum(int row, long bit) {
    return sums[firstSum[row] + Long.bitCount(bits[row] & (bit - 1))];
  }

  /** Finds the row and bit of an object by its address. */
  boolean contains(long address) {
    int row = rowOf(address);
    return row >= 0 && (bits[row] & bitOf(row, address)) != 0;
  }

  /** The sum of the object at an address that has one. */
  int sumAt(long address) {
    int row = rowOf(address);
    return sum(row, bitOf(row, address));
  }

  private int rowOf(long address) {
    int at = Arrays.binarySearch(starts, address);
    int row = at >= 0 ? at : -at - 2;
    return row >= 0 && address - starts[row] < (long) Long.SIZE * nrBytes(row) ? row : -1;
  }

  private long bitOf(int row, long address) {
    long offset = address - starts[row];
    return offset % nrBytes(row) == 0 ? 1L << (offset / nrBytes(row)) : 0;
  }

  private long nrBytes(int row) {
    return Integer.toUnsignedLong(objectBytes[row]);
  }

  /** Rows in the making, by one thread. */
  static final class Part {
    private static final int MIN_ROWS = 64;

    private long[] starts = new long[MIN_ROWS];
    private long[] bits = new long[MIN_ROWS];
    private int[] objectBytes = new int[MIN_ROWS];
    private int[] firstSum = new int[MIN_ROWS];
    private int[] sums = new int[MIN_ROWS];
    private int nrRows;
    private int nrSums;

    /** Begins a row; a sum for each of its bits must follow. */
    void addRow(long start, long nrBytes, long rowBits) {
      if (nrRows == starts.length) {
        starts = Arrays.copyOf(starts, nrRows * 2);
        bits = Arrays.copyOf(bits, nrRows * 2);
        objectBytes = Arrays.copyOf(objectBytes, nrRows * 2);
        firstSum = Arrays.copyOf(firstSum, nrRows * 2);
      }
      if (sums.length - nrSums < Long.SIZE) {
        sums = Arrays.copyOf(sums, nrSums * 2 + Long.SIZE);
      }
      starts[nrRows] = start;
      bits[nrRows] = rowBits;
      objectBytes[nrRows] = (int) nrBytes; // a size of 4 GiB and more: only its low bits
      firstSum[nrRows++] = nrSums;
    }

    void addSum(int sum) {
      sums[nrSums++] = sum;
    }
  }
}
