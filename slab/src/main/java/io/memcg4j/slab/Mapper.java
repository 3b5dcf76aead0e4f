package io.memcg4j.slab;

/** Where pages come from. The one of the product is {@link Mmap}; tests inject failures. */
interface Mapper {
  /**
   * Reserves address space without memory behind it.
   *
   * @param nrBytes multiple of the page size
   * @return the first address, aligned to a page; 0 on failure
   */
  long reserve(long nrBytes);

  /** Makes reserved pages usable; they read as zero. Returns false when the OS refuses. */
  boolean commit(long address, long nrBytes);

  /** Gives the memory behind committed pages back to the OS; they stay usable and read as zero. */
  void discard(long address, long nrBytes);

  /** Gives the whole reservation back. */
  void release(long address, long nrBytes);
}
