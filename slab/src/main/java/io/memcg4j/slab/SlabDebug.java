package io.memcg4j.slab;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.slab.DebugObject.Fault;
import io.memcg4j.slab.DebugObject.State;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Strong checks for chosen caches: red zones, poison, owners, quarantine. Off costs nothing; on,
 * every operation of the cache takes microseconds, and its objects more memory.
 *
 * <p>Switched at run time, for objects that are allocated from then on, or at the start by the
 * system property {@value #PROPERTY}. What is found goes to {@link Kmalloc#reports}, in the
 * kernel's layout, and is mended, so that it is reported once.
 *
 * <p>Thread-safe.
 */
public final class SlabDebug {
  /*
   * Layout     objects of a cache in debug mode lie in slabs of their own with a wider stride: the
   *            other slabs are as always, and need no check. What is known of an object is in the
   *            track of its slab (DebugObject).
   * Invariant  an object is held back exactly while its address is in quarantine or on its way to the
   *            general free.
   * Locks      lock: rules and quarantine; never held while an object is checked or freed.
   * Origin     slab_debug of Linux mm/slub.c; quarantine of mm/kasan.
   */

  /** Rules that a new allocator starts with, as {@link #set} takes them. */
  public static final String PROPERTY = "memcg4j.slab.debug";

  /** Bytes of freed objects that are held back at most. */
  public static final long MAX_QUARANTINE_BYTES = 4L << 20;

  private static final int MIN_ZONE_BYTES = 16;
  private static final int ERRORS_PER_FAULT =
      2; // a report and its mending count as two, as in the kernel
  private static final String FRAME_LINE = "=".repeat(77);
  private static final String RULE_LINE = "-".repeat(77);

  private record Rule(Set<DebugFlag> flags, List<String> patterns) {
    boolean matches(String cache) {
      return patterns.isEmpty() || patterns.stream().anyMatch(pattern -> matches(pattern, cache));
    }

    private static boolean matches(String pattern, String cache) {
      return pattern.endsWith("*")
          ? cache.startsWith(pattern.substring(0, pattern.length() - 1))
          : cache.equals(pattern);
    }
  }

  private record Mode(SlabGeometry normal, SlabGeometry debug) {}

  private final SlabAllocator allocator;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Long> quarantine = new ArrayDeque<>();
  private long quarantineBytes;
  private volatile List<Rule> rules = List.of();
  private volatile @Nullable Mode[] modes = {};

  SlabDebug(SlabAllocator allocator) {
    this.allocator = allocator;
  }

  /** Starts with the rules of the property, if it is set. */
  void start() {
    String text = System.getProperty(PROPERTY);
    if (text != null) {
      set(text);
    }
  }

  /**
   * Replaces the rules: {@code FLAGS[,CACHE,PREFIX*...][;...]} with the letters of {@link
   * DebugFlag}. A rule without caches is for all; one that names a cache goes before it. No letters
   * mean {@code FZPU}, {@code -} means none. The empty text switches everything off.
   *
   * @param text the rules
   * @throws IllegalArgumentException if a letter is unknown; the rules stay as they are
   */
  public void set(String text) {
    List<Rule> parsed = new ArrayList<>();
    for (String block : text.isEmpty() ? new String[0] : text.split(";", -1)) {
      String[] parts = block.split(",", -1);
      parsed.add(
          new Rule(DebugFlag.parse(parts[0]), List.of(Arrays.copyOfRange(parts, 1, parts.length))));
    }
    rules = List.copyOf(parsed);
    allocator.settle(); // objects that are ready lie in slabs without zones
    if (parsed.isEmpty()) {
      flushQuarantine();
    }
  }

  /**
   * What is checked of a cache's objects.
   *
   * @param cache its name
   * @return empty if nothing
   */
  public Set<DebugFlag> flags(String cache) {
    Rule global = null;
    for (Rule rule : rules) {
      if (rule.patterns.isEmpty()) {
        global = rule;
      } else if (rule.matches(cache)) {
        return rule.flags;
      }
    }
    return global == null ? Set.of() : global.flags;
  }

  boolean isOn() {
    return !rules.isEmpty();
  }

  // ---- by the general paths of the allocator

  /** Where the next object of a cache comes from: slabs with zones if it is in debug mode. */
  SlabGeometry geometryFor(SlabGeometry normal) {
    return flags(allocator.cacheName(normal.cacheIndex())).isEmpty() ? normal : debugOf(normal);
  }

  private SlabGeometry debugOf(SlabGeometry normal) {
    Mode mode = modeOf(normal.cacheIndex());
    if (mode == null) {
      lock.lock();
      try {
        mode = modeOf(normal.cacheIndex());
        if (mode == null) {
          mode = new Mode(normal, widen(normal));
          store(mode, Math.max(normal.cacheIndex(), mode.debug.cacheIndex()));
        }
      } finally {
        lock.unlock();
      }
    }
    return mode.debug;
  }

  private @Nullable Mode modeOf(int cacheIndex) {
    @Nullable Mode[] known = modes;
    return cacheIndex < known.length ? known[cacheIndex] : null;
  }

  private void store(Mode mode, int highest) {
    @Nullable Mode[] more = Arrays.copyOf(modes, Math.max(modes.length, highest + 1));
    more[mode.normal.cacheIndex()] = mode;
    more[mode.debug.cacheIndex()] = mode;
    modes = more;
  }

  private SlabGeometry widen(SlabGeometry normal) {
    int alignment = Integer.lowestOneBit(normal.objectSize());
    int left = Math.max(MIN_ZONE_BYTES, alignment);
    int stride = (left + normal.objectSize() + MIN_ZONE_BYTES + alignment - 1) & -alignment;
    return allocator.caches().addDebug(normal, stride, left);
  }

  /** The cache that a geometry in debug mode stands for. */
  SlabGeometry normalOf(SlabGeometry debug) {
    Mode mode = modeOf(debug.cacheIndex());
    return mode == null ? debug : mode.normal;
  }

  /** An object was taken: what lay in it while it was free must still be there. */
  void allocated(Slab slab, long address, long nrBytes) {
    String cache = allocator.cacheName(allocator.cacheOf(slab));
    DebugObject object = objectOf(slab, address);
    Set<DebugFlag> flags = legal(flags(cache), allocator.cacheOf(slab));
    SlabEvent now =
        flags.contains(DebugFlag.STORE_USER) ? SlabEvent.now(allocator.profile()) : SlabEvent.NONE;
    Fault fault;
    synchronized (object) {
      fault = object.checkAndMend();
      if (fault == null) {
        start(object, nrBytes, flags, now);
      }
    }
    if (fault != null) {
      SlabReport report = describe(slab, object, fault);
      synchronized (object) {
        start(object, nrBytes, flags, now);
      }
      allocator.reports().report(report);
    }
    checkSlab(slab, flags);
  }

  /** What lies in free objects of some caches means something: it must not be poisoned. */
  private Set<DebugFlag> legal(Set<DebugFlag> flags, int cacheIndex) {
    SlabCache cache = allocator.caches().get(cacheIndex);
    if (cache == null || (cache.constructor() == null && !cache.flags().typesafe())) {
      return flags;
    }
    return flags.stream()
        .filter(flag -> flag != DebugFlag.POISON)
        .collect(Collectors.toUnmodifiableSet());
  }

  private static void start(DebugObject object, long nrBytes, Set<DebugFlag> flags, SlabEvent now) {
    object.state = State.LIVE;
    object.flags = flags;
    object.nrBytes = (int) nrBytes;
    object.allocated = now;
    object.freed = SlabEvent.NONE;
    object.paint();
  }

  /**
   * An object is given back by its owner.
   *
   * @return whether to free it now; else it is in quarantine
   * @throws IllegalArgumentException if it is not live, with both call sites
   */
  boolean freed(Slab slab, long address) {
    DebugObject object = objectOf(slab, address);
    Fault fault;
    boolean held;
    synchronized (object) {
      if (object.state != State.LIVE) {
        throw new IllegalArgumentException(
            "double free: " + header(slab, object, "Object already free"));
      }
      fault = object.checkAndMend();
      held = object.flags.contains(DebugFlag.QUARANTINE);
      object.freed =
          object.flags.contains(DebugFlag.STORE_USER)
              ? SlabEvent.now(allocator.profile())
              : SlabEvent.NONE;
    }
    SlabReport report = fault == null ? null : describe(slab, object, fault);
    synchronized (object) {
      object.state = held ? State.HELD_BACK : State.FREED;
      object.paint();
    }
    if (held) {
      holdBack(address, slab.objectSize);
    }
    checkSlab(slab, object.flags);
    if (report != null) {
      if (!held) {
        allocator.freeChecked(slab, address); // the listener may throw: it shall be free then
      }
      allocator.reports().report(report);
      return false;
    }
    return !held;
  }

  private void holdBack(long address, int stride) {
    List<Long> leaving = new ArrayList<>();
    lock.lock();
    try {
      quarantine.addLast(address);
      quarantineBytes += stride;
      while (quarantineBytes > MAX_QUARANTINE_BYTES) {
        leaving.add(takeOldest());
      }
    } finally {
      lock.unlock();
    }
    leaving.forEach(this::letGo);
  }

  private long takeOldest() {
    long address = quarantine.removeFirst();
    Slab slab = allocator.range().findSlow(address);
    quarantineBytes -= slab == null ? 0 : slab.objectSize;
    return address;
  }

  /** Frees whatever is held back. */
  void flushQuarantine() {
    while (true) {
      long address;
      lock.lock();
      try {
        if (quarantine.isEmpty()) {
          return;
        }
        address = takeOldest();
      } finally {
        lock.unlock();
      }
      letGo(address);
    }
  }

  /** Objects in quarantine. */
  int nrHeldBack() {
    lock.lock();
    try {
      return quarantine.size();
    } finally {
      lock.unlock();
    }
  }

  private void letGo(long address) {
    Slab slab = allocator.range().findSlow(address);
    if (slab == null) {
      return;
    }
    DebugObject object = objectOf(slab, address);
    Fault fault;
    synchronized (object) {
      fault = object.checkAndMend();
      object.state = State.FREED;
    }
    allocator.freeChecked(slab, address);
    if (fault != null) {
      allocator.reports().report(describe(slab, object, fault));
    }
  }

  /** Takes on a new size in place; false if it has to move. */
  boolean resize(Slab slab, long address, long nrBytes) {
    DebugObject object = objectOf(slab, address);
    Fault fault;
    synchronized (object) {
      if (nrBytes > normalOf(slab.geometry).objectSize()) {
        return false;
      }
      fault = object.checkAndMend();
      object.nrBytes = (int) nrBytes;
      object.paint();
    }
    if (fault != null) {
      allocator.reports().report(describe(slab, object, fault));
    }
    return true;
  }

  /** What was asked for. */
  int sizeOf(Slab slab, long address) {
    DebugObject object = objectOf(slab, address);
    synchronized (object) {
      if (object.state != State.LIVE) {
        throw new IllegalArgumentException(
            "use after free: " + header(slab, object, "Object is free"));
      }
      return object.nrBytes;
    }
  }

  /** Objects of a word that their owners have freed, although the allocator has not. */
  long heldBack(Word word) {
    SlabTrack track = word.slab.track();
    long bits = 0;
    for (int i = 0; track != null && i < word.slab.objectsPerWord(); i++) {
      int index = (word.index() << word.slab.wordShift) + i;
      DebugObject object = track.debugObject(index);
      if (object != null && object.state == State.HELD_BACK) {
        bits |= 1L << i;
      }
    }
    return bits;
  }

  int callSite(Slab slab, long address) {
    return allocated(slab, address).site();
  }

  SlabEvent allocated(Slab slab, long address) {
    return objectOf(slab, address).allocated;
  }

  private static DebugObject objectOf(Slab slab, long address) {
    return slab.trackOrMake().debugObject(slab, slab.indexOf(address));
  }

  // ---- validate

  /**
   * Checks every object in debug mode, live or free.
   *
   * @return errors, counted as the kernel does: one for each report and one for each mending
   */
  public int validate() {
    int nrErrors = 0;
    for (Slab slab : allocator.range().inUse()) {
      if (slab.geometry.isDebug()) {
        nrErrors += validate(slab);
      }
    }
    return nrErrors;
  }

  private void checkSlab(Slab slab, Set<DebugFlag> flags) {
    if (flags.contains(DebugFlag.CONSISTENCY_CHECKS)) {
      validate(slab);
    }
  }

  private int validate(Slab slab) {
    SlabTrack track = slab.track();
    int nrErrors = 0;
    for (int index = 0; track != null && index < slab.nrObjects(); index++) {
      DebugObject object = track.debugObject(index);
      if (object != null) {
        Fault fault;
        synchronized (object) {
          fault = object.checkAndMend();
        }
        if (fault != null) {
          nrErrors += ERRORS_PER_FAULT;
          allocator.reports().report(describe(slab, object, fault));
        }
      }
    }
    return nrErrors;
  }

  // ---- report

  private SlabReport describe(Slab slab, DebugObject object, Fault fault) {
    String cache = allocator.cacheName(allocator.cacheOf(slab));
    String message = fault.area() + " overwritten";
    StringBuilder text = new StringBuilder(header(slab, object, message));
    text.append(fault.text(slab.base)).append(System.lineSeparator());
    object.dump(text);
    text.append(
        String.format(
            Locale.ROOT,
            "FIX %s: Restoring %s 0x%x=0x%x%n",
            cache,
            fault.area(),
            fault.address(),
            fault.expected()));
    return new SlabReport(cache, message, object.base, text.toString());
  }

  private String header(Slab slab, DebugObject object, String message) {
    Magazines owner = slab.wordOf(slab.indexOf(object.base)).ownerAcquire();
    ObjCgroup handle = owner == null ? null : owner.handle();
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "%s%nBUG %s (cgroup %s): %s%n%s%n",
                FRAME_LINE,
                allocator.cacheName(allocator.cacheOf(slab)),
                handle == null ? "?" : handle.group().path(),
                message,
                RULE_LINE));
    object.allocated.describe("Allocated", allocator.profile().depot(), text);
    object.freed.describe("Freed", allocator.profile().depot(), text);
    text.append(
        String.format(
            Locale.ROOT,
            "Slab 0x%x objects=%d used=%d flags=%s%nObject 0x%x @offset=%d size=%d%n",
            slab.base,
            slab.nrObjects(),
            slab.nrLiveObjects(),
            DebugFlag.format(object.flags),
            object.base,
            object.base - slab.base,
            object.nrBytes));
    return text.toString();
  }
}
