package io.memcg4j.memcg;

import static java.lang.invoke.ConstantBootstraps.fieldVarHandle;
import static java.lang.invoke.MethodHandles.lookup;

import java.lang.invoke.VarHandle;
import java.util.Locale;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Memory that memcg4j does not allocate itself, declared to a group: an object on the Java heap, a
 * cache, a buffer of another library. Says how much it is now; the group is charged the difference,
 * in whole pages for all of it. While it is open the group {@linkplain MemCgroup#charges lists} it,
 * so that what was forgotten has a name.
 *
 * <p>Any thread. {@link #set} says what is, so to call it twice is the same as once; {@link #add}
 * adjusts. Cost: an atomic update of its own; one charge of the counters each time it goes past a
 * page.
 */
public final class Charge implements AutoCloseable {
  /*
   * Invariant  while nobody holds the lock, pages(nrBytes) pages are charged to the group.
   * Ordering   what changes the pages does so, and changes nrBytes, with the lock held: so no thread
   *            is refused for pages that another one has charged for the same growth, or is about
   *            to give back. What stays within a page is a CAS of nrBytes alone.
   * Locks      resizing, held for a try at the counters and nothing else: reclaim, policies and
   *            pauses come without it.
   * Not        an order between threads that grow it at the same time.
   * guaranteed
   */
  private static final VarHandle NR_BYTES =
      fieldVarHandle(lookup(), "nrBytes", VarHandle.class, Charge.class, long.class);

  private static final long CLOSED = -1;

  private final MemCgroup group;
  private final String name;
  private final MemoryClass memoryClass;
  private final long sinceNanos = System.nanoTime();
  private final ReentrantLock resizing = new ReentrantLock();
  private volatile long nrBytes;

  /**
   * An open charge, as {@link MemCgroup#charges} lists it.
   *
   * @param name what it was opened with
   * @param memoryClass what it was opened with
   * @param nrBytes what it declares
   * @param ageNanos time since it was opened
   */
  public record Declared(String name, MemoryClass memoryClass, long nrBytes, long ageNanos) {}

  Charge(MemCgroup group, String name, MemoryClass memoryClass) {
    this.group = group;
    this.name = name;
    this.memoryClass = memoryClass;
  }

  /**
   * Declares that it is so many bytes now.
   *
   * @param bytes at least 0
   * @throws MemoryLimitException if a limit refuses the growth; it stays as it was
   * @throws IllegalArgumentException if {@code bytes} is out of range
   * @throws IllegalStateException if it is closed
   */
  public void set(long bytes) {
    MemCgroup refusing = set(bytes, ChargeMode.NORMAL);
    if (refusing != null) {
      throw group.refusal(refusing, bytes);
    }
  }

  /**
   * As {@link #set(long)}, but says whether it was granted.
   *
   * @param bytes at least 0
   * @return false if a limit refused the growth; it stays as it was
   */
  public boolean trySet(long bytes) {
    return set(bytes, ChargeMode.NORMAL) == null;
  }

  /**
   * As {@link #set(long)} with a say in how far the request may go. Only {@link ChargeMode#NORMAL}
   * pauses above a high limit.
   *
   * @param bytes at least 0
   * @param mode how far
   * @return null if granted; else the group whose limit refused
   */
  public @Nullable MemCgroup set(long bytes, ChargeMode mode) {
    return update(_ -> bytes, mode);
  }

  /**
   * Declares so many bytes more, or less.
   *
   * @param delta bytes; the sum must stay at least 0
   * @param mode how far the request may go
   * @return null if granted; else the group whose limit refused, with nothing changed
   * @throws IllegalArgumentException if the sum is out of range
   * @throws IllegalStateException if it is closed
   */
  public @Nullable MemCgroup add(long delta, ChargeMode mode) {
    return update(old -> old + delta, mode);
  }

  private @Nullable MemCgroup update(LongUnaryOperator next, ChargeMode mode) {
    Update update = new Update(next);
    MemCgroup refusing = update.attempt(false);
    if (refusing != null) {
      refusing =
          new LimitWalk(group, update.nrMore << MemCgroup.PAGE_SHIFT, mode)
              .retry(refusing, () -> update.attempt(false));
    }
    if (refusing != null && mode == ChargeMode.FORCE) {
      refusing = update.attempt(true);
    }
    if (refusing == null
        && update.nrMore > 0
        && mode == ChargeMode.NORMAL
        && group.isPathOverHigh()) {
      group.handleOverHigh(update.nrMore, true);
    }
    return refusing;
  }

  /** One change, however often it is tried. */
  private final class Update {
    private final LongUnaryOperator next;

    /** Pages that the last attempt was about. */
    private long nrMore;

    Update(LongUnaryOperator next) {
      this.next = next;
    }

    /** Null if done; else the group that refused, with nothing changed. */
    @Nullable MemCgroup attempt(boolean force) {
      while (true) {
        long old = openBytes();
        long bytes = next.applyAsLong(old);
        checkRange(bytes);
        nrMore = pages(bytes) - pages(old);
        if (nrMore != 0) {
          return resize(force);
        }
        if (NR_BYTES.compareAndSet(Charge.this, old, bytes)) {
          group.countDeclared(memoryClass, bytes - old, 0);
          return null;
        }
      }
    }

    private @Nullable MemCgroup resize(boolean force) {
      resizing.lock();
      try {
        long chargedPages = pages(openBytes());
        while (true) {
          long old = openBytes(); // only within its page while the lock is held
          long bytes = next.applyAsLong(old);
          checkRange(bytes);
          nrMore = pages(bytes) - chargedPages;
          if (nrMore > 0 && force) {
            group.forceChargeUncounted(nrMore);
          } else if (nrMore > 0) {
            MemCgroup refusing = group.tryChargeNow(nrMore);
            if (refusing != null) {
              return refusing;
            }
          }
          boolean done = NR_BYTES.compareAndSet(Charge.this, old, bytes);
          if (done) {
            group.countDeclared(memoryClass, bytes - old, nrMore);
          }
          if (done ? nrMore < 0 : nrMore > 0) {
            group.unchargeNow(Math.abs(nrMore));
          }
          if (done) {
            return null;
          }
        }
      } finally {
        resizing.unlock();
      }
    }
  }

  private long openBytes() {
    long bytes = nrBytes;
    if (bytes == CLOSED) {
      throw new IllegalStateException(
          String.format(Locale.ROOT, "charge is closed: name=%s group=%s", name, group.path()));
    }
    return bytes;
  }

  private static long pages(long bytes) {
    return (bytes + MemCgroup.PAGE_SIZE - 1) >> MemCgroup.PAGE_SHIFT;
  }

  /**
   * What it declares.
   *
   * @return bytes; 0 once it is closed
   */
  public long nrBytes() {
    return Math.max(0, nrBytes);
  }

  /**
   * The group that pays.
   *
   * @return the group it was opened with
   */
  public MemCgroup group() {
    return group;
  }

  Declared declared() {
    return new Declared(name, memoryClass, nrBytes(), System.nanoTime() - sinceNanos);
  }

  /** Gives everything back. Closing a second time does nothing. */
  @Override
  public void close() {
    resizing.lock();
    try {
      long old = (long) NR_BYTES.getAndSet(this, CLOSED);
      if (old == CLOSED) {
        return;
      }
      group.forget(this);
      group.countDeclared(memoryClass, -old, -pages(old));
      if (old > 0) {
        group.unchargeNow(pages(old));
      }
    } finally {
      resizing.unlock();
    }
  }

  private static void checkRange(long bytes) {
    long most = PageCounter.UNLIMITED_PAGES << MemCgroup.PAGE_SHIFT;
    if (bytes < 0 || bytes > most) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "bytes out of range: nrBytes=%d legal=0..%d", bytes, most));
    }
  }
}
