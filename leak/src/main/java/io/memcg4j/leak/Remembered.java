package io.memcg4j.leak;

import org.jspecify.annotations.Nullable;

/**
 * What a scan leaves for the next one: the checksums of what nobody referred to, and what was found
 * of blocks in the scans before. A block is the one that is remembered if it is old in the epoch.
 * For one thread.
 *
 * @param sums of objects in slabs
 * @param blocks those that were found or reported, those whose contents must not count, and all
 *     outside the slabs that nobody referred to
 * @param epoch the one that began after what is remembered was seen as allocated; 0 if nothing is
 *     remembered
 * @param epochNanos when that epoch had begun
 */
record Remembered(Checksums sums, IdTable<Suspect> blocks, int epoch, long epochNanos) {
  /** Nothing. */
  static Remembered nothing() {
    return new Remembered(Checksums.NONE, new IdTable<>(), 0, 0);
  }

  /**
   * What stays if the scan that begins an epoch is cancelled: which blocks have been reported.
   *
   * @param map as it was just before the epoch began
   * @param ranges likewise
   */
  Remembered intoNext(HeapMap map, RangeMap ranges, int nextEpoch, long nextEpochNanos) {
    IdTable<Suspect> kept = new IdTable<>();
    blocks.forEach((address, block) -> {
      if (block.isReported() && isThere(address, map, ranges)) {
        kept.put(address, block.withoutChecksum());
      }
    });
    return new Remembered(Checksums.NONE, kept, nextEpoch, nextEpochNanos);
  }

  /** Whether the block at an address is the one that is remembered. */
  boolean isThere(long address, HeapMap map, RangeMap ranges) {
    if (map.findSlab(address) >= 0) {
      return map.isOld(address);
    }
    int range = ranges.find(address);
    return range >= 0 && ranges.start(range) == address && isOld(ranges, range);
  }

  /** Whether a range is older than the epoch. */
  boolean isOld(RangeMap ranges, int range) {
    return ranges.birth(range) < epoch;
  }

  /** What is known of the block at an address; null if nothing is. */
  @Nullable Suspect get(long address) {
    Suspect block = blocks.get(address);
    return block == null && sums.contains(address)
        ? new Suspect(sums.sumAt(address), 0, false, sums.sinceNanos())
        : block;
  }

  /**
   * Whether an old block of unchanged contents may be found.
   *
   * @param isAged whether the epoch has lasted for the minimum age; else only what was found before
   *     has it
   */
  boolean mayBeFound(long address, boolean isAged) {
    Suspect block = blocks.get(address);
    return block == null ? isAged : block.mayBeFound(isAged);
  }
}
