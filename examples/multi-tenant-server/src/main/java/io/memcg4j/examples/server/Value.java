package io.memcg4j.examples.server;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * A value off-heap, with the number of those who hold it: the store, and each response that is
 * being sent from it. The last one to let go frees it.
 */
final class Value {
  /*
   * Ordering   refs changes by atomic read-modify-writes alone, from above 0: who takes it to 0 is
   *            one thread, and after that nobody gets it back (ValueStress, twin: look, then add).
   * Not        a grace period for all readers, as Kmalloc.freeDeferred has: a client that reads
   * guaranteed slowly would make it last, and everybody's freed values would wait for that client.
   */
  private static final VarHandle REFS =
      fieldVarHandle(lookup(), "refs", VarHandle.class, Value.class, int.class);

  private final long address;
  private final int nrBytes;
  private final boolean inArea;
  private final long version;
  private volatile int refs = 1;

  /**
   * A value with one holder.
   *
   * @param address of its memory, which nobody else frees
   * @param nrBytes its size
   * @param inArea whether it is an area, and not an object
   * @param version its number: no other value of the store has it
   */
  Value(long address, int nrBytes, boolean inArea, long version) {
    this.address = address;
    this.nrBytes = nrBytes;
    this.inArea = inArea;
    this.version = version;
  }

  /** Holds the value. False if the last holder has let go. */
  boolean tryRetain() {
    int now = refs;
    while (now > 0) {
      int seen = (int) REFS.compareAndExchange(this, now, now + 1);
      if (seen == now) {
        return true;
      }
      now = seen;
    }
    return false;
  }

  /** Lets go. True for the last holder, who then has to free it. */
  boolean release() {
    int before = (int) REFS.getAndAdd(this, -1);
    if (before <= 0) {
      throw new IllegalStateException("value released too often: version=" + version);
    }
    return before == 1;
  }

  /** Its memory, for those who hold it. */
  MemorySegment memory() {
    return Kmalloc.MEMORY.asSlice(address, nrBytes);
  }

  long address() {
    return address;
  }

  int nrBytes() {
    return nrBytes;
  }

  boolean isInArea() {
    return inArea;
  }

  long version() {
    return version;
  }
}
