package io.memcg4j.slab;

/** A mapper whose memory runs out when {@link FaultInjection} says so. */
record FaultyMapper(Mapper pages, FaultInjection faults) implements Mapper {
  @Override
  public boolean commit(long address, long nrBytes) {
    if (faults.isOn() && faults.fails(FaultKind.PAGES, nrBytes)) {
      return false;
    }
    return pages.commit(address, nrBytes);
  }

  @Override
  public long defaultRangeBytes() {
    return pages.defaultRangeBytes();
  }

  @Override
  public long pageBytes() {
    return pages.pageBytes();
  }

  @Override
  public long reserve(long nrBytes) {
    return pages.reserve(nrBytes);
  }

  @Override
  public void discard(long address, long nrBytes) {
    pages.discard(address, nrBytes);
  }

  @Override
  public boolean tryDiscard(long address, long nrBytes) {
    return pages.tryDiscard(address, nrBytes);
  }

  @Override
  public boolean uncommit(long address, long nrBytes) {
    return pages.uncommit(address, nrBytes);
  }

  @Override
  public void release(long address, long nrBytes) {
    pages.release(address, nrBytes);
  }
}
