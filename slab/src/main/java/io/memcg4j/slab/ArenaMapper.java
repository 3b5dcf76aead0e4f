package io.memcg4j.slab;

import java.lang.foreign.Arena;
import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Pages from {@link Arena}, for systems whose calls we do not know.
 *
 * <p>An arena's memory is there from the start, all of it: so what is reserved is taken from the OS
 * at once, counts against the JVM's limit of direct memory, and goes back only when the allocator
 * is closed. No page can be made inaccessible. That is why the default range is small.
 */
final class ArenaMapper implements Mapper {
  private static final long DEFAULT_RANGE_BYTES = 1L << 28;

  private final ConcurrentHashMap<Long, Arena> reservations = new ConcurrentHashMap<>();

  @Override
  public long defaultRangeBytes() {
    return DEFAULT_RANGE_BYTES;
  }

  @Override
  public long reserve(long nrBytes) {
    Arena arena = Arena.ofShared();
    try {
      long address = arena.allocate(nrBytes, pageBytes()).address();
      reservations.put(address, arena);
      return address;
    } catch (OutOfMemoryError e) {
      arena.close(); // of direct memory, or of the OS: an answer here, not the end
      return 0;
    }
  }

  /** The pages read as zero: fresh ones do, and {@link #discard} sees to the others. */
  @Override
  public boolean commit(long address, long nrBytes) {
    return true;
  }

  @Override
  public void discard(long address, long nrBytes) {
    Mmap.MEMORY.asSlice(address, nrBytes).fill((byte) 0);
  }

  @Override
  public void release(long address, long nrBytes) {
    Arena arena = reservations.remove(address);
    if (arena == null) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "not a reservation: address=0x%x", address));
    }
    arena.close();
  }
}
