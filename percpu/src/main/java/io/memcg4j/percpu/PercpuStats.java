package io.memcg4j.percpu;

import java.util.List;
import java.util.Locale;

/**
 * What a {@link PercpuAllocator} holds. Of one moment for each chunk; bytes and pages are those of
 * one unit unless the name says otherwise.
 *
 * <p>Origin: {@code percpu_stats} of Linux; {@code static} and {@code reserved} memory have no
 * counterpart here.
 *
 * @param unitSize bytes of a unit of a chunk
 * @param nrUnits units of a chunk: the number of slots
 * @param nrAlloc allocations so far
 * @param nrDealloc frees so far
 * @param nrCurAlloc live objects
 * @param nrMaxAlloc the most objects that were live at one time
 * @param nrFailed requests that were charged, but for which there was no memory
 * @param curBytes sizes of the live objects
 * @param nrChunks chunks
 * @param nrMaxChunks the most chunks at one time
 * @param minAllocSize the smallest size so far, rounded up to 4; 0 before the first
 * @param maxAllocSize the largest size so far
 * @param emptyPopPages pages without objects that may have memory behind them
 * @param popPages pages that may have memory behind them
 * @param mappedBytes {@code popPages} of all units, in bytes: the most that can be resident
 * @param depopulatedPages pages given back to the OS so far
 * @param chunks the chunks, by index
 */
public record PercpuStats(
    int unitSize,
    int nrUnits,
    long nrAlloc,
    long nrDealloc,
    long nrCurAlloc,
    long nrMaxAlloc,
    long nrFailed,
    long curBytes,
    int nrChunks,
    int nrMaxChunks,
    int minAllocSize,
    int maxAllocSize,
    int emptyPopPages,
    int popPages,
    long mappedBytes,
    long depopulatedPages,
    List<Chunk> chunks) {
  /** Takes a copy of the list. */
  public PercpuStats {
    chunks = List.copyOf(chunks);
  }

  /**
   * What one chunk holds.
   *
   * @param index its place in the address space
   * @param nrAlloc live objects
   * @param freeBytes bytes that no object has
   * @param contigBytes the longest run of them
   * @param sumFrag free bytes before the last object
   * @param maxFrag the longest run of those
   * @param popPages pages that may have memory behind them
   * @param emptyPopPages those without objects
   * @param curMinAlloc the smallest live object; 0 if there is none
   * @param curMedAlloc the median
   * @param curMaxAlloc the largest
   * @param isolated whether its empty pages were taken from it, or are about to be
   */
  public record Chunk(
      int index,
      int nrAlloc,
      int freeBytes,
      int contigBytes,
      int sumFrag,
      int maxFrag,
      int popPages,
      int emptyPopPages,
      int curMinAlloc,
      int curMedAlloc,
      int curMaxAlloc,
      boolean isolated) {
    private String format() {
      return String.format(
          Locale.ROOT,
          "Chunk: %d%s%n"
              + "  nr_alloc %d%n  free_bytes %d%n  contig_bytes %d%n  sum_frag %d%n"
              + "  max_frag %d%n  pop_pages %d%n  empty_pop_pages %d%n"
              + "  cur_min_alloc %d%n  cur_med_alloc %d%n  cur_max_alloc %d%n",
          index,
          isolated ? " isolated" : "",
          nrAlloc,
          freeBytes,
          contigBytes,
          sumFrag,
          maxFrag,
          popPages,
          emptyPopPages,
          curMinAlloc,
          curMedAlloc,
          curMaxAlloc);
    }
  }

  /**
   * The figures as text.
   *
   * @return one {@code key value} line each, then those of each chunk
   */
  public String format() {
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "unit_size %d%nnr_units %d%nnr_alloc %d%nnr_dealloc %d%nnr_cur_alloc %d%n"
                    + "nr_max_alloc %d%nnr_failed %d%ncur_bytes %d%nnr_chunks %d%n"
                    + "nr_max_chunks %d%nmin_alloc_size %d%nmax_alloc_size %d%n"
                    + "empty_pop_pages %d%npop_pages %d%nmapped_bytes %d%ndepopulated_pages %d%n",
                unitSize,
                nrUnits,
                nrAlloc,
                nrDealloc,
                nrCurAlloc,
                nrMaxAlloc,
                nrFailed,
                curBytes,
                nrChunks,
                nrMaxChunks,
                minAllocSize,
                maxAllocSize,
                emptyPopPages,
                popPages,
                mappedBytes,
                depopulatedPages));
    chunks.forEach(chunk -> text.append(chunk.format()));
    return text.toString();
  }
}
