package io.memcg4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.memcg4j.benchmarks.Peer.Worker;
import io.memcg4j.slab.Kmalloc;
import java.util.Arrays;

/**
 * Loops over objects that are addresses, 0 for none. One kind is loaded in a fork, so its calls are
 * compiled in.
 */
abstract class AddressWorker implements Worker {
  abstract long allocate(long size);

  abstract long allocateZeroed(long size);

  abstract long allocateAligned(long size, long alignment);

  abstract long reallocate(long address, long size);

  abstract void free(long address);

  @Override
  public final Object batch(int nrObjects) {
    return new long[nrObjects];
  }

  @Override
  public final void fill(Object batch, int size) {
    long[] addresses = (long[]) batch;
    for (int i = 0; i < addresses.length; i++) {
      addresses[i] = allocate(size);
    }
  }

  @Override
  public final void freeAll(Object batch) {
    long[] addresses = (long[]) batch;
    for (long address : addresses) {
      if (address != 0) {
        free(address);
      }
    }
    Arrays.fill(addresses, 0);
  }

  @Override
  public final void touch(Object batch) {
    for (long address : (long[]) batch) {
      Kmalloc.MEMORY.set(JAVA_BYTE, address, (byte) 1);
    }
  }

  @Override
  public final long pairs(int count, int size) {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      long address = allocate(size);
      sum += address;
      free(address);
    }
    return sum;
  }

  @Override
  public final void churn(Object batch, int[] places, int[] sizes) {
    long[] addresses = (long[]) batch;
    for (int i = 0; i < places.length; i++) {
      int place = places[i];
      if (addresses[place] != 0) {
        free(addresses[place]);
      }
      addresses[place] = written(allocate(sizes[i]), sizes[i]);
    }
  }

  @Override
  public final void replay(Object batch, Trace trace) {
    long[] addresses = (long[]) batch;
    int[] words = trace.words();
    long[] sizes = trace.sizes();
    for (int i = 0; i < words.length; i++) {
      int word = words[i];
      int id = Trace.id(word);
      long size = sizes[i];
      int op = Trace.op(word);
      if (op == Trace.FREE) {
        free(addresses[id]);
        addresses[id] = 0;
        continue;
      }
      long address;
      if (op == Trace.ALLOCATE) {
        address = allocate(size);
      } else if (op == Trace.ZEROED) {
        address = allocateZeroed(size);
      } else if (op == Trace.ALIGNED) {
        address = allocateAligned(size, Trace.alignment(word));
      } else {
        address = reallocate(addresses[id], size);
      }
      addresses[id] = size == 0 ? address : written(address, size);
    }
  }

  private static long written(long address, long size) {
    Kmalloc.MEMORY.set(JAVA_BYTE, address, (byte) 1);
    Kmalloc.MEMORY.set(JAVA_BYTE, address + size - 1, (byte) 1);
    return address;
  }
}
