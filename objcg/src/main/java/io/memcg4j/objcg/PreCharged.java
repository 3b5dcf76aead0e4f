package io.memcg4j.objcg;

/**
 * Objects that the floor above keeps ready for one stock, charged before anybody asked for them.
 * Implemented by the allocator; called only by the thread that owns the stock's slot.
 */
public interface PreCharged {
  /**
   * Gives up everything that is charged but not allocated. Must not charge, block or throw.
   *
   * @return how many charged bytes are thereby free; the caller adds them to the stock
   */
  long giveBack();
}
