package io.memcg4j.jmx;

import io.memcg4j.slab.SlabInfo;
import io.memcg4j.slab.VmallocInfo;

/** One allocator. */
public interface KmallocMXBean {
  /**
   * What its slabs and large objects hold. Walks all slabs.
   *
   * @return figures of this moment
   */
  SlabInfo getSlabs();

  /**
   * Totals of its areas: counters, no walk.
   *
   * @return figures of this moment
   */
  VmallocInfo getAreas();

  /**
   * Groups that have a bean.
   *
   * @return at most {@link #getMaxGroups}
   */
  int getGroups();

  /**
   * Most groups that have a bean at once; the largest ones do, each with its parent.
   *
   * @return at least 1
   */
  int getMaxGroups();

  /**
   * The text of {@code /proc/slabinfo}.
   *
   * @return a line per cache
   */
  String slabinfo();

  /**
   * The text of {@code /proc/vmallocinfo}.
   *
   * @return a line per area
   */
  String vmallocinfo();

  /**
   * Gives memory that is in no use back to the OS now.
   *
   * @return bytes
   */
  long shrink();

  /** Registers beans for groups that are new, and unregisters those of groups that are gone. */
  void refresh();
}
