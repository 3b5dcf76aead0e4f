package io.memcg4j.leak;

import io.memcg4j.slab.LiveBlock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Blocks and roots outside the slabs at one moment, found by any address in them. */
final class RangeMap {
  /*
   * Layout     parallel arrays in the order of the addresses; no two ranges overlap.
   * Origin     a sorted array stands for kmemleak's tree of objects: such ranges are few.
   */
  static final RangeMap EMPTY =
      new RangeMap(new long[0], new long[0], new int[0], new long[0], new @Nullable LiveBlock[0]);

  private final long[] starts;
  private final long[] ends;
  private final int[] minCounts;
  private final long[] births;
  private final @Nullable LiveBlock[] blocks;

  private RangeMap(
      long[] starts, long[] ends, int[] minCounts, long[] births, @Nullable LiveBlock[] blocks) {
    this.starts = starts;
    this.ends = ends;
    this.minCounts = minCounts;
    this.births = births;
    this.blocks = blocks;
  }

  /** A block outside the slabs, and the epoch in which it was first seen. */
  record Outside(LiveBlock block, long birth) {}

  /** With more blocks, in any order; those that overlap with one before are left out. */
  RangeMap with(List<Outside> more) {
    if (more.isEmpty()) {
      return this;
    }
    List<Outside> sorted = new ArrayList<>(more);
    sorted.sort(Comparator.comparingLong(one -> one.block().address()));
    int max = size() + sorted.size();
    RangeMap merged =
        new RangeMap(
            new long[max],
            new long[max],
            new int[max],
            new long[max],
            new @Nullable LiveBlock[max]);
    int to = 0;
    int from = 0;
    long end = 0;
    for (Outside one : sorted) {
      long start = one.block().address();
      for (; from < size() && starts[from] <= start; from++) {
        end = ends[from];
        merged.set(to++, starts[from], end, minCounts[from], births[from], blocks[from]);
      }
      long blockEnd = start + one.block().nrBytes();
      if (start >= end && (from == size() || blockEnd <= starts[from])) {
        end = blockEnd;
        merged.set(to++, start, end, 1, one.birth(), one.block());
      }
    }
    for (; from < size(); from++) {
      merged.set(to++, starts[from], ends[from], minCounts[from], births[from], blocks[from]);
    }
    return to == max
        ? merged
        : new RangeMap(
            Arrays.copyOf(merged.starts, to),
            Arrays.copyOf(merged.ends, to),
            Arrays.copyOf(merged.minCounts, to),
            Arrays.copyOf(merged.births, to),
            Arrays.copyOf(merged.blocks, to));
  }

  private void set(
      int at, long start, long end, int minCount, long birth, @Nullable LiveBlock block) {
    starts[at] = start;
    ends[at] = end;
    minCounts[at] = minCount;
    births[at] = birth;
    blocks[at] = block;
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

  /** What the allocator says of it; null if the range was registered. */
  @Nullable LiveBlock block(int range) {
    return blocks[range];
  }

  /** Copies of its contents. */
  int nrCopies(int range) {
    LiveBlock block = blocks[range];
    return block == null ? 1 : block.nrCopies();
  }

  /** Bytes from a copy of the contents to the next one. */
  long copyStride(int range) {
    LiveBlock block = blocks[range];
    return block == null ? 0 : block.copyStride();
  }

  /** The epoch in which the range was registered or first seen: it is older than the next one. */
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
        insert(births, at, birth),
        insertNull(blocks, at));
  }

  RangeMap without(int range) {
    return new RangeMap(
        remove(starts, range),
        remove(ends, range),
        remove(minCounts, range),
        remove(births, range),
        remove(blocks, range));
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

  private static @Nullable LiveBlock[] insertNull(@Nullable LiveBlock[] array, int at) {
    @Nullable LiveBlock[] longer = Arrays.copyOf(array, array.length + 1);
    System.arraycopy(array, at, longer, at + 1, array.length - at);
    longer[at] = null;
    return longer;
  }

  private static @Nullable LiveBlock[] remove(@Nullable LiveBlock[] array, int at) {
    @Nullable LiveBlock[] shorter = Arrays.copyOf(array, array.length - 1);
    System.arraycopy(array, at + 1, shorter, at, shorter.length - at);
    return shorter;
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
