package io.memcg4j.examples.server;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/** One tenant of the demo: a thread that keeps values off-heap, under a group of its own. */
final class Tenant implements Runnable {
  private static final int MAX_VALUE_BYTES = 2000;

  private final Kmalloc kmalloc;
  private final MemCgroup group;
  private final long[] values;
  private final SplittableRandom random;
  private final AtomicLong nrStored = new AtomicLong();
  private final AtomicLong nrRefused = new AtomicLong();
  private volatile boolean stopped;

  /**
   * A tenant that stores up to {@code nrValues} values of up to 2000 bytes at a time.
   *
   * @param seed of the sizes and places
   */
  Tenant(Kmalloc kmalloc, MemCgroup group, int nrValues, long seed) {
    this.kmalloc = kmalloc;
    this.group = group;
    this.values = new long[nrValues];
    this.random = new SplittableRandom(seed);
  }

  @Override
  public void run() {
    try (Scope scope = ObjCgroup.of(group).enter()) {
      Kmalloc.Bound bound = kmalloc.bind(scope);
      while (!stopped) {
        store(bound, random.nextInt(values.length), 1 + random.nextInt(MAX_VALUE_BYTES));
      }
    }
  }

  /** Replaces a value; what the limit refuses is not stored. */
  private void store(Kmalloc.Bound bound, int place, int nrBytes) {
    if (values[place] != Kmalloc.NULL) {
      bound.free(values[place]);
    }
    long address = bound.tryAllocate(nrBytes);
    values[place] = address;
    if (address == Kmalloc.NULL) {
      nrRefused.incrementAndGet();
      return;
    }
    Kmalloc.MEMORY.set(ValueLayout.JAVA_BYTE, address, (byte) place);
    Kmalloc.MEMORY.set(ValueLayout.JAVA_BYTE, address + nrBytes - 1, (byte) place);
    nrStored.incrementAndGet();
  }

  void stop() {
    stopped = true;
  }

  /** Frees everything; any thread, once {@link #run} has returned. */
  void clear() {
    for (int i = 0; i < values.length; i++) {
      kmalloc.free(values[i]);
      values[i] = Kmalloc.NULL;
    }
  }

  MemCgroup group() {
    return group;
  }

  long nrStored() {
    return nrStored.get();
  }

  long nrRefused() {
    return nrRefused.get();
  }
}
