package org.apache.arrow.memory.unsafe;

import org.apache.arrow.memory.AllocationManager;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.ReferenceManager;

/**
 * What Arrow looks for by this name when its allocators are first used: memory from {@code malloc}
 * through the foreign function interface, as Arrow's own managers need Unsafe or old Netty.
 */
public final class DefaultAllocationManagerFactory implements AllocationManager.Factory {
  /** The only instance. Arrow reads it by reflection. */
  public static final AllocationManager.Factory FACTORY = new DefaultAllocationManagerFactory();

  private static final Malloc MALLOC = new Malloc();

  private DefaultAllocationManagerFactory() {}

  @Override
  public AllocationManager create(BufferAllocator accountingAllocator, long size) {
    return new Manager(accountingAllocator, MALLOC.allocate(size), size);
  }

  @Override
  public ArrowBuf empty() {
    return new ArrowBuf(ReferenceManager.NO_OP, null, 0, 0);
  }

  private static final class Manager extends AllocationManager {
    private final long address;
    private final long size;

    Manager(BufferAllocator accountingAllocator, long address, long size) {
      super(accountingAllocator);
      this.address = address;
      this.size = size;
    }

    @Override
    public long getSize() {
      return size;
    }

    @Override
    protected long memoryAddress() {
      return address;
    }

    @Override
    protected void release0() {
      MALLOC.free(address);
    }
  }
}
