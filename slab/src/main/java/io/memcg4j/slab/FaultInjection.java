package io.memcg4j.slab;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Makes allocations fail that would have succeeded, to test what an application, and this
 * allocator, do then: by settings for all threads, or the n-th from now of one thread.
 *
 * <p>An injected failure is what a real one is: {@link Kmalloc#NULL} from the {@code try} forms, a
 * {@link MemoryLimitException} with {@link MemoryLimitException#INJECTED} as the limit from the
 * others; {@link FaultKind#PAGES} is the OS refusing memory, which the allocator may get over by
 * giving back what it keeps, or by asking for less. Nothing is charged, mapped or lost by it;
 * limits and events of groups know nothing of it. The forms that wait for memory are spared, but
 * for pages.
 *
 * <p>Off, the default, it costs nothing that can be measured; on, every allocation of the allocator
 * takes the general way, some hundred nanoseconds. Threads that are inside a scope when it is
 * switched on are hit from their next operation on. Thread-safe.
 */
public final class FaultInjection {
  /*
   * Invariant  on exactly while there is a run or a thread is armed. While it is on no word is left
   *            active by an allocation, so that the next one comes by here as well.
   * Ordering   on is written after what it announces, and before the slots are told to leave their
   *            words (settle).
   * Locks      set, failNth and close exclude each other, with nothing else held. Looking takes none,
   *            and is done under the range's lock for pages.
   * Not        which of several threads gets the last of the failures that times allows.
   * guaranteed
   * Origin     should_fail of Linux lib/fault-inject.c, mm/failslab.c and mm/fail_page_alloc.c.
   */
  private static final Set<FaultKind> ALLOCATIONS =
      Set.of(FaultKind.SLAB, FaultKind.VMALLOC, FaultKind.PERCPU);
  private static final FaultKind[] KINDS = FaultKind.values();
  private static final String LARGE = "kmalloc-large";

  /**
   * What happened at the points of a kind since the allocator was made.
   *
   * @param kind where
   * @param nrPassed how often an allocation came by while injection was on
   * @param nrFailed how often it was failed
   */
  public record Count(FaultKind kind, long nrPassed, long nrFailed) {}

  /** Settings and how much of them is used up. */
  private static final class Run {
    final FaultSettings settings;
    final AtomicLong spaceLeft;
    final AtomicLong timesLeft;
    final AtomicLong nrMatched = new AtomicLong();
    final AtomicLong random;

    Run(FaultSettings settings) {
      this.settings = settings;
      this.spaceLeft = new AtomicLong(settings.spaceBytes());
      this.timesLeft = new AtomicLong(settings.times());
      this.random = new AtomicLong(settings.seed());
    }

    boolean fails(FaultKind kind, @Nullable String cache, long nrBytes) {
      if (!settings.kinds().contains(kind)
          || timesLeft.get() == 0
          || (cache != null && !settings.isForCache(cache))
          || !settings.isForThread(Thread.currentThread())) {
        return false;
      }
      if (spaceLeft.get() > 0 && spaceLeft.getAndAdd(-nrBytes) > 0) {
        return false;
      }
      return nrMatched.incrementAndGet() % settings.interval() == 0
          && percent() < settings.probability()
          && (settings.times() < 0 || takeTime());
    }

    /** Never below 0, which would be no bound. */
    private boolean takeTime() {
      return timesLeft.getAndUpdate(left -> Math.max(0, left - 1)) > 0;
    }

    /** One step of the SplitMix64 generator (Steele, Lea, Flood), 0 to 99. */
    private int percent() {
      long z = random.addAndGet(0x9e3779b97f4a7c15L);
      z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
      z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
      return (int) Long.remainderUnsigned(z ^ (z >>> 31), 100);
    }
  }

  /** One failure that a thread has ordered; closing it calls off what has not happened. */
  public static final class Nth implements AutoCloseable {
    private final FaultInjection faults;
    private final Thread thread = Thread.currentThread();
    private final Set<FaultKind> kinds;
    private volatile long nrLeft;

    private Nth(FaultInjection faults, Set<FaultKind> kinds, long nrLeft) {
      this.faults = faults;
      this.kinds = kinds;
      this.nrLeft = nrLeft;
    }

    /**
     * Whether it has happened.
     *
     * @return true once the n-th allocation was failed
     */
    public boolean hasFired() {
      return nrLeft == 0;
    }

    /**
     * How far it is.
     *
     * @return allocations from now to the one that fails, which is counted; 0 once it has happened
     */
    public long nrLeft() {
      return nrLeft;
    }

    /** By the thread that ordered it. */
    private boolean fails(FaultKind kind) {
      long left = nrLeft;
      if (left == 0 || !kinds.contains(kind)) {
        return false;
      }
      nrLeft = left - 1;
      return left == 1;
    }

    /** Calls it off; whether it had happened can still be asked. Any thread. */
    @Override
    public void close() {
      faults.disarm(this);
    }
  }

  private final Runnable settle;
  private final IntFunction<String> cacheNames;
  private final Map<Thread, Nth> armed = new ConcurrentHashMap<>();
  private final Map<FaultKind, LongAdder> nrPassed = adders();
  private final Map<FaultKind, LongAdder> nrFailed = adders();
  private volatile @Nullable Run run;
  private volatile boolean on;

  /**
   * Switched off.
   *
   * @param settle has every slot leave the words that it allocates from
   * @param cacheNames name by cache index
   */
  FaultInjection(Runnable settle, IntFunction<String> cacheNames) {
    this.settle = settle;
    this.cacheNames = cacheNames;
  }

  private static Map<FaultKind, LongAdder> adders() {
    Map<FaultKind, LongAdder> adders = new EnumMap<>(FaultKind.class);
    for (FaultKind kind : KINDS) {
      adders.put(kind, new LongAdder());
    }
    return adders; // not changed any more, so any thread may read it
  }

  private static LongAdder of(Map<FaultKind, LongAdder> adders, FaultKind kind) {
    return Objects.requireNonNull(adders.get(kind));
  }

  /**
   * Begins to fail allocations, with the budget and the bound of the settings fresh.
   *
   * @param settings which ones
   */
  public synchronized void set(FaultSettings settings) {
    run = new Run(settings);
    update();
  }

  /** Fails nothing any more, and calls off what single threads have ordered. */
  public synchronized void off() {
    run = null;
    armed.clear();
    update();
  }

  /**
   * What is set.
   *
   * @return the last settings; null if there are none
   */
  public @Nullable FaultSettings settings() {
    Run now = run;
    return now == null ? null : now.settings;
  }

  /**
   * Fails the n-th allocation that the calling thread makes from now on, once: an object, an area
   * or a per-CPU object, those included that waiting forms and arenas make. Takes the place of what
   * this thread has ordered before, and of settings.
   *
   * @param n 1 for the next one
   * @return tells whether it happened; to be closed
   * @throws IllegalArgumentException if {@code n} is below 1
   */
  public Nth failNth(long n) {
    return failNth(n, ALLOCATIONS);
  }

  /**
   * As {@link #failNth(long)} for the n-th time that the thread comes by any of some points; an
   * allocation can come by several, and by some of them more than once or not at all.
   *
   * @param n 1 for the next one
   * @param kinds which points count
   * @return tells whether it happened; to be closed
   * @throws IllegalArgumentException if {@code n} is below 1
   */
  public synchronized Nth failNth(long n, Set<FaultKind> kinds) {
    if (n < 1) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "nth allocation out of range: n=%d legal=1..%d", n, Long.MAX_VALUE));
    }
    Nth nth = new Nth(this, Set.copyOf(kinds), n);
    armed.put(nth.thread, nth);
    update();
    return nth;
  }

  private synchronized void disarm(Nth nth) {
    armed.remove(nth.thread, nth);
    update();
  }

  private void update() {
    boolean now = run != null || !armed.isEmpty();
    boolean before = on;
    on = now;
    if (now && !before) {
      settle.run(); // what is ready would be handed out without a look
    }
  }

  /**
   * How often allocations came by, and failed.
   *
   * @param kind where
   * @return figures of this moment, never reset
   */
  public Count count(FaultKind kind) {
    long failed = of(nrFailed, kind).sum(); // first, so that it is never the larger one
    return new Count(kind, of(nrPassed, kind).sum(), failed);
  }

  /**
   * Settings, what is left of them, and counts.
   *
   * @return a line without its end
   */
  public String format() {
    StringBuilder text = new StringBuilder("failslab ");
    Run now = run;
    if (now == null) {
      text.append("off");
    } else {
      text.append(now.settings.format());
      text.append(" timesLeft=").append(now.timesLeft.get());
      text.append(" spaceLeft=").append(Math.max(0, now.spaceLeft.get()));
    }
    text.append(" nth=").append(armed.size());
    for (FaultKind kind : KINDS) {
      Count count = count(kind);
      text.append(' ').append(kind.name().toLowerCase(Locale.ROOT)).append('=');
      text.append(count.nrFailed).append('/').append(count.nrPassed);
    }
    return text.toString();
  }

  static String format(Set<FaultKind> kinds) {
    return kinds.isEmpty()
        ? "-"
        : EnumSet.copyOf(kinds).stream()
            .map(kind -> kind.name().toLowerCase(Locale.ROOT))
            .collect(Collectors.joining(","));
  }

  // ---- by those who allocate

  /** Whether to ask the methods below at all. */
  boolean isOn() {
    return on;
  }

  /** Whether an object shall not be had; {@code geometry} is null for a large one. */
  boolean failsObject(@Nullable SlabGeometry geometry, long nrBytes, int flags) {
    return (flags & SlabAllocator.WAITING) == 0
        && fails(
            FaultKind.SLAB,
            geometry == null ? LARGE : cacheNames.apply(geometry.cacheIndex()),
            nrBytes);
  }

  /** Whether a charge for an object shall be refused. */
  boolean failsCharge(long nrBytes, int flags) {
    return (flags & SlabAllocator.WAITING) == 0 && fails(FaultKind.CHARGE, nrBytes);
  }

  boolean fails(FaultKind kind, long nrBytes) {
    return fails(kind, null, nrBytes);
  }

  private boolean fails(FaultKind kind, @Nullable String cache, long nrBytes) {
    of(nrPassed, kind).increment();
    Nth nth = armed.get(Thread.currentThread());
    Run now = run;
    boolean fails = nth != null ? nth.fails(kind) : now != null && now.fails(kind, cache, nrBytes);
    if (fails) {
      of(nrFailed, kind).increment();
    }
    return fails;
  }

  /** The answer to a request that was failed: {@link SlabAllocator#NULL}, or the exception. */
  static long refused(MemCgroup group, long nrBytes, int flags) {
    if ((flags & SlabAllocator.MAY_FAIL) != 0) {
      return SlabAllocator.NULL;
    }
    throw MemoryLimitException.injected(group, nrBytes);
  }
}
