package io.memcg4j.benchmarks;

import io.netty.buffer.AdaptiveByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.util.ResourceLeakDetector;
import io.netty.util.concurrent.FastThreadLocalThread;

/**
 * Netty's allocators, with direct buffers. The level of its leak detection is a property of the
 * fork.
 */
final class NettyPeer extends Peer {
  /** What the level is set by. */
  static final String LEVEL_PROPERTY = "io.netty.leakDetection.level";

  private static final int MAX_PARANOID_OBJECTS = 10_000;

  private final ByteBufAllocator allocator;

  NettyPeer(boolean adaptive) {
    allocator = adaptive ? new AdaptiveByteBufAllocator(true) : new PooledByteBufAllocator(true);
  }

  @Override
  int maxObjects() {
    return ResourceLeakDetector.getLevel() == ResourceLeakDetector.Level.PARANOID
        ? MAX_PARANOID_OBJECTS
        : Integer.MAX_VALUE;
  }

  /** As those of its event loops are: others have no caches. */
  @Override
  Thread thread(Runnable work) {
    return new FastThreadLocalThread(work);
  }

  @Override
  Worker worker(int tenant) {
    return new Buffers(allocator);
  }

  private static final class Buffers extends ObjectWorker<ByteBuf> {
    private final ByteBufAllocator allocator;

    Buffers(ByteBufAllocator allocator) {
      this.allocator = allocator;
    }

    @Override
    ByteBuf allocate(int size) {
      return allocator.directBuffer(size);
    }

    @Override
    ByteBuf allocateZeroed(int size) {
      ByteBuf buffer = allocator.directBuffer(size);
      buffer.setZero(0, size);
      return buffer;
    }

    @Override
    ByteBuf reallocate(ByteBuf buffer, int size) {
      return buffer.capacity(size);
    }

    @Override
    void free(ByteBuf buffer) {
      buffer.release();
    }

    @Override
    void write(ByteBuf buffer, int offset) {
      buffer.setByte(offset, 1);
    }

    @Override
    long look(ByteBuf buffer) {
      return buffer.capacity();
    }

    @Override
    public void close() {}
  }
}
