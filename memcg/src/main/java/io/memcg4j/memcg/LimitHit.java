package io.memcg4j.memcg;

import io.memcg4j.percpu.CpuSlot;
import org.jspecify.annotations.Nullable;

/** What happens between the first refusal of a charge and the answer to its caller. */
final class LimitHit {
  /** Rounds in which a charge waits for busy slots that hold pages below the limit. */
  private static final int MAX_ROUNDS_FOR_BUSY_SLOTS = 4;

  private LimitHit() {}

  /**
   * Has slots give back what they hold in advance below the limit and tries again, as long as that
   * frees something. Seeks nothing if the request is larger than the limit.
   *
   * @param group the group to charge
   * @param slot owned by the caller; keeps what it came to, for the text of the refusal
   * @param firstRefusing the group that has just refused
   * @return null if charged; else the group that refused in the end, with the event counted there
   */
  static @Nullable MemCgroup seek(
      MemCgroup group, CpuSlot slot, long nrPages, MemCgroup firstRefusing) {
    MemCgroup refusing = firstRefusing;
    PageStock stock = group.tree().stock(slot);
    StockDrain drain = group.tree().stockDrain();
    stock.reclaimRounds = 0;
    stock.freedPages = 0;
    boolean worthwhile = true;
    while (worthwhile
        && nrPages <= refusing.counter().max()
        && stock.reclaimRounds < MemCgroup.MAX_RECLAIM_RETRIES) {
      long usageBefore = refusing.counter().usage();
      StockDrain.Outcome outcome = drain.drainForCharge(slot, refusing);
      if (outcome == StockDrain.Outcome.NOTHING_HELD) {
        break;
      }
      boolean busyAsked = outcome == StockDrain.Outcome.ASKED_BUSY;
      if (busyAsked) {
        Thread.yield(); // an owner at work serves the request at its next operation
      }
      long nrFreed = Math.max(0, usageBefore - refusing.counter().usage());
      stock.reclaimRounds++;
      stock.freedPages += nrFreed;
      MemCgroup again = group.tryCharge(slot, nrPages);
      if (again == null) {
        return null;
      }
      worthwhile =
          nrFreed > 0
              || again != refusing
              || (busyAsked && stock.reclaimRounds < MAX_ROUNDS_FOR_BUSY_SLOTS);
      refusing = again;
    }
    refusing.countMaxEvent();
    return refusing;
  }
}
