package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.memcg4j.slab.Kmalloc;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.OutOfMemoryException;
import org.apache.arrow.memory.RootAllocator;

/** Arrow's accounting over {@code malloc}. Its debug mode is a property of the fork. */
final class ArrowPeer extends Peer {
  /** What switches its debug mode on. */
  static final String DEBUG_PROPERTY = "arrow.memory.debug.allocator";

  private static final long CHILD_BYTES = 1L << 40;
  private static final int MAX_DEBUG_OBJECTS = 5_000;

  private final BufferAllocator root = new RootAllocator(Long.MAX_VALUE);
  private final BufferAllocator[] tenants = new BufferAllocator[NR_TENANTS];

  /** With a child for each tenant, or the root for all. */
  ArrowPeer(boolean children) {
    for (int i = 0; i < NR_TENANTS; i++) {
      tenants[i] = children ? root.newChildAllocator("tenant" + i, 0, CHILD_BYTES) : root;
    }
  }

  @Override
  int maxObjects() {
    return Boolean.getBoolean(DEBUG_PROPERTY) ? MAX_DEBUG_OBJECTS : Integer.MAX_VALUE;
  }

  @Override
  Worker worker(int tenant) {
    return new Buffers(tenants[tenant]);
  }

  @Override
  Limited limited(long maxBytes) {
    BufferAllocator tenant = root.newChildAllocator("limited", 0, maxBytes);
    Buffers worker = new Buffers(tenant);
    return new Limited() {
      private final List<ArrowBuf> held = new ArrayList<>();

      @Override
      public void fillTo(int percent, int size) {
        long share = maxBytes * percent / 100;
        while (tenant.getAllocatedMemory() < share) {
          held.add(worker.allocate(size));
        }
      }

      @Override
      public long pairs(int count, int size) {
        return worker.pairs(count, size);
      }

      @Override
      public int refusals(int count, long size) {
        int nrRefused = 0;
        for (int i = 0; i < count; i++) {
          try {
            tenant.buffer(size).close();
          } catch (OutOfMemoryException e) {
            nrRefused++;
          }
        }
        return nrRefused;
      }

      @Override
      public void close() {
        held.forEach(ArrowBuf::close);
        tenant.close();
      }
    };
  }

  private static final class Buffers extends ObjectWorker<ArrowBuf> {
    private final BufferAllocator allocator;

    Buffers(BufferAllocator allocator) {
      this.allocator = allocator;
    }

    @Override
    ArrowBuf allocate(int size) {
      return allocator.buffer(size);
    }

    @Override
    void free(ArrowBuf buffer) {
      buffer.close();
    }

    /** Not by the buffer: that needs Unsafe. */
    @Override
    void write(ArrowBuf buffer, int offset) {
      Kmalloc.MEMORY.set(JAVA_BYTE, buffer.memoryAddress() + offset, (byte) 1);
    }

    @Override
    long look(ArrowBuf buffer) {
      return buffer.memoryAddress();
    }

    @Override
    public void close() {}
  }
}
