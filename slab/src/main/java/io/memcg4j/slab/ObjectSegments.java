package io.memcg4j.slab;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/**
 * Objects of a {@link Kmalloc} for library calls that want a {@link SegmentAllocator}: zeroed,
 * aligned as asked for, charged to the scope of the calling thread as those of {@link
 * Kmalloc#allocate}, each to be freed by {@link Kmalloc#free(MemorySegment)}. Any thread.
 */
public final class ObjectSegments implements SegmentAllocator {
  private final Kmalloc kmalloc;

  /**
   * A view of an allocator.
   *
   * @param kmalloc where the objects come from
   */
  public ObjectSegments(Kmalloc kmalloc) {
    this.kmalloc = kmalloc;
  }

  /**
   * Allocates an object.
   *
   * @param byteSize 0 to the size of the range
   * @param byteAlignment power of two, up to the size of the range
   * @return a segment of {@code byteSize}, which knows nothing of the object's life
   * @throws io.memcg4j.memcg.MemoryLimitException if a limit, or the OS, refuses
   * @throws IllegalArgumentException if the size or the alignment is out of range
   */
  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    long address = kmalloc.allocateAligned(byteSize, byteAlignment);
    SlabAllocator.zero(address, byteSize);
    return Kmalloc.MEMORY.asSlice(address, byteSize);
  }
}
