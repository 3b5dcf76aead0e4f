package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.memcg4j.slab.Kmalloc;

/**
 * The loop that is timed: all events of a trace in order on the calling thread, through a bound
 * allocator. It makes no Java object and writes the first and the last requested byte of every
 * object that it gets, as the program did at least.
 */
final class TimedEvents {
  private TimedEvents() {}

  /**
   * Runs the whole trace.
   *
   * <p>A refused allocation leaves {@link Kmalloc#NULL} at its id, by which its later events are
   * skipped until the id is used again; a refused reallocation leaves the old object.
   *
   * @param addresses per id, all {@code NULL}; afterwards the addresses of what is live at the end
   * @return the number of refused allocations and reallocations
   */
  static int run(Kmalloc.Bound kmalloc, Trace trace, long[] addresses) {
    int[] words = trace.words();
    long[] sizes = trace.sizes();
    int nrRefused = 0;
    for (int i = 0; i < words.length; i++) {
      int word = words[i];
      int id = Trace.id(word);
      long size = sizes[i];
      int op = Trace.op(word);
      if (op == Trace.FREE) {
        kmalloc.free(addresses[id]);
        addresses[id] = Kmalloc.NULL;
        continue;
      }
      long address;
      if (op == Trace.ALLOCATE) {
        address = kmalloc.tryAllocate(size);
      } else if (op == Trace.ZEROED) {
        address = kmalloc.tryAllocateZeroed(size);
      } else if (op == Trace.ALIGNED) {
        address = kmalloc.tryAllocateAligned(size, Trace.alignment(word));
      } else {
        long old = addresses[id];
        if (old == Kmalloc.NULL) {
          continue;
        }
        address = kmalloc.tryReallocate(old, size);
      }
      if (address == Kmalloc.NULL) {
        nrRefused++;
        continue;
      }
      addresses[id] = address;
      if (size != 0) {
        Kmalloc.MEMORY.set(JAVA_BYTE, address, (byte) id);
        Kmalloc.MEMORY.set(JAVA_BYTE, address + size - 1, (byte) id);
      }
    }
    return nrRefused;
  }

  /** Frees what is live and returns how many objects that were. */
  static int freeAll(Kmalloc.Bound kmalloc, long[] addresses) {
    int nrFreed = 0;
    for (int id = 0; id < addresses.length; id++) {
      long address = addresses[id];
      if (address != Kmalloc.NULL) {
        kmalloc.free(address);
        addresses[id] = Kmalloc.NULL;
        nrFreed++;
      }
    }
    return nrFreed;
  }
}
