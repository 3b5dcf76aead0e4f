package io.memcg4j.leak;

import org.jspecify.annotations.Nullable;

/**
 * What a scan leaves for the next one: the checksums of what nobody referred to, and what was found
 * of blocks in the scans before. For one thread.
 *
 * @param sums of objects in slabs
 * @param blocks those that were found or reported, those whose contents must not count, and all
 *     outside the slabs that nobody referred to
 */
record Remembered(Checksums sums, IdTable<Suspect> blocks) {
  Remembered() {
    this(Checksums.NONE, new IdTable<>());
  }

  /** What is known of the block at an address; null if nothing is. */
  @Nullable Suspect get(long address) {
    Suspect block = blocks.get(address);
    return block == null && sums.contains(address)
        ? new Suspect(sums.sumAt(address), 0, false, sums.sinceNanos())
        : block;
  }

  /** Whether the contents of the block count as changed, whatever they are. */
  boolean isImmune(long address) {
    Suspect block = blocks.get(address);
    return block != null && block.nrUnreferenced() == Suspect.NO_CHECKSUM;
  }
}
