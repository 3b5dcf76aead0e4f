package io.memcg4j.memcg;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A {@link Shrinker} that is registered with a group, and what came of it. Any thread; closing it a
 * second time does nothing.
 */
public final class ShrinkerRegistration implements AutoCloseable {
  /*
   * Invariant  busy is held while the shrinker runs, so it runs once at a time.
   * Ordering   figures are written under busy, and volatile for readers.
   * Not        that a shrinker which another thread just runs has returned when close() does.
   * guaranteed
   */
  private static final long SLOW_NANOS = 100_000_000L;
  private static final long FIRST_BACKOFF_NANOS = 10_000_000L;
  private static final long MAX_BACKOFF_NANOS = 10_000_000_000L;
  private static final int MAX_BACKOFF_SHIFT = 10;

  private final MemCgroup group;
  private final Shrinker shrinker;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final ReentrantLock busy = new ReentrantLock();

  private volatile long freedBytes;
  private volatile long nrScans;
  private volatile long nrFailures;
  private volatile long nrSlow;
  private volatile @Nullable Throwable lastFailure;
  private volatile long notBeforeNanos;
  private volatile int nrBadInARow;

  ShrinkerRegistration(MemCgroup group, Shrinker shrinker) {
    this.group = group;
    this.shrinker = shrinker;
    this.notBeforeNanos = System.nanoTime();
  }

  int priority() {
    return shrinker.priority();
  }

  /** What it says it can give; 0 while it is backed off, or if it throws. */
  long count() {
    if (closed.get() || isBackedOff()) {
      return 0;
    }
    try {
      return Math.max(0, shrinker.count());
    } catch (Throwable e) { // it is somebody else's code, and must harm nobody
      bad(e);
      return 0;
    }
  }

  /**
   * Runs the shrinker once.
   *
   * @return bytes that it says it freed; -1 if another thread is running it
   */
  @SuppressWarnings("NonAtomicVolatileUpdate") // written under busy only
  long scan(long nrBytes) {
    if (!busy.tryLock()) {
      return -1;
    }
    try {
      if (closed.get() || busy.getHoldCount() > 1) {
        return 0;
      }
      long start = System.nanoTime();
      long nrFreed = Math.max(0, shrinker.scan(nrBytes));
      long nanos = System.nanoTime() - start;
      nrScans++;
      freedBytes += nrFreed;
      if (nanos > SLOW_NANOS) {
        nrSlow++;
        backOff(nanos);
      } else if (nrFreed == 0) {
        bad(null);
      } else {
        nrBadInARow = 0;
      }
      return nrFreed;
    } catch (Throwable e) { // as above
      bad(e);
      return 0;
    } finally {
      busy.unlock();
    }
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // a lost increment shortens a pause
  private void bad(@Nullable Throwable failure) {
    if (failure != null) {
      nrFailures++;
      lastFailure = failure;
      System.getLogger(ShrinkerRegistration.class.getName())
          .log(
              nrFailures == 1 ? System.Logger.Level.WARNING : System.Logger.Level.DEBUG,
              () -> "shrinker failed: name=" + name() + " group=" + group.path(),
              failure);
    }
    nrBadInARow++;
    // One empty scan is nothing special: what it counted may have gone meanwhile.
    if (failure != null || nrBadInARow > 2) {
      backOff(FIRST_BACKOFF_NANOS << Math.min(nrBadInARow, MAX_BACKOFF_SHIFT));
    }
  }

  private void backOff(long nanos) {
    notBeforeNanos = System.nanoTime() + Math.min(nanos, MAX_BACKOFF_NANOS);
  }

  /**
   * Whether it is left alone for now, because it threw, freed nothing, or was slow.
   *
   * @return true for at most 10 s after the last such call
   */
  public boolean isBackedOff() {
    return System.nanoTime() - notBeforeNanos < 0;
  }

  /**
   * The group that it is registered with.
   *
   * @return the group
   */
  public MemCgroup group() {
    return group;
  }

  /**
   * The shrinker's name.
   *
   * @return its name, or its class if it does not tell
   */
  public String name() {
    try {
      return shrinker.name();
    } catch (RuntimeException e) {
      return shrinker.getClass().getName();
    }
  }

  /**
   * What it said it freed.
   *
   * @return bytes
   */
  public long freedBytes() {
    return freedBytes;
  }

  /**
   * How often it was asked to free.
   *
   * @return at least 0
   */
  public long nrScans() {
    return nrScans;
  }

  /**
   * How often it threw.
   *
   * @return at least 0
   */
  public long nrFailures() {
    return nrFailures;
  }

  /**
   * How often it took longer than 100 ms.
   *
   * @return at least 0
   */
  public long nrSlow() {
    return nrSlow;
  }

  /**
   * What it threw last.
   *
   * @return null if it never did
   */
  public @Nullable Throwable lastFailure() {
    return lastFailure;
  }

  /** Takes the shrinker out of the group; it is not called any more. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      group.removeShrinker(this);
    }
  }
}
