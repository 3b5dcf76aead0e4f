package io.memcg4j.soak;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.Vmalloc;
import java.lang.invoke.VarHandle;
import java.util.function.LongConsumer;
import java.util.function.LongUnaryOperator;

/**
 * Blocks that live as long as a test and never change; who moves the pointers to them is a {@link
 * ChurnMover}. For one thread at a time.
 */
final class ChurnBlocks {
  /*
   * Layout     each word of a block is the block's number: too small to be an address. A pointer points
   *            to any of its bytes, and its block is aligned to its size.
   * Invariant  the only addresses in the Java heap are complements.
   */
  private static final int NR_BYTES = 64;
  private static final VarHandle WORD = JAVA_LONG.varHandle();

  /** Where memory comes from: slabs or areas. */
  record Heap(LongUnaryOperator allocating, LongConsumer freeing) {
    static Heap slabs(Kmalloc kmalloc) {
      return new Heap(kmalloc::allocate, kmalloc::free);
    }

    static Heap areas(Kmalloc kmalloc) {
      Vmalloc vmalloc = kmalloc.vmalloc();
      return new Heap(vmalloc::allocate, vmalloc::free);
    }

    /** Zeroed up to its last byte, so that it holds no pointer of whoever had it before. */
    long allocate(int nrWords) {
      long address = allocating.applyAsLong((long) nrWords * Long.BYTES);
      clear(address, nrWords);
      return address;
    }

    void clearAndFree(long address, int nrWords) {
      clear(address, nrWords);
      free(address);
    }

    void free(long address) {
      freeing.accept(address);
    }
  }

  private final Heap heap;
  private final long[] complements;
  private int nrFreed;

  ChurnBlocks(Heap heap, int nrBlocks) {
    this.heap = heap;
    complements = new long[nrBlocks];
    for (int number = 0; number < nrBlocks; number++) {
      long block = heap.allocate(NR_BYTES / Long.BYTES);
      for (int word = 0; word < NR_BYTES / Long.BYTES; word++) {
        put(block + word * 8L, number);
      }
      complements[number] = ~block;
    }
  }

  int size() {
    return complements.length;
  }

  /** A pointer to a block. */
  long pointer(int number) {
    return ~complements[number] + number % NR_BYTES;
  }

  /** Frees the block that a pointer points to, once its contents are seen to be what they were. */
  void free(long pointer) {
    long block = pointer & -NR_BYTES;
    long number = get(block);
    SoakChecks.contents("churn", number, number, get(block + NR_BYTES - Long.BYTES));
    SoakChecks.require(block == ~complements[(int) number], "no block: number=%d", number);
    heap.free(block);
    nrFreed++;
  }

  /** Whether each block was freed. */
  boolean isEmpty() {
    return nrFreed == complements.length;
  }

  static long get(long address) {
    return (long) WORD.getAcquire(Kmalloc.MEMORY, address);
  }

  /** After all that was written before. */
  static void put(long address, long value) {
    WORD.setRelease(Kmalloc.MEMORY, address, value);
  }

  private static void clear(long address, int nrWords) {
    for (int word = 0; word < nrWords; word++) {
      put(address + word * 8L, 0);
    }
  }
}
