package io.memcg4j.leak;

import java.util.Arrays;

/** Blocks and roots outside the slabs at one moment, found by any address in them. */
final class RangeMap {
  /*
   * Layout     parallel arrays in the order of the addresses; no two ranges overlap.
   * Origin     a sorted array stands for kmemleak's tree of objects: such ranges are few.
   */
  static final RangeMap EMPTY = new RangeMap(new long[0], new long[0], new int[0], new long[0]);

  private final long[] starts;
  private final long[] ends;
  private final int[] minCounts;
  private final long[] births;

  private RangeMap(long[] starts, long[] ends, int[] minCounts, long[] births) {
    this.starts = starts;
    this.ends = ends;
    this.minCounts = minCounts;
    this.births = births;
  }

  int size() {
    return starts.length;
  }

  long start(int range) {
    return starts[range];
  }

  long end(int range) {
    return ends[range];
  }

  /** References that make a range gray: 0 for a root, -1 for one that is black. */
  int minCount(int range) {
    return minCounts[range];
  }

  /** The scan that was the last one when the range was registered. */
  long birth(int range) {
    return births[range];
  }

  /** The lowest address in a range; {@code Long.MAX_VALUE} if there is no range. */
  long min() {
    return starts.length == 0 ? Long.MAX_VALUE : starts[0];
  }

  /** The end of the highest range; 0 if there is no range. */
  long max() {
    return ends.length == 0 ? 0 : ends[ends.length - 1];
  }

  /** The range that an address lies in; -1 if none. */
  int find(long address) {
    int at = Arrays.binarySearch(starts, address);
    int range = at >= 0 ? at : -at - 2;
    return range >= 0 && address < ends[range] ? range : -1;
  }

  /** The first range that has an address of {@code [start, end)}; -1 if none. */
  int findOverlap(long start, long end) {
    int at = Arrays.binarySearch(starts, start);
    int range = at >= 0 ? at : Math.max(0, -at - 2);
    for (; range < starts.length && starts[range] < end; range++) {
      if (ends[range] > start) {
        return range;
      }
    }
    return -1;
  }

  RangeMap with(long start, long end, int minCount, long birth) {
    int at = -Arrays.binarySearch(starts, start) - 1;
    return new RangeMap(
        insert(starts, at, start),
        insert(ends, at, end),
        insert(minCounts, at, minCount),
        insert(births, at, birth));
  }

  RangeMap withMinCount(int range, int minCount) {
    int[] changed = minCounts.clone();
    changed[range] = minCount;
    return new RangeMap(starts, ends, changed, births);
  }

  RangeMap without(int range) {
    return new RangeMap(
        remove(starts, range),
        remove(ends, range),
        remove(minCounts, range),
        remove(births, range));
  }

  private static long[] insert(long[] array, int at, long value) {
    long[] longer = Arrays.copyOf(array, array.length + 1);
    System.arraycopy(array, at, longer, at + 1, array.length - at);
    longer[at] = value;
    return longer;
  }

  private static int[] insert(int[] array, int at, int value) {
    int[] longer = Arrays.copyOf(array, array.length + 1);
    System.arraycopy(array, at, longer, at + 1, array.length - at);
    longer[at] = value;
    return longer;
  }

  private static long[] remove(long[] array, int at) {
    long[] shorter = Arrays.copyOf(array, array.length - 1);
    System.arraycopy(array, at + 1, shorter, at, shorter.length - at);
    return shorter;
  }

  private static int[] remove(int[] array, int at) {
    int[] shorter = Arrays.copyOf(array, array.length - 1);
    System.arraycopy(array, at + 1, shorter, at, shorter.length - at);
    return shorter;
  }
}
