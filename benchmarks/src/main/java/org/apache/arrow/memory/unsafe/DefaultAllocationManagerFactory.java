package org.apache.arrow.memory.unsafe;

import org.apache.arrow.memory.AllocationManager;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.ReferenceManager;

/**
 * What Arrow looks for by this name when its allocators are first used. There is no memory behind
 * it: {@code bench tenants} measures the accounting alone, which needs no Unsafe then.
 */
public final class DefaultAllocationManagerFactory implements AllocationManager.Factory {
  /** The only instance. Arrow reads it by reflection. */
  public static final AllocationManager.Factory FACTORY = new DefaultAllocationManagerFactory();

  private DefaultAllocationManagerFactory() {}

  @Override
  public AllocationManager create(BufferAllocator accountingAllocator, long size) {
    throw new UnsupportedOperationException("accounting only: size=" + size);
  }

  @Override
  public ArrowBuf empty() {
    return new ArrowBuf(ReferenceManager.NO_OP, null, 0, 0);
  }
}
