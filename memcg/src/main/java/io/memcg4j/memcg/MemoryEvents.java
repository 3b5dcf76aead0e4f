package io.memcg4j.memcg;

import java.util.Locale;

/**
 * How often something happened in a group. Exact counts since the group was made.
 *
 * <p>Origin: {@code memory.events} and {@code memory.events.local} of cgroup v2, with their levels:
 * {@code high}, {@code max} and {@code oom} count at the group whose limit it was, {@code oomKill}
 * at the victim's group.
 *
 * @param low reclaim of the group although it was below its low protection
 * @param high reclaim because the group was above its high limit
 * @param max charges that a limit stopped after everything that slots held in advance was given
 *     back, once per round of reclaim; plus forced charges that passed a limit
 * @param oom rounds of reclaim that freed nothing, after which a victim was asked for
 * @param oomKill groups that were asked to close for want of memory
 * @param oomGroupKill groups that were asked to close as a whole
 */
public record MemoryEvents(
    long low, long high, long max, long oom, long oomKill, long oomGroupKill) {
  /**
   * The text of {@code memory.events}.
   *
   * @return one {@code key value} line each
   */
  public String format() {
    return String.format(
        Locale.ROOT,
        "low %d%nhigh %d%nmax %d%noom %d%noom_kill %d%noom_group_kill %d%n",
        low,
        high,
        max,
        oom,
        oomKill,
        oomGroupKill);
  }
}
