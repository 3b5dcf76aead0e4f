package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;

/**
 * What the shared arenas of an allocator hold in sessions that they share. Racy, one moment.
 *
 * @param waitingBytes memory of closed arenas that waits for the end of its session, still charged
 * @param sharedBytes memory in sessions of more than one arena, open or waiting; bounded per group
 * @param nrEndedSessions sessions that have ended, each with a handshake of the JDK
 * @param nrHeldSessions sessions that would end but for a native call that holds a segment
 */
public record ArenaInfo(
    long waitingBytes, long sharedBytes, long nrEndedSessions, long nrHeldSessions) {
  /**
   * What waits, in all groups.
   *
   * @param kmalloc the allocator
   * @return figures of this moment
   */
  public static ArenaInfo of(Kmalloc kmalloc) {
    return kmalloc.allocator().arenas().info();
  }

  /**
   * What waits in sessions of one group, without those below it.
   *
   * @param kmalloc the allocator
   * @param group the group that paid for the first block of each arena
   * @return bytes
   */
  public static long waitingBytes(Kmalloc kmalloc, MemCgroup group) {
    return kmalloc.allocator().arenas().waitingBytes(group);
  }
}
