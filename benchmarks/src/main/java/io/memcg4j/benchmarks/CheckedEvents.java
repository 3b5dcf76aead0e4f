package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.memcg4j.slab.Kmalloc;
import java.util.Arrays;

/**
 * A trace's events with every promise of the allocator checked: each object is filled with a
 * pattern of its own, which must be there when the object is freed (so no two objects overlap) and,
 * up to the smaller size, after a reallocation; zeroed objects come all zero, aligned ones aligned.
 * Not timed.
 *
 * <p>Thread rules: one thread at a time; the events may be handed from thread to thread.
 */
final class CheckedEvents {
  /** Of larger objects only this much at both ends is touched, as programs leave much untouched. */
  private static final long EDGE_BYTES = 1 << 16;

  private final Trace trace;
  private final long[] addresses;
  private final long[]
      sizes; // what the live object of an id has, which a refusal may have left old
  private int nrRefused;

  CheckedEvents(Trace trace) {
    this.trace = trace;
    this.addresses = new long[trace.nrIds()];
    this.sizes = new long[trace.nrIds()];
    Arrays.fill(addresses, Kmalloc.NULL);
  }

  /**
   * Runs the events {@code from..to-1}.
   *
   * @throws IllegalStateException if an object's contents, zeros or alignment are not as promised
   */
  void run(Kmalloc.Bound kmalloc, int from, int to) {
    for (int i = from; i < to; i++) {
      int word = trace.words()[i];
      int id = Trace.id(word);
      long size = trace.sizes()[i];
      switch (Trace.op(word)) {
        case Trace.ALLOCATE -> keep(id, size, kmalloc.tryAllocate(size));
        case Trace.ZEROED -> {
          long address = kmalloc.tryAllocateZeroed(size);
          if (address != Kmalloc.NULL) {
            checkZero(i, address, size);
          }
          keep(id, size, address);
        }
        case Trace.ALIGNED -> {
          long address = kmalloc.tryAllocateAligned(size, Trace.alignment(word));
          if (size != 0 && (address & (Trace.alignment(word) - 1)) != 0) {
            throw broken(i, "object not aligned", address, 0);
          }
          keep(id, size, address);
        }
        case Trace.REALLOCATE -> reallocate(kmalloc, i, id, size);
        default -> free(kmalloc, i, id);
      }
    }
  }

  /** Frees what is live, checking it, and returns how many objects that were. */
  int freeAll(Kmalloc.Bound kmalloc) {
    int nrFreed = 0;
    for (int id = 0; id < addresses.length; id++) {
      if (addresses[id] != Kmalloc.NULL) {
        free(kmalloc, trace.nrEvents(), id);
        nrFreed++;
      }
    }
    return nrFreed;
  }

  int nrRefused() {
    return nrRefused;
  }

  private void reallocate(Kmalloc.Bound kmalloc, int event, int id, long size) {
    long old = addresses[id];
    if (old == Kmalloc.NULL) {
      return; // its allocation was refused
    }
    check(event, old, sizes[id], id);
    long address = kmalloc.tryReallocate(old, size);
    if (address == Kmalloc.NULL) {
      nrRefused++;
      check(event, old, sizes[id], id);
      return;
    }
    check(event, address, Math.min(size, sizes[id]), id);
    addresses[id] = address;
    sizes[id] = size;
    fill(address, size, id);
  }

  private void free(Kmalloc.Bound kmalloc, int event, int id) {
    long address = addresses[id];
    if (address != Kmalloc.NULL) {
      check(event, address, sizes[id], id);
      kmalloc.free(address);
      addresses[id] = Kmalloc.NULL;
    }
  }

  private void keep(int id, long size, long address) {
    if (address == Kmalloc.NULL) {
      nrRefused++;
      return;
    }
    addresses[id] = address;
    sizes[id] = size;
    fill(address, size, id);
  }

  private static byte pattern(int id) {
    return (byte) (id % 251 + 1); // never 0, which an untouched page would also show
  }

  private static void fill(long address, long size, int id) {
    long edge = Math.min(size, EDGE_BYTES);
    Kmalloc.MEMORY.asSlice(address, edge).fill(pattern(id));
    Kmalloc.MEMORY.asSlice(address + size - edge, edge).fill(pattern(id));
  }

  private void check(int event, long address, long size, int id) {
    if (size != 0) {
      checkByte(event, address, 0, pattern(id));
      checkByte(event, address, size - 1, pattern(id));
    }
  }

  private void checkZero(int event, long address, long size) {
    long edge = Math.min(size, EDGE_BYTES);
    for (long offset = 0; offset < edge; offset++) {
      checkByte(event, address, offset, (byte) 0);
      checkByte(event, address, size - 1 - offset, (byte) 0);
    }
  }

  private void checkByte(int event, long address, long offset, byte expected) {
    if (Kmalloc.MEMORY.get(JAVA_BYTE, address + offset) != expected) {
      throw broken(event, "object's contents lost", address, offset);
    }
  }

  private IllegalStateException broken(int event, String what, long address, long offset) {
    return new IllegalStateException(
        what
            + ": trace="
            + trace.name()
            + " event="
            + event
            + " address=0x"
            + Long.toHexString(address)
            + " offset="
            + offset);
  }
}
