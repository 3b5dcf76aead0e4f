package io.memcg4j.examples.server;

import io.memcg4j.slab.Kmalloc;
import java.lang.foreign.ValueLayout;

/**
 * The code of the demo's leaky tenant: keeps a record of the last values that were stored. It has a
 * bug, on purpose.
 */
final class AuditTrail implements Plugin, AutoCloseable {
  /** Records that are kept. */
  static final int NR_KEPT = 64;

  private static final int RECORD_BYTES = 2000;

  private final Kmalloc[] allocator = new Kmalloc[1];
  private final long[] records = new long[NR_KEPT];
  private long nrWritten;

  @Override
  public synchronized void storing(Kmalloc kmalloc, String key, int nrBytes) {
    long record = kmalloc.allocate(RECORD_BYTES);
    Kmalloc.MEMORY.asSlice(record, RECORD_BYTES).fill((byte) 0);
    Kmalloc.MEMORY.set(ValueLayout.JAVA_INT, record, key.hashCode());
    Kmalloc.MEMORY.set(ValueLayout.JAVA_INT, record + Integer.BYTES, nrBytes);
    // The bug: nobody frees the record that was here.
    records[(int) (nrWritten++ % NR_KEPT)] = record;
    allocator[0] = kmalloc;
  }

  /** Records that nobody has a pointer to any more. */
  synchronized long nrLost() {
    return Math.max(0, nrWritten - NR_KEPT);
  }

  static int recordBytes() {
    return RECORD_BYTES;
  }

  /** Frees the records that are kept. */
  @Override
  public synchronized void close() {
    for (int i = 0; i < Math.min(nrWritten, NR_KEPT); i++) {
      allocator[0].free(records[i]);
      records[i] = Kmalloc.NULL;
    }
  }
}
