package io.memcg4j.memcg;

import java.time.Duration;

/** A group's way to be asked to close, and whether it has been. */
final class OomVictim {
  /*
   * Locks      this guards killed and what was noted with it; leaf. A victim that was seen to have
   *            released its memory is as it was before it was asked, and can be asked again.
   */
  private static final long RELEASED_DIVISOR = 10; // a tenth of what it used: as good as closed

  final Runnable kill;
  final long deadlineNanos;
  final int scoreAdjust;
  private boolean killed;
  private long killedAtNanos;
  private long usageWhenKilled;

  OomVictim(Runnable kill, Duration deadline, int scoreAdjust) {
    this.kill = kill;
    this.deadlineNanos = deadline.toNanos();
    this.scoreAdjust = scoreAdjust;
  }

  synchronized void markKilled(long usageBytes) {
    usageWhenKilled = usageBytes;
    killedAtNanos = System.nanoTime();
    killed = true;
  }

  /** What to think of it now. */
  synchronized State state(long usageBytes) {
    killed &= usageBytes > usageWhenKilled / RELEASED_DIVISOR;
    if (!killed) {
      return State.ALIVE;
    }
    return System.nanoTime() - killedAtNanos < deadlineNanos ? State.RELEASING : State.STUCK;
  }

  enum State {
    /** Not asked, or done with what it was asked for. */
    ALIVE,
    /** Asked, with time left: it is not asked again, and memory may come. */
    RELEASING,
    /** Asked, its time is over, and it still holds most of it: others are asked. */
    STUCK
  }
}
