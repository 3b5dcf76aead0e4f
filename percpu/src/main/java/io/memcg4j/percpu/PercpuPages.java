package io.memcg4j.percpu;

import java.lang.foreign.MemorySegment;

/**
 * Where a {@link PercpuAllocator} gets its pages. Called with no lock held that an allocation or a
 * free that finds room needs; never by two threads at once for one allocator.
 */
public interface PercpuPages {
  /**
   * Reserves address space without memory behind it.
   *
   * @param nrBytes multiple of the page size
   * @return the first address, aligned to a page; 0 on failure
   */
  long reserve(long nrBytes);

  /**
   * Makes reserved pages usable; they read as zero.
   *
   * @param address multiple of the page size
   * @param nrBytes multiple of the page size
   * @return false if the OS refuses
   */
  boolean commit(long address, long nrBytes);

  /**
   * Gives the memory behind committed pages back to the OS; they stay usable and read as zero.
   *
   * @param address multiple of the page size
   * @param nrBytes multiple of the page size
   */
  void discard(long address, long nrBytes);

  /**
   * Gives the whole reservation back.
   *
   * @param address what {@link #reserve} returned
   * @param nrBytes what was reserved
   */
  void release(long address, long nrBytes);

  /**
   * All memory of the process, by address.
   *
   * @return a segment that begins at address 0
   */
  MemorySegment memory();
}
