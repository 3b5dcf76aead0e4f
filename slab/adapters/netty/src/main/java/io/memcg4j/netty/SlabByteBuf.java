package io.memcg4j.netty;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledDirectByteBuf;
import io.netty.util.internal.CleanableDirectBuffer;
import org.jspecify.annotations.Nullable;

/** A direct buffer in an object of the allocator, another object after each change of capacity. */
final class SlabByteBuf extends UnpooledDirectByteBuf {
  private final MemcgByteBufAllocator allocator;

  /** The memory that it began with, which the superclass takes for somebody else's. */
  private @Nullable SlabMemory first;

  /** Memory for the change of capacity that is under way. */
  private @Nullable SlabMemory next;

  SlabByteBuf(MemcgByteBufAllocator allocator, SlabMemory memory, int maxCapacity) {
    super(allocator, memory.buffer(), maxCapacity);
    this.allocator = allocator;
    this.first = memory;
    clear(); // a wrapped buffer counts as written
  }

  /** Takes the memory before anything is changed, so that a refusal changes nothing. */
  @Override
  public ByteBuf capacity(int newCapacity) {
    checkNewCapacity(newCapacity);
    if (newCapacity == capacity()) {
      return this;
    }
    next = SlabMemory.allocate(allocator, newCapacity);
    try {
      super.capacity(newCapacity);
    } finally {
      if (next != null) {
        next.clean();
        next = null;
      }
    }
    cleanFirst();
    return this;
  }

  @Override
  protected CleanableDirectBuffer allocateDirectBuffer(int capacity) {
    SlabMemory memory = next;
    if (memory == null || memory.buffer().capacity() != capacity) {
      throw new IllegalStateException("unexpected allocation: nrBytes=" + capacity);
    }
    next = null;
    return memory;
  }

  @Override
  protected void deallocate() {
    super.deallocate();
    cleanFirst();
  }

  private void cleanFirst() {
    SlabMemory memory = first;
    if (memory != null) {
      first = null;
      memory.clean();
    }
  }
}
