package io.memcg4j.memcg;

/**
 * Something that can give memory back: a cache, a pool, a buffer of results. Registered with the
 * group that pays for it, see {@link MemCgroup#addShrinker}.
 *
 * <p>Called by whichever thread needs memory below one of the groups above it, never by two at the
 * same time, with no lock of memcg4j held. It may free, and close charges; an allocation in it that
 * meets a limit is refused at once. A shrinker that throws, that frees nothing of what it counts,
 * or that takes long is left alone for a while, longer each time; others are not affected.
 *
 * <p>Origin: {@code struct shrinker} of the kernel, in bytes.
 */
public interface Shrinker {
  /** The {@link #priority} of a shrinker that does not say otherwise. */
  int DEFAULT_PRIORITY = 0;

  /**
   * What could be given back now. Cheap: called in every round.
   *
   * @return bytes; 0 or less if there is nothing
   */
  long count();

  /**
   * Gives memory back.
   *
   * @param nrBytes how much is wanted, at least 1
   * @return bytes that were given back; 0 if nothing could be
   */
  long scan(long nrBytes);

  /**
   * Order among the shrinkers of one group: those with a lower number give first, and the others
   * only what is still missing.
   *
   * @return any number
   */
  default int priority() {
    return DEFAULT_PRIORITY;
  }

  /**
   * A name for reports.
   *
   * @return not empty
   */
  default String name() {
    return getClass().getSimpleName();
  }
}
