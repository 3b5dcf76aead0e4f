package io.memcg4j.percpu;

import static java.lang.invoke.MethodHandles.arrayElementVarHandle;

import java.lang.invoke.VarHandle;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Read sections and grace periods. A reader says when it begins and ends to look at shared objects;
 * whoever has made an object unreachable waits, or asks from time to time, until all sections that
 * were open at that moment have ended, and then may reuse the object.
 *
 * <p>Sections may be nested, may last as long as they like, may block, and may be left by another
 * thread than entered them; virtual threads are as good as others. A section costs two atomic
 * additions and a fence, mostly on a cache line of the thread's processor. Sections never wait.
 *
 * <p>A grace period covers sections of this object only. {@link #synchronize} inside a section of
 * the same object waits for ever; {@link #poll} does not.
 *
 * <p>Thread-safe. Memory: 128 bytes a stripe, two stripes a processor.
 *
 * <p>Origin: srcu_struct of Linux: srcu_read_lock, synchronize_srcu, start_poll_synchronize_srcu
 * and poll_state_synchronize_srcu.
 */
public final class Srcu {
  /*
   * Layout     counts: for each stripe a pair of cache lines with two numbers, the open sections of
   *            either phase. A token is the stripe and the phase, so a section is counted down where
   *            it was counted up, by whoever leaves it.
   *            sequence: even at rest, odd while a grace period is under way; it ends at the next
   *            even number. A cookie is the sequence at which the first grace period ends that began
   *            after the cookie was taken.
   * Invariant  a section keeps its count above 0 from entry to exit. A grace period ends after each
   *            count of both phases was seen at 0 once, later than its beginning: so a section that
   *            was open then has ended. Two phases only make that come true: sections that begin
   *            meanwhile go to the phase that is not waited for.
   *            First the phase that is not active is waited for, as a reader may have read the active
   *            phase long ago and count itself there only now; then the phases change places.
   * Ordering   enter: count up, full fence, then the reader's loads. Grace period: full fence after
   *            the caller's stores, sequence, then the counts. All counts and the sequence are volatile.
   *            So either the count is seen, or the reader sees what was stored before (SrcuStress,
   *            twin: counted by a release store). leave: the reader's accesses, then count down
   *            (volatile); whoever sees 0 may reuse.
   *            waiting: enter the queue, then look at the counts. leave: count down, then look at the
   *            queue. All volatile, so no waiter sleeps over the last reader.
   * Locks      advancing, a leaf: held for one look at the counts, never while waiting.
   * Not        how soon a grace period ends when nobody waits or polls: it does not.
   * guaranteed Leaving a section twice is seen only if no other is open in its stripe.
   * Origin     the idea of kernel/rcu/srcutree.c and srcutiny.c; none of its text or code.
   */
  private static final int STRIDE = 16; // longs: a pair of cache lines, which are fetched together
  private static final int STRIPES_PER_CPU = 2;
  private static final int MIN_STRIPES = 4;
  private static final int MAX_STRIPES = 256;

  private static final VarHandle COUNT = arrayElementVarHandle(long[].class);

  private final int nrStripes;
  private final long[] counts;
  private final ReentrantLock advancing = new ReentrantLock();
  private final Queue<Thread> waiters = new ConcurrentLinkedQueue<>();
  private final AtomicInteger nrWaiting = new AtomicInteger();

  /** The phase that new sections are counted in. Written under the lock. */
  private volatile int activePhase;

  private volatile long sequence;

  // How far the grace period is; guarded by the lock.
  private boolean flipped;
  private int nextStripe;

  /** With two stripes a processor. */
  public Srcu() {
    int wanted = STRIPES_PER_CPU * Runtime.getRuntime().availableProcessors();
    nrStripes = Integer.highestOneBit(Math.clamp(wanted, MIN_STRIPES, MAX_STRIPES));
    counts = new long[(nrStripes + 2) * STRIDE];
  }

  /**
   * Begins a read section.
   *
   * @return a token, to be given to {@link #readUnlock} once, by any thread
   */
  public int readLock() {
    return enter(activePhase);
  }

  /** The second half of {@link #readLock}, which may run long after the first. */
  int enter(int phase) {
    long id = Thread.currentThread().threadId();
    int stripe = (int) ((id * 0x9E3779B97F4A7C15L) >>> 32) & (nrStripes - 1);
    int token = stripe << 1 | phase;
    COUNT.getAndAdd(counts, indexOf(token), 1L);
    VarHandle.fullFence();
    return token;
  }

  /**
   * Ends a read section.
   *
   * @param token what {@link #readLock} returned
   * @throws IllegalArgumentException if it is not a token of this object
   * @throws IllegalStateException if no such section is open
   */
  public void readUnlock(int token) {
    if (token < 0 || token >= nrStripes << 1) {
      throw new IllegalArgumentException(
          "not a token of a read section: token=" + token + " legal=0.." + ((nrStripes << 1) - 1));
    }
    long before = (long) COUNT.getAndAdd(counts, indexOf(token), -1L);
    if (before <= 0) {
      COUNT.getAndAdd(counts, indexOf(token), 1L);
      throw new IllegalStateException("read section is not open: token=" + token);
    }
    if (before == 1 && nrWaiting.get() != 0) {
      wakeAll();
    }
  }

  private static int indexOf(int token) {
    return ((token >> 1) + 1) * STRIDE + (token & 1);
  }

  int activePhase() {
    return activePhase;
  }

  /**
   * Takes note of the moment: to be called after the object was made unreachable.
   *
   * @return a cookie for {@link #poll}
   */
  public long startPoll() {
    VarHandle.fullFence();
    return (sequence + 3) & ~1L;
  }

  /**
   * Whether all sections that were open when a cookie was taken have ended. Never waits: one load
   * if so already, else a look at the counts, which also brings the grace period forward.
   *
   * @param cookie what {@link #startPoll} returned
   * @return true once they have, and for ever after; what their readers did is visible then
   */
  public boolean poll(long cookie) {
    if (sequence >= cookie) {
      return true;
    }
    if (!advancing.tryLock()) {
      return false;
    }
    boolean ended;
    try {
      ended = advance(cookie);
    } finally {
      advancing.unlock();
    }
    if (ended) {
      wakeAll();
    }
    return sequence >= cookie;
  }

  /**
   * Waits until all sections that are open now have ended. Parks; not ended by an interrupt, which
   * is kept for later.
   */
  public void synchronize() {
    long cookie = startPoll();
    if (poll(cookie)) {
      return;
    }
    Thread thread = Thread.currentThread();
    boolean interrupted = false;
    waiters.add(thread);
    nrWaiting.getAndIncrement();
    try {
      while (!hasEnded(cookie)) {
        LockSupport.park(this);
        interrupted |= Thread.interrupted();
      }
    } finally {
      nrWaiting.getAndDecrement();
      waiters.remove(thread);
      if (interrupted) {
        thread.interrupt();
      }
    }
  }

  private boolean hasEnded(long cookie) {
    boolean ended;
    advancing.lock();
    try {
      ended = advance(cookie);
    } finally {
      advancing.unlock();
    }
    if (ended) {
      wakeAll(); // others may wait for the next grace period, which nobody has begun
    }
    return sequence >= cookie;
  }

  /** Brings grace periods forward as far as they go; whether one has ended. Under the lock. */
  private boolean advance(long cookie) {
    long before = sequence;
    long now = before;
    while (now < cookie) {
      if ((now & 1) == 0) {
        sequence = ++now;
        flipped = false;
        nextStripe = 0;
      }
      if (!flipped) {
        if (!isPhaseOver()) {
          break;
        }
        int idlePhase = activePhase ^ 1;
        activePhase = idlePhase;
        flipped = true;
        nextStripe = 0;
      }
      if (!isPhaseOver()) {
        break;
      }
      sequence = ++now;
    }
    return now >> 1 != before >> 1;
  }

  /** Whether each count of the phase that is not active was seen at 0; goes on where it stopped. */
  private boolean isPhaseOver() {
    int phase = activePhase ^ 1;
    while (nextStripe < nrStripes) {
      if ((long) COUNT.getVolatile(counts, indexOf(nextStripe << 1 | phase)) != 0) {
        return false;
      }
      nextStripe++;
    }
    return true;
  }

  private void wakeAll() {
    if (nrWaiting.get() != 0) {
      waiters.forEach(LockSupport::unpark);
    }
  }

  /**
   * Number of sections that are open right now. Racy; for statistics and tests.
   *
   * @return at least 0
   */
  public long nrSections() {
    long sum = 0;
    for (int token = 0; token < nrStripes << 1; token++) {
      sum += (long) COUNT.getVolatile(counts, indexOf(token));
    }
    return Math.max(0, sum);
  }
}
