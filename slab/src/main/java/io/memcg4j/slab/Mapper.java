package io.memcg4j.slab;

import java.util.Locale;

/**
 * Where pages come from: {@link Mmap} on Linux, {@link ArenaMapper} elsewhere; tests inject
 * failures.
 */
interface Mapper {
  /** System property that chooses: {@code mmap}, {@code arena}, or by the system if absent. */
  String PROPERTY = "memcg4j.mapper";

  /**
   * The mapper of this system, or the one that the system property names.
   *
   * @throws IllegalArgumentException if the property names none
   * @throws IllegalStateException if it names one that this system does not have
   */
  static Mapper ofThisSystem() {
    return of(System.getProperty(PROPERTY, ""), System.getProperty("os.name", ""));
  }

  /** As {@link #ofThisSystem} for a value of the property and a name of a system. */
  static Mapper of(String choice, String os) {
    return switch (choice) {
      case "" -> os.equals("Linux") ? new Mmap() : new ArenaMapper();
      case "mmap" -> new Mmap();
      case "arena" -> new ArenaMapper();
      default ->
          throw new IllegalArgumentException(
              String.format(
                  Locale.ROOT, "unknown mapper: %s=%s legal=mmap,arena", PROPERTY, choice));
    };
  }

  /** Address space that an allocator takes if it is not told otherwise. */
  default long defaultRangeBytes() {
    return 1L << 38;
  }

  /** Bytes of a page of the OS, a power of two: what all lengths below are multiples of. */
  default long pageBytes() {
    return 4096;
  }

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

  /**
   * As {@link #discard} for a stretch that may have pages in it that are not committed, where that
   * can be done in one go. Returns false, with nothing done, where it cannot.
   */
  default boolean tryDiscard(long address, long nrBytes) {
    return false;
  }

  /**
   * Undoes {@link #commit}: gives the memory back and makes the pages inaccessible, where this
   * mapper can. Pages in between may be inaccessible already. Returns false when the OS refuses.
   */
  default boolean uncommit(long address, long nrBytes) {
    discard(address, nrBytes);
    return true;
  }

  /** Gives the whole reservation back. */
  void release(long address, long nrBytes);
}
