package io.memcg4j.jmx;

import io.memcg4j.memcg.MemoryEvents;
import io.memcg4j.memcg.MemoryStat;
import io.memcg4j.memcg.Pressure;

/**
 * One group. Sizes are bytes; a limit that is not set reads as {@link Long#MAX_VALUE}, and is
 * lifted by setting that.
 */
public interface MemCgroupMXBean {
  /**
   * The names from the root to the group.
   *
   * @return as {@link io.memcg4j.memcg.MemCgroup#path}
   */
  String getPath();

  /**
   * Whether the group is part of the tree.
   *
   * @return false between its removal and the next refresh, which unregisters the bean
   */
  boolean isOnline();

  /**
   * What the group and everything below it is charged.
   *
   * @return bytes
   */
  long getUsage();

  /**
   * The highest usage so far.
   *
   * @return bytes
   */
  long getPeak();

  /**
   * Requests that wait below the group's limit.
   *
   * @return at least 0
   */
  int getWaiting();

  /**
   * Groups below this one.
   *
   * @return at least 0
   */
  int getDescendants();

  /**
   * {@code memory.min}.
   *
   * @return bytes
   */
  long getMin();

  /**
   * Sets {@code memory.min}.
   *
   * @param nrBytes at least 0
   */
  void setMin(long nrBytes);

  /**
   * {@code memory.low}.
   *
   * @return bytes
   */
  long getLow();

  /**
   * Sets {@code memory.low}.
   *
   * @param nrBytes at least 0
   */
  void setLow(long nrBytes);

  /**
   * {@code memory.high}.
   *
   * @return bytes
   */
  long getHigh();

  /**
   * Sets {@code memory.high}; reclaims what is above it.
   *
   * @param nrBytes at least 0
   */
  void setHigh(long nrBytes);

  /**
   * {@code memory.max}.
   *
   * @return bytes
   */
  long getMax();

  /**
   * Sets {@code memory.max}; reclaims what is above it, then asks the out-of-memory policy.
   *
   * @param nrBytes at least 0
   */
  void setMax(long nrBytes);

  /**
   * {@code memory.events}: what happened here and below.
   *
   * @return counts
   */
  MemoryEvents getEvents();

  /**
   * {@code memory.stat}: what the memory is used for.
   *
   * @return bytes by class
   */
  MemoryStat getStat();

  /**
   * {@code memory.pressure}: how much time was lost by waiting for memory.
   *
   * @return averages and totals
   */
  Pressure getPressure();

  /**
   * Reads a file of the group as cgroup v2 prints it.
   *
   * @param file such as {@code memory.max}
   * @return its text
   */
  String read(String file);

  /**
   * Writes a file of the group.
   *
   * @param file such as {@code memory.max}
   * @param text as cgroup v2 takes it, such as {@code 64M} or {@code max}
   */
  void write(String file, String text);

  /**
   * Reclaims without need.
   *
   * @param nrBytes how much
   * @return bytes that were freed
   */
  long reclaim(long nrBytes);

  /** Gives back what slots hold in advance for the group and everything below it. */
  void drain();
}
