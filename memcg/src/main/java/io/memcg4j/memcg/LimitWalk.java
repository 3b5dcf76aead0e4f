package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlot;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What one request does between refusals, for the floors above: each call of {@link #makeRoom} is
 * one round of reclaim or one visit to the out-of-memory policy, after which the request is tried
 * again. Confined to the thread that makes the request.
 *
 * <p>To be called with no operation under way on a slot, as it runs shrinkers and the application's
 * policy, and may sleep.
 */
public final class LimitWalk {
  /*
   * Origin     try_charge_memcg of Linux mm/memcontrol.c: reclaim with 16 retries, then OOM, then
   *            refusal. The drain of stocks is LimitHit's, before this.
   */
  private static final long MIN_RECLAIM_BYTES = 32L << MemCgroup.PAGE_SHIFT;
  private static final int MAX_ROUNDS = 1000; // of which each freed something, for others it seems
  private static final long BUSY_NANOS = 1_000_000L;

  private final MemCgroup group;
  private final long nrBytes;
  private final ChargeMode mode;
  private int nrRetriesLeft = MemCgroup.MAX_RECLAIM_RETRIES;
  private int nrRounds;
  private int nrDrainRounds;
  private long freedBytes;

  /**
   * The walk of one request.
   *
   * @param group who pays
   * @param nrBytes what is asked for
   * @param mode how far it may go
   */
  public LimitWalk(MemCgroup group, long nrBytes, ChargeMode mode) {
    this.group = group;
    this.nrBytes = nrBytes;
    this.mode = mode;
  }

  /**
   * Whether there is any shrinker below a limit.
   *
   * @param refusing the group that refused
   * @return false if a walk could only ask the policy
   */
  public static boolean canReclaim(MemCgroup refusing) {
    return refusing.hasShrinkersBelow();
  }

  /**
   * Tries to make room below a limit that refused.
   *
   * @param refusing the group that refused last
   * @return true if the request should be tried again; false if it is refused for good
   */
  public boolean makeRoom(MemCgroup refusing) {
    boolean again = seekRoom(refusing);
    if (!again && mode != ChargeMode.FORCE) {
      noteRefusal(group, refusing, nrBytes, nrDrainRounds + nrRounds, freedBytes);
    }
    return again;
  }

  /**
   * For the floors above: a request was refused for good without a walk. Tells recordings of the
   * JVM, if one wants to know; else makes no garbage.
   *
   * @param group who was to pay
   * @param refusing the group that refused
   * @param nrBytes what was asked for
   */
  public static void refused(MemCgroup group, MemCgroup refusing, long nrBytes) {
    noteRefusal(group, refusing, nrBytes, 0, 0);
  }

  /** A try of a request that waits is no answer yet. */
  private static void noteRefusal(
      MemCgroup group, MemCgroup refusing, long nrBytes, int nrRounds, long freedBytes) {
    if (MemcgEvents.wantsRefusals() && !MemStall.isInside()) {
      MemcgEvents.refusal(group, refusing, nrBytes, nrRounds, freedBytes);
    }
  }

  private boolean seekRoom(MemCgroup refusing) {
    if (mode == ChargeMode.NOWAIT
        || !group.isOnline()
        || nrBytes > refusing.max()
        || Reclaim.isReclaiming()
        || nrRounds >= MAX_ROUNDS) {
      return false;
    }
    if (!refusing.canMakeRoom()) {
      if (mode == ChargeMode.NORMAL) {
        EventCounts.count(refusing, EventCounts.Event.OOM);
      }
      return false;
    }
    nrRounds++;
    long roomBefore = roomBytes(refusing);
    Reclaim.Result result =
        Reclaim.run(
            refusing, Math.max(nrBytes - roomBefore, MIN_RECLAIM_BYTES), Reclaim.Reason.MAX);
    refusing.drain(); // what was freed may have stopped in a stock
    freedBytes += result.freedBytes();
    long room = roomBytes(refusing);
    if (room >= nrBytes || (result.freedBytes() > 0 && room > roomBefore)) {
      return true;
    }
    if (mode == ChargeMode.NORETRY) {
      return false;
    }
    if (nrRetriesLeft-- > 0 && (result.freedBytes() > 0 || result.busyElsewhere())) {
      if (result.busyElsewhere() && result.freedBytes() == 0) {
        refusing.waiters().awaitChange(BUSY_NANOS);
      }
      return true;
    }
    if (mode == ChargeMode.RETRY_MAYFAIL) {
      return false;
    }
    boolean killed = OutOfMemory.makeRoom(refusing, nrBytes);
    if (killed) {
      nrRetriesLeft = MemCgroup.MAX_RECLAIM_RETRIES;
    }
    return killed;
  }

  private static long roomBytes(MemCgroup refusing) {
    return refusing.max() - refusing.usage();
  }

  /**
   * Takes over what the last refusal on a slot came to: rounds, and what slots gave back.
   *
   * @param slot a slot that the caller owns
   */
  public void noteDrain(CpuSlot slot) {
    PageStock stock = group.tree().stock(slot);
    nrDrainRounds += stock.reclaimRounds;
    freedBytes += stock.freedPages << MemCgroup.PAGE_SHIFT;
  }

  /**
   * The exception for a request that is refused for good.
   *
   * @param refusing the group that refused last
   * @return the exception, not thrown
   */
  public MemoryLimitException refusal(MemCgroup refusing) {
    return group.refusal(refusing, nrBytes, nrDrainRounds + nrRounds, freedBytes);
  }

  /**
   * The whole walk, for a request that was refused once.
   *
   * @param firstRefusing the group that refused
   * @param attempt makes the request again; null if granted, else the group that refused
   * @return null if granted; else the group whose limit refused
   */
  @Nullable MemCgroup retry(MemCgroup firstRefusing, Supplier<@Nullable MemCgroup> attempt) {
    MemCgroup refusing = firstRefusing;
    while (true) {
      refusing.drain();
      MemCgroup again = attempt.get();
      if (again == null) {
        return null;
      }
      again.countMaxEvent();
      if (!makeRoom(again)) {
        return again;
      }
      refusing = attempt.get();
      if (refusing == null) {
        return null;
      }
    }
  }
}
