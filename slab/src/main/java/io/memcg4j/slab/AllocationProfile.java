package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.RoomWait;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which call sites the live memory of an allocator comes from: off, sampled by bytes, or exact.
 *
 * <p>Sampled, the stack is captured once per so many bytes on average, at a place that every
 * allocation passes rarely anyway, and the figures are estimates. Exact, it is captured for every
 * object, some microseconds each: for tests. Off, the default, it costs nothing. A call site is
 * forgotten when its object is freed, wherever that happens.
 *
 * <p>Thread-safe.
 */
public final class AllocationProfile {
  /*
   * Layout     call sites are in the side arrays of slabs (SlabTrack), sums by call site here.
   * Invariant  what a sample stands for depends on the object's size and the mean alone, so that the
   *            free takes away what the allocation added. A change of the mean starts anew.
   * Not        that a free which runs while the mode is changed finds its site: sums may be one sample
   * guaranteed off, and never show less than 0. That the last word of each tenant and size on a slot is
   *            counted beyond its first object.
   * Origin     allocation profiling of Linux lib/alloc_tag.c; sampling by bytes as in tcmalloc.
   */

  /** Mean bytes between two samples that {@link #sample()} sets. */
  public static final long DEFAULT_SAMPLE_BYTES = 4L << 20;

  private static final long MIN_SAMPLE_BYTES = 64L << 10;
  private static final long MAX_SAMPLE_BYTES = 1L << 40;
  private static final long EXACT = 1;
  private static final long OFF = 0;

  /** Frames of these, and of classes in them, are the same for every caller and say nothing. */
  private static final Set<String> OWN_FRAMES =
      Stream.of(
              AccountedArena.class,
              AllocationProfile.class,
              Arena.class,
              ArenaSessions.class,
              BulkAllocator.class,
              ConfinedArena.class,
              GuardedObjects.class,
              Kmalloc.class,
              KmallocWait.class,
              KmemCache.class,
              LargeObjects.class,
              ObjectSegments.class,
              RoomWait.class,
              SegmentAllocator.class,
              SharedArena.class,
              SizedAllocator.class,
              SlabAllocator.class,
              SlabDebug.class,
              SlabEvent.class,
              SlotSlabs.class)
          .map(Class::getName)
          .collect(Collectors.toUnmodifiableSet());

  /**
   * What is live of one call site's allocations.
   *
   * @param site handle in the {@link #depot}
   * @param frame the innermost frame outside of the allocator
   * @param liveBytes bytes, estimated unless the mode is exact
   * @param nrLive objects, estimated unless the mode is exact
   * @param nrAllocated objects ever recorded, not scaled
   */
  public record Site(int site, String frame, long liveBytes, long nrLive, long nrAllocated) {}

  private static final class Sums {
    final LongAdder liveBytes = new LongAdder();
    final LongAdder nrLive = new LongAdder();
    final LongAdder nrAllocated = new LongAdder();
  }

  private final SlabAllocator allocator;
  private final StackDepot depot = StackDepot.create();
  private final Map<Integer, Sums> sums = new ConcurrentHashMap<>();

  /** Mean bytes between samples; {@link #OFF}, {@link #EXACT}. */
  private volatile long meanBytes = OFF;

  /** How often the mode was set: what magazines have counted for an earlier one is void. */
  private volatile int run;

  AllocationProfile(SlabAllocator allocator) {
    this.allocator = allocator;
  }

  /** Records no more call sites, and forgets those that are known. */
  public void off() {
    set(OFF);
  }

  /** As {@link #sample(long)} with {@link #DEFAULT_SAMPLE_BYTES}. */
  public void sample() {
    sample(DEFAULT_SAMPLE_BYTES);
  }

  /**
   * Records one object's call site per so many bytes.
   *
   * @param everyBytes mean, 64 KiB to 1 TiB
   * @throws IllegalArgumentException if out of range
   */
  public void sample(long everyBytes) {
    if (everyBytes < MIN_SAMPLE_BYTES || everyBytes > MAX_SAMPLE_BYTES) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "sample interval out of range: everyBytes=%d legal=%d..%d",
              everyBytes,
              MIN_SAMPLE_BYTES,
              MAX_SAMPLE_BYTES));
    }
    set(everyBytes);
  }

  /**
   * Records every object's call site from now on; threads that are inside a scope at this moment
   * from their next operation on. Allocations take microseconds.
   */
  public void exact() {
    set(EXACT);
  }

  private synchronized void set(long mean) {
    meanBytes = mean;
    run = run + 1;
    for (Slab slab : allocator.range().inUse()) {
      SlabTrack track = slab.track();
      if (track != null) {
        track.clearSites();
      }
    }
    sums.clear();
    if (mean != OFF) {
      allocator.settle(); // words that are ready would be handed out without a look
    }
  }

  /**
   * Whether call sites are recorded.
   *
   * @return false if off
   */
  public boolean isOn() {
    return meanBytes != OFF;
  }

  /**
   * Whether every call site is recorded.
   *
   * @return true in exact mode
   */
  public boolean isExact() {
    return meanBytes == EXACT;
  }

  /**
   * Where call sites are kept.
   *
   * @return the depot of this allocator
   */
  public StackDepot depot() {
    return depot;
  }

  /**
   * The call sites that most of the live memory comes from.
   *
   * @param max how many at most
   * @return largest first
   */
  public List<Site> top(int max) {
    List<Site> found = new ArrayList<>();
    sums.forEach((site, sum) -> {
      long nrBytes = sum.liveBytes.sum();
      if (nrBytes > 0) {
        found.add(
            new Site(
                site,
                depot.firstFrameOutside(site, List.of()),
                nrBytes,
                Math.max(1, sum.nrLive.sum()),
                sum.nrAllocated.sum()));
      }
    });
    found.sort(Comparator.comparingLong(Site::liveBytes).reversed());
    return List.copyOf(found.subList(0, Math.min(max, found.size())));
  }

  /**
   * The text of {@code allocinfo}: bytes, objects and call site, largest first.
   *
   * @param max lines at most
   * @return a line per call site
   */
  public String format(int max) {
    StringBuilder text = new StringBuilder();
    for (Site site : top(max)) {
      text.append(
          String.format(
              Locale.ROOT, "%12d %8d %s%n", site.liveBytes(), site.nrLive(), site.frame()));
    }
    return text.toString();
  }

  // ---- by those who allocate and free

  int run() {
    return run;
  }

  /** Bytes until the next sample; exponential, so that no pattern of sizes is missed. */
  long nextInterval() {
    double uniform = 1 - ThreadLocalRandom.current().nextDouble();
    return (long) Math.min(-Math.log(uniform) * meanBytes, 1L << 50);
  }

  /** The caller's stack without this package's own frames. */
  int captureSite() {
    return depot.capture(OWN_FRAMES);
  }

  /** An object was chosen: captures the stack. Returns the call site for the side array. */
  int allocated(long objectBytes) {
    int site = captureSite();
    Sums sum = sums.computeIfAbsent(site, s -> new Sums());
    sum.nrAllocated.increment();
    add(sum, objectBytes, 1);
    return site;
  }

  void allocatedLarge(Slab slab) {
    long nrBytes = (long) slab.nrPages << MemCgroup.PAGE_SHIFT;
    long mean = meanBytes;
    if (mean == EXACT
        || nrBytes >= mean
        || ThreadLocalRandom.current().nextLong(Math.max(1, mean)) < nrBytes) {
      slab.trackOrMake().setSite(0, allocated(nrBytes), 1);
    }
  }

  /** Returns whether it was known where the object was allocated. */
  boolean freed(Word word, long bit) {
    SlabTrack track = word.slab.track();
    return track != null && forget(track, word.slab.indexOf(word, bit), word.slab.objectSize);
  }

  void freedLarge(Slab slab) {
    SlabTrack track = slab.track();
    if (track != null) {
      var _ = forget(track, 0, (long) slab.nrPages << MemCgroup.PAGE_SHIFT);
    }
  }

  /** A large object takes on its new number of pages. */
  void resizedLarge(Slab slab, int nrPages) {
    SlabTrack track = slab.track();
    int site = track == null ? 0 : track.site(0);
    freedLarge(slab);
    slab.nrPages = nrPages;
    Sums sum = site == 0 ? null : sums.get(site);
    if (track != null && sum != null) {
      track.setSite(0, site, 1);
      add(sum, (long) nrPages << MemCgroup.PAGE_SHIFT, 1);
    }
  }

  private boolean forget(SlabTrack track, int index, long objectBytes) {
    int site = track.takeSite(index);
    Sums sum = site == 0 ? null : sums.get(site);
    if (sum != null) {
      add(sum, objectBytes, -1);
    }
    return site != 0;
  }

  private void add(Sums sum, long objectBytes, int sign) {
    long mean = meanBytes;
    long nrBytes = Math.max(mean, objectBytes);
    sum.liveBytes.add(sign * nrBytes);
    sum.nrLive.add(sign * Math.max(1, nrBytes / Math.max(1, objectBytes)));
  }
}
