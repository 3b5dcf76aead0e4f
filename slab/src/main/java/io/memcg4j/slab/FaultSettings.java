package io.memcg4j.slab;

import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Which allocations {@link FaultInjection} fails: those for which all of this agrees. Immutable.
 *
 * @param kinds where to fail
 * @param probability of what is left by the others, in percent, 0 to 100
 * @param interval every so manieth only, at least 1
 * @param times how many failures at most, in all; -1 for no bound
 * @param spaceBytes so much is granted before the first failure
 * @param threads which threads are hit. Called by the allocating thread, for {@link
 *     FaultKind#PAGES} with a lock of the allocator held: to be a pure function of the thread.
 *     Where it throws, nothing fails.
 * @param caches names of caches, or prefixes ending in {@code *}; large objects are of {@code
 *     kmalloc-large}. Empty for all. Other kinds than {@link FaultKind#SLAB} do not look at it.
 * @param seed of the probability: the same for the same sequence of one thread
 */
public record FaultSettings(
    Set<FaultKind> kinds,
    int probability,
    long interval,
    long times,
    long spaceBytes,
    Predicate<Thread> threads,
    List<String> caches,
    long seed) {
  /** What {@link #times} says when there is no bound. */
  public static final long UNLIMITED = -1;

  private static final Predicate<Thread> ANY_THREAD = Objects::nonNull;

  /**
   * Checks ranges and copies collections.
   *
   * @throws IllegalArgumentException if a value is out of range
   */
  public FaultSettings {
    check("probability", probability, 0, 100);
    check("interval", interval, 1, Long.MAX_VALUE);
    check("times", times, UNLIMITED, Long.MAX_VALUE);
    check("spaceBytes", spaceBytes, 0, Long.MAX_VALUE);
    kinds = Set.copyOf(kinds);
    caches = List.copyOf(caches);
  }

  private static void check(String name, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "fault setting out of range: %s=%d legal=%d..%d",
              name,
              value,
              min,
              max));
    }
  }

  /**
   * Fails everything of some kinds.
   *
   * @param kinds where to fail, at least one
   * @return settings without filters and bounds
   * @throws IllegalArgumentException if no kind is named
   */
  public static FaultSettings of(FaultKind... kinds) {
    if (kinds.length == 0) {
      throw new IllegalArgumentException("no kind of fault: kinds=[] legal=at least one");
    }
    Set<FaultKind> chosen = EnumSet.copyOf(List.of(kinds));
    return new FaultSettings(chosen, 100, 1, UNLIMITED, 0, ANY_THREAD, List.of(), 0);
  }

  /**
   * These settings with another probability.
   *
   * @param percent 0 to 100
   * @return new settings
   * @throws IllegalArgumentException if out of range
   */
  public FaultSettings withProbability(int percent) {
    return new FaultSettings(kinds, percent, interval, times, spaceBytes, threads, caches, seed);
  }

  /**
   * These settings with another interval.
   *
   * @param every at least 1
   * @return new settings
   * @throws IllegalArgumentException if out of range
   */
  public FaultSettings withInterval(long every) {
    return new FaultSettings(kinds, probability, every, times, spaceBytes, threads, caches, seed);
  }

  /**
   * These settings with another bound of failures.
   *
   * @param most at least 0, or {@link #UNLIMITED}
   * @return new settings
   * @throws IllegalArgumentException if out of range
   */
  public FaultSettings withTimes(long most) {
    return new FaultSettings(kinds, probability, interval, most, spaceBytes, threads, caches, seed);
  }

  /**
   * These settings with another budget.
   *
   * @param nrBytes what is granted before the first failure, at least 0
   * @return new settings
   * @throws IllegalArgumentException if out of range
   */
  public FaultSettings withSpace(long nrBytes) {
    return new FaultSettings(kinds, probability, interval, times, nrBytes, threads, caches, seed);
  }

  /**
   * These settings for some threads only.
   *
   * @param which see {@link #threads}
   * @return new settings
   */
  public FaultSettings withThreads(Predicate<Thread> which) {
    return new FaultSettings(kinds, probability, interval, times, spaceBytes, which, caches, seed);
  }

  /**
   * These settings for objects of some caches only.
   *
   * @param names see {@link #caches}
   * @return new settings
   */
  public FaultSettings withCaches(Collection<String> names) {
    return new FaultSettings(
        kinds, probability, interval, times, spaceBytes, threads, List.copyOf(names), seed);
  }

  /**
   * These settings with another seed.
   *
   * @param newSeed any number
   * @return new settings
   */
  public FaultSettings withSeed(long newSeed) {
    return new FaultSettings(
        kinds, probability, interval, times, spaceBytes, threads, caches, newSeed);
  }

  boolean isForCache(String name) {
    for (String pattern : caches) {
      boolean prefix = pattern.endsWith("*");
      if (prefix
          ? name.startsWith(pattern.substring(0, pattern.length() - 1))
          : name.equals(pattern)) {
        return true;
      }
    }
    return caches.isEmpty();
  }

  boolean isForThread(Thread thread) {
    try {
      return threads.test(thread);
    } catch (RuntimeException e) {
      return false;
    }
  }

  String format() {
    return String.format(
        Locale.ROOT,
        "kinds=%s probability=%d interval=%d times=%d space=%d threads=%s caches=%s",
        FaultInjection.format(kinds),
        probability,
        interval,
        times,
        spaceBytes,
        threads == ANY_THREAD ? "all" : "some",
        caches.isEmpty() ? "all" : String.join(",", caches));
  }
}
