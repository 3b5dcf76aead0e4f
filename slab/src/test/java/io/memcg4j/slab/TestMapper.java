package io.memcg4j.slab;

import java.util.concurrent.atomic.AtomicLong;

/** The pages of the OS, refused on demand and counted. */
final class TestMapper implements Mapper {
  private final Mapper os = new Mmap();
  private final AtomicLong nrRefusals = new AtomicLong();
  private final AtomicLong committedBytes = new AtomicLong();
  private final AtomicLong releasedBytes = new AtomicLong();
  private volatile boolean refusing;

  /** From now on no fresh memory, or all that is asked for. */
  void refuse(boolean on) {
    refusing = on;
  }

  long nrRefusals() {
    return nrRefusals.get();
  }

  /** Address space that was made usable. */
  long committedBytes() {
    return committedBytes.get();
  }

  /** Address space that was given back whole. */
  long releasedBytes() {
    return releasedBytes.get();
  }

  @Override
  public long pageBytes() {
    return os.pageBytes();
  }

  @Override
  public long reserve(long nrBytes) {
    return os.reserve(nrBytes);
  }

  @Override
  public boolean commit(long address, long nrBytes) {
    if (refusing) {
      nrRefusals.incrementAndGet();
      return false;
    }
    committedBytes.addAndGet(nrBytes);
    return os.commit(address, nrBytes);
  }

  @Override
  public void discard(long address, long nrBytes) {
    os.discard(address, nrBytes);
  }

  @Override
  public boolean tryDiscard(long address, long nrBytes) {
    return os.tryDiscard(address, nrBytes);
  }

  @Override
  public boolean uncommit(long address, long nrBytes) {
    return os.uncommit(address, nrBytes);
  }

  @Override
  public void release(long address, long nrBytes) {
    releasedBytes.addAndGet(nrBytes);
    os.release(address, nrBytes);
  }
}
