package io.memcg4j.netty;

import io.memcg4j.slab.Kmalloc;
import io.netty.util.internal.CleanableDirectBuffer;
import java.nio.ByteBuffer;

/** An allocated object as Netty wants to see memory that it may clean. */
final class SlabMemory implements CleanableDirectBuffer {
  private final Kmalloc kmalloc;
  private final long address;
  private final ByteBuffer buffer;

  private SlabMemory(Kmalloc kmalloc, long address, int nrBytes) {
    this.kmalloc = kmalloc;
    this.address = address;
    this.buffer = Kmalloc.MEMORY.asSlice(address, nrBytes).asByteBuffer();
  }

  static SlabMemory allocate(MemcgByteBufAllocator allocator, int nrBytes) {
    return new SlabMemory(allocator.kmalloc(), allocator.allocate(nrBytes), nrBytes);
  }

  @Override
  public ByteBuffer buffer() {
    return buffer;
  }

  @Override
  public void clean() {
    kmalloc.free(address);
  }

  @Override
  public boolean hasMemoryAddress() {
    return true;
  }

  @Override
  public long memoryAddress() {
    return address;
  }
}
