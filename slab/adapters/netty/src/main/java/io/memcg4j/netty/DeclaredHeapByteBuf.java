package io.memcg4j.netty;

import io.netty.buffer.UnpooledHeapByteBuf;

/** A heap buffer whose array is declared to the group for as long as the buffer has it. */
final class DeclaredHeapByteBuf extends UnpooledHeapByteBuf {
  DeclaredHeapByteBuf(MemcgByteBufAllocator allocator, int initialCapacity, int maxCapacity) {
    super(allocator, initialCapacity, maxCapacity);
  }

  /** Called by the constructor of the superclass too, which has set {@link #alloc} by then. */
  @Override
  protected byte[] allocateArray(int capacity) {
    allocator().declareHeap(capacity);
    boolean made = false;
    try {
      byte[] array = super.allocateArray(capacity);
      made = true;
      return array;
    } finally {
      if (!made) {
        allocator().undeclareHeap(capacity);
      }
    }
  }

  @Override
  protected void freeArray(byte[] array) {
    super.freeArray(array);
    allocator().undeclareHeap(array.length);
  }

  private MemcgByteBufAllocator allocator() {
    return (MemcgByteBufAllocator) alloc();
  }
}
