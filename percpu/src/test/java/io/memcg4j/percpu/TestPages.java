package io.memcg4j.percpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Memory of an arena, refused on demand and counted. */
final class TestPages implements PercpuPages {
  @SuppressWarnings("restricted")
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private @Nullable Arena arena;
  volatile boolean refuseReserve;
  volatile boolean refuseCommit;
  volatile @Nullable RuntimeException throwOnCommit;
  long maxReserveBytes = Long.MAX_VALUE;
  long base;
  long rangeBytes;
  volatile long committedBytes;
  volatile long discardedBytes;
  volatile int nrDiscards;

  @Override
  public long reserve(long nrBytes) {
    if (refuseReserve || nrBytes > maxReserveBytes) {
      return 0;
    }
    arena = Arena.ofShared();
    base = arena.allocate(nrBytes, PercpuChunk.PAGE_SIZE).address();
    rangeBytes = nrBytes;
    return base;
  }

  @Override
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread at a time, by contract
  public boolean commit(long address, long nrBytes) {
    RuntimeException failure = throwOnCommit;
    if (failure != null) {
      throw failure;
    }
    if (refuseCommit) {
      return false;
    }
    checkRange(address, nrBytes);
    committedBytes += nrBytes;
    return true;
  }

  @Override
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread at a time, by contract
  public void discard(long address, long nrBytes) {
    checkRange(address, nrBytes);
    discardedBytes += nrBytes;
    nrDiscards++;
    MEMORY.asSlice(address, nrBytes).fill((byte) 0);
  }

  private void checkRange(long address, long nrBytes) {
    if (address < base
        || address + nrBytes > base + rangeBytes
        || ((address | nrBytes) & (PercpuChunk.PAGE_SIZE - 1)) != 0) {
      throw new AssertionError("outside the range: address=" + address + " nrBytes=" + nrBytes);
    }
  }

  @Override
  public void release(long address, long nrBytes) {
    if (address != base || nrBytes != rangeBytes || arena == null) {
      throw new AssertionError("not what was reserved: address=" + address);
    }
    arena.close();
    arena = null;
  }

  boolean isReleased() {
    return arena == null;
  }

  @Override
  public MemorySegment memory() {
    return MEMORY;
  }
}
