package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import io.netty.buffer.AdaptiveByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import java.util.List;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.memory.unsafe.Malloc;

/**
 * An allocator under test. Each measures in a process of its own, so that its loops are compiled
 * for it alone. A {@link Thread} takes one to itself; all of them share the peer's memory.
 */
abstract class Peer {
  static final String OURS = "memcg4j";
  static final String OURS_OFF = "memcg4j-off";
  static final String NETTY_ADAPTIVE = "netty-adaptive";
  static final String NETTY_POOLED = "netty-pooled";
  static final String ARROW_CHILD = "arrow-child";
  static final String MALLOC = "ffm-malloc";

  static final List<String> NAMES =
      List.of(OURS, OURS_OFF, NETTY_ADAPTIVE, NETTY_POOLED, ARROW_CHILD, MALLOC);

  /** What one thread does with a peer. */
  interface Worker extends AutoCloseable {
    /** An array that {@link #fill} can fill. */
    Object batch(int nrObjects);

    /** Allocates objects and keeps them. */
    void fill(Object batch, int size);

    /** Frees what {@link #fill} has put there, on whatever thread. */
    void free(Object batch);

    /** Writes a byte into each object. */
    void touch(Object batch);

    /** Allocates and frees one after the other. Returns something that depends on each. */
    long pairs(int count, int size);

    @Override
    void close();
  }

  /** A worker for the calling thread. */
  abstract Worker worker();

  static Peer of(String name) {
    return switch (name) {
      case OURS -> new Ours(true);
      case OURS_OFF -> new Ours(false);
      case NETTY_ADAPTIVE -> new Netty(new AdaptiveByteBufAllocator(true));
      case NETTY_POOLED -> new Netty(PooledByteBufAllocator.DEFAULT);
      case ARROW_CHILD -> new Arrow();
      case MALLOC -> new ByMalloc();
      default -> throw new IllegalArgumentException("unknown subject: name=" + name);
    };
  }

  /** Objects that are addresses. One kind is loaded in a fork, so its calls are compiled in. */
  private abstract static class AddressWorker implements Worker {
    abstract long allocate(int size);

    abstract void free(long address);

    @Override
    public Object batch(int nrObjects) {
      return new long[nrObjects];
    }

    @Override
    public void fill(Object batch, int size) {
      long[] addresses = (long[]) batch;
      for (int i = 0; i < addresses.length; i++) {
        addresses[i] = allocate(size);
      }
    }

    @Override
    public void free(Object batch) {
      for (long address : (long[]) batch) {
        free(address);
      }
    }

    @Override
    public void touch(Object batch) {
      for (long address : (long[]) batch) {
        Kmalloc.MEMORY.set(JAVA_BYTE, address, (byte) 1);
      }
    }

    @Override
    public long pairs(int count, int size) {
      long sum = 0;
      for (int i = 0; i < count; i++) {
        long address = allocate(size);
        sum += address;
        free(address);
      }
      return sum;
    }
  }

  private static final class Ours extends Peer {
    private final Kmalloc kmalloc;
    private final ObjCgroup tenant;

    Ours(boolean accounted) {
      MemCgroup root = MemCgroup.root();
      kmalloc = Kmalloc.builder(root).accounting(accounted).build();
      tenant = ObjCgroup.of(KmallocCase.userGroup(root, "tenant"));
    }

    @Override
    Worker worker() {
      Scope scope = tenant.enter();
      Kmalloc.Bound bound = kmalloc.bind(scope);
      return new AddressWorker() {
        @Override
        long allocate(int size) {
          return bound.allocate(size);
        }

        @Override
        void free(long address) {
          bound.free(address);
        }

        @Override
        public void close() {
          scope.close();
        }
      };
    }
  }

  private static final class Netty extends Peer {
    private final ByteBufAllocator allocator;

    Netty(ByteBufAllocator allocator) {
      this.allocator = allocator;
    }

    @Override
    Worker worker() {
      return new Worker() {
        @Override
        public Object batch(int nrObjects) {
          return new ByteBuf[nrObjects];
        }

        @Override
        public void fill(Object batch, int size) {
          ByteBuf[] buffers = (ByteBuf[]) batch;
          for (int i = 0; i < buffers.length; i++) {
            buffers[i] = allocator.directBuffer(size, size);
          }
        }

        @Override
        public void free(Object batch) {
          for (ByteBuf buffer : (ByteBuf[]) batch) {
            buffer.release();
          }
        }

        @Override
        public void touch(Object batch) {
          for (ByteBuf buffer : (ByteBuf[]) batch) {
            buffer.setByte(0, 1);
          }
        }

        @Override
        public long pairs(int count, int size) {
          long sum = 0;
          for (int i = 0; i < count; i++) {
            ByteBuf buffer = allocator.directBuffer(size, size);
            sum += buffer.capacity();
            buffer.release();
          }
          return sum;
        }

        @Override
        public void close() {}
      };
    }
  }

  private static final class Arrow extends Peer {
    private final BufferAllocator child =
        new RootAllocator(Long.MAX_VALUE).newChildAllocator("tenant", 0, 1L << 40);

    @Override
    Worker worker() {
      return new Worker() {
        @Override
        public Object batch(int nrObjects) {
          return new ArrowBuf[nrObjects];
        }

        @Override
        public void fill(Object batch, int size) {
          ArrowBuf[] buffers = (ArrowBuf[]) batch;
          for (int i = 0; i < buffers.length; i++) {
            buffers[i] = child.buffer(size);
          }
        }

        @Override
        public void free(Object batch) {
          for (ArrowBuf buffer : (ArrowBuf[]) batch) {
            buffer.close();
          }
        }

        @Override
        public void touch(Object batch) {
          for (ArrowBuf buffer : (ArrowBuf[]) batch) {
            Kmalloc.MEMORY.set(JAVA_BYTE, buffer.memoryAddress(), (byte) 1);
          }
        }

        @Override
        public long pairs(int count, int size) {
          long sum = 0;
          for (int i = 0; i < count; i++) {
            try (ArrowBuf buffer = child.buffer(size)) {
              sum += buffer.memoryAddress();
            }
          }
          return sum;
        }

        @Override
        public void close() {}
      };
    }
  }

  private static final class ByMalloc extends Peer {
    private static final Malloc LIBC = new Malloc();

    @Override
    Worker worker() {
      return new AddressWorker() {
        @Override
        long allocate(int size) {
          return LIBC.allocate(size);
        }

        @Override
        void free(long address) {
          LIBC.free(address);
        }

        @Override
        public void close() {}
      };
    }
  }
}
