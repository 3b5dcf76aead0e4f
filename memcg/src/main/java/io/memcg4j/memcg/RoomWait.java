package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlot;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * How one request waits until it fits below all limits, for the floors above. Requests that wait
 * for the same group are served in the order in which they came; one that waits for a group above
 * keeps its place in the queue of the group below.
 *
 * <p>{@link #await} is called once, by the thread that makes the request, platform or virtual, with
 * no operation under way on a slot; {@link #cancel} by any thread.
 */
public final class RoomWait {
  /*
   * Layout     places: the queues that the request stands in, the lowest group first.
   * Invariant  the request is tried only while it is the first in all its queues. A place above is
   *            taken after the ones below and given up when a limit below refuses, so whoever
   *            stands first in a queue waits for nothing but room there, or for a queue above it:
   *            there is no cycle, and nobody is held up by a request that could not be granted
   *            there anyway.
   * Ordering   that of WaitQueue. The waker writes signalled, then unparks; the waiter clears it, then
   *            tries, then reads it: what wakes it during the try is not lost, even if a shrinker
   *            that runs inside has parked meanwhile.
   * Locks      none held while the request is tried.
   * Wake-ups   Memory that comes back to a counter wakes the first in the queue there. While anybody
   *            waits, stocks below hold nothing: they are drained after a place was taken, and
   *            see when they work their limits out that they may keep nothing. What is left to
   *            the look every 10 ms: slots whose owners are busy and slow to serve that drain.
   */
  private static final long LOOK_NANOS = 10_000_000L;

  /** How a wait ended. */
  public enum Outcome {
    /** The request was granted. */
    GRANTED,
    /** The time was over. */
    TIMED_OUT,
    /** The group that pays was removed. */
    REMOVED,
    /** {@link RoomWait#cancel} was called. */
    CANCELLED,
    /** The request was refused by a group of another path: its payer has changed. */
    MOVED
  }

  /** What stands in a queue. */
  static final class Waker implements Runnable {
    private final MemCgroup group;
    private final Thread thread = Thread.currentThread();
    private volatile boolean signalled;

    Waker(MemCgroup group) {
      this.group = group;
    }

    boolean isOf(MemCgroup candidate) {
      return group == candidate;
    }

    @Override
    public void run() {
      signalled = true;
      LockSupport.unpark(thread);
    }
  }

  private final MemCgroup group;
  private final long deadlineNanos;
  private final @Nullable CpuSlot own;
  private final Deque<MemCgroup> places = new ArrayDeque<>(2);
  private volatile boolean cancelled;
  private volatile @Nullable Waker waker;

  /**
   * The wait of one request.
   *
   * @param group who pays
   * @param deadlineNanos until when, see {@link #deadline}
   * @param own a slot that the caller holds all the while: what it keeps in advance, for whichever
   *     group, is given back, as nobody can get at it meanwhile; null if none
   */
  public RoomWait(MemCgroup group, long deadlineNanos, @Nullable CpuSlot own) {
    this.group = group;
    this.deadlineNanos = deadlineNanos;
    this.own = own;
  }

  /**
   * When a time from now on will be over.
   *
   * @param timeout how long to wait; not at all if it is not positive
   * @return as {@link System#nanoTime}
   */
  public static long deadline(Duration timeout) {
    long half = Long.MAX_VALUE / 2;
    long nanos = timeout.compareTo(Duration.ofNanos(half)) >= 0 ? half : 0;
    return System.nanoTime() + (nanos == 0 && timeout.isPositive() ? timeout.toNanos() : nanos);
  }

  /** Ends the wait, now or when it begins. A request that is being tried may still be granted. */
  public void cancel() {
    cancelled = true;
    Waker waiting = waker;
    if (waiting != null) {
      waiting.run();
    }
  }

  /**
   * Tries the request until it is granted: at once if nobody waits for a group on the way, else in
   * its turn.
   *
   * @param attempt makes the request once, without waiting; returns null if granted, else the group
   *     that refused
   * @return how it ended; nothing was granted unless it says so
   * @throws InterruptedException if interrupted; nothing was granted
   */
  public Outcome await(Supplier<@Nullable MemCgroup> attempt) throws InterruptedException {
    if (cancelled) {
      return Outcome.CANCELLED;
    }
    // Whoever waits already comes first: a request that happens to fit must not overtake it.
    MemCgroup next = nextWithWaiters(group);
    if (next == null) {
      next = attempt.get();
      if (next == null) {
        return Outcome.GRANTED;
      }
    }
    Waker mine = new Waker(group);
    waker = mine; // before cancelled is read, see cancel
    MemStall.enter(group);
    try {
      return await(mine, next, attempt);
    } finally {
      leaveAbove(null, mine);
      MemStall.leave(group);
    }
  }

  private Outcome await(Waker mine, MemCgroup first, Supplier<@Nullable MemCgroup> attempt)
      throws InterruptedException {
    @Nullable MemCgroup refusing = first;
    while (true) {
      if (refusing != null) {
        if (!group.isDescendantOf(refusing)) {
          return Outcome.MOVED;
        }
        takePlace(refusing, mine);
        refusing = null;
      }
      mine.signalled = false;
      if (Thread.interrupted()) {
        throw new InterruptedException("interrupted while waiting for memory");
      }
      if (cancelled) {
        return Outcome.CANCELLED;
      }
      if (!group.isOnline()) {
        return Outcome.REMOVED;
      }
      boolean myTurn = isFirstEverywhere(mine);
      if (myTurn) {
        MemCgroup above = places.getLast().parent();
        refusing = above == null ? null : nextWithWaiters(above);
        if (refusing != null) {
          continue;
        }
        refusing = attempt.get();
        if (refusing == null) {
          return Outcome.GRANTED;
        }
        if (refusing != places.getLast()) {
          continue;
        }
        refusing = null;
      }
      long leftNanos = deadlineNanos - System.nanoTime();
      if (leftNanos <= 0) {
        return Outcome.TIMED_OUT;
      }
      if (own != null) {
        group.tree().drainSlot(own, group.treeRoot());
      }
      if (!mine.signalled) {
        if (myTurn) {
          MemStall.look(group);
        }
        LockSupport.parkNanos(this, myTurn ? Math.min(leftNanos, LOOK_NANOS) : leftNanos);
      }
    }
  }

  /** Stands in the queue of a group of the path, and in none above it. */
  private void takePlace(MemCgroup refusing, Waker mine) {
    leaveAbove(refusing, mine);
    if (places.peekLast() != refusing) {
      places.addLast(refusing);
      refusing.waiters().enter(mine);
    }
    refusing.drain(); // after the place was taken: from then on stocks keep nothing
  }

  private void leaveAbove(@Nullable MemCgroup highest, Waker mine) {
    while (!places.isEmpty()
        && (highest == null
            || (places.getLast() != highest && highest.isDescendantOf(places.getLast())))) {
      places.removeLast().waiters().leave(mine);
    }
  }

  private boolean isFirstEverywhere(Waker mine) {
    for (MemCgroup place : places) {
      if (!place.waiters().isFirst(mine)) {
        return false;
      }
    }
    return true;
  }

  /** The nearest group from here to the root for which anybody waits. */
  private static @Nullable MemCgroup nextWithWaiters(MemCgroup from) {
    for (MemCgroup level = from; level != null; level = level.parent()) {
      if (level.counter().hasWaiters()) {
        return level;
      }
    }
    return null;
  }
}
