package io.memcg4j.benchmarks;

import io.memcg4j.slab.Kmalloc;

/**
 * The loop of the microbenchmark, once per way to call the allocator. Each implementation repeats
 * the same two loops, so that the call in it is a direct one and each is compiled for itself.
 */
interface KmallocLoop {
  /** Bytes per object. */
  int SIZE = 64;

  /** Allocates one object per element. */
  void allocateAll(long[] addresses);

  /** Frees them in the same order. */
  void freeAll(long[] addresses);

  /** Through the allocator that is bound to the thread's scope. */
  final class Bound implements KmallocLoop {
    private final Kmalloc.Bound kmalloc;

    Bound(Kmalloc.Bound kmalloc) {
      this.kmalloc = kmalloc;
    }

    @Override
    public void allocateAll(long[] addresses) {
      Kmalloc.Bound allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        addresses[i] = allocator.allocate(SIZE);
      }
    }

    @Override
    public void freeAll(long[] addresses) {
      Kmalloc.Bound allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        allocator.free(addresses[i]);
      }
    }
  }

  /** Through the allocator itself, which finds the scope by the thread. */
  final class Static implements KmallocLoop {
    private final Kmalloc kmalloc;

    Static(Kmalloc kmalloc) {
      this.kmalloc = kmalloc;
    }

    @Override
    public void allocateAll(long[] addresses) {
      Kmalloc allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        addresses[i] = allocator.allocate(SIZE);
      }
    }

    @Override
    public void freeAll(long[] addresses) {
      Kmalloc allocator = kmalloc;
      for (int i = 0; i < addresses.length; i++) {
        allocator.free(addresses[i]);
      }
    }
  }
}
