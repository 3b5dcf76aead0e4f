package io.memcg4j.slab;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import io.memcg4j.percpu.Srcu;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The time during which a reader may look at objects that others free with {@link
 * Kmalloc#freeDeferred}: what it found inside the section stays as it is until the section is
 * closed. May be nested, may block, may be closed by another thread.
 *
 * <p>Origin: srcu_read_lock and srcu_read_unlock of Linux.
 */
public final class ReadSection implements AutoCloseable {
  private static final VarHandle CLOSED =
      fieldVarHandle(lookup(), "closed", VarHandle.class, ReadSection.class, boolean.class);

  private final Srcu readers;
  private final AtomicInteger nrSectionsOfThread;
  private final int token;

  @SuppressWarnings("UnusedVariable") // through CLOSED
  private boolean closed;

  ReadSection(Srcu readers, AtomicInteger nrSectionsOfThread) {
    this.readers = readers;
    this.nrSectionsOfThread = nrSectionsOfThread;
    this.token = readers.readLock();
  }

  /** Ends the section. A second time does nothing. */
  @Override
  public void close() {
    if (!(boolean) CLOSED.getAndSet(this, true)) {
      nrSectionsOfThread.getAndDecrement();
      readers.readUnlock(token);
    }
  }
}
