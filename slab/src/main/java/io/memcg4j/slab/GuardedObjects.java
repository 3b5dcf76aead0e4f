package io.memcg4j.slab;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.ObjCgroups;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Puts one object in a while on a page of its own between pages that must not be touched, in
 * production: who runs over its end, or uses it after its free, gets an {@link InternalError} where
 * it happens, instead of corrupting somebody else's memory. {@link #describe} then tells whose
 * object it was and who allocated and freed it.
 *
 * <p>Costs nothing on the paths of allocation but one object per interval that takes some
 * microseconds; memory for the pool. Objects up to a page. An overrun that stays within the page is
 * found at the free, by the bytes around the object. Linux only.
 *
 * <p>Thread-safe.
 */
public final class GuardedObjects {
  /*
   * Layout     an object lies at the left or the right end of its page, by chance; what is left of the
   *            page is filled with a pattern that depends on the address.
   * Invariant  a page can be touched exactly while its object is live. Freed pages are used again
   *            oldest first, so that a late use is seen as long as possible.
   * Locks      lock, for bookkeeping; charges and system calls come outside of it. While they run the
   *            object is in neither state that others act on.
   * Not        that an access through a call that the kernel makes (a read into the page) raises an
   * guaranteed error: it fails with EFAULT.
   * Origin     KFENCE of Linux mm/kfence, with mappings beyond the end of a file for protected pages.
   */

  /** Time between two samples that {@link #on()} sets. */
  public static final Duration DEFAULT_INTERVAL = Duration.ofMillis(100);

  /** Objects in the pool that {@link #on()} makes. */
  public static final int DEFAULT_OBJECTS = 255;

  private static final int MAX_OBJECTS = 1 << 16;
  private static final int PAGE = MemCgroup.PAGE_SIZE;
  private static final int CROWDED_PERCENT = 75;
  private static final int PATTERN = 0xAA;

  /** What there is to say about an address in the pool. */
  public enum Access {
    /** Inside a live object. */
    LIVE,
    /** Beside a live object. */
    OUT_OF_BOUNDS,
    /** In the page of an object that was freed. */
    USE_AFTER_FREE,
    /** In a page that never had an object. */
    INVALID
  }

  /**
   * An address in the pool and the object that it has to do with.
   *
   * @param access what touching the address means
   * @param distance bytes from the nearest byte of the object; 0 inside it
   * @param address start of the object; 0 if there never was one
   * @param nrBytes what was asked for
   * @param group who owned it
   * @param text all of it for people, with both call sites
   */
  public record Description(
      Access access, long distance, long address, long nrBytes, String group, String text) {}

  private enum State {
    NEVER_USED,
    CHANGING,
    LIVE,
    FREED
  }

  private static final class Entry {
    State state = State.NEVER_USED;
    long address;
    int nrBytes;
    int cacheIndex;
    int chargeBytes;
    @Nullable ObjCgroup payer;
    SlabEvent allocated = SlabEvent.NONE;
    SlabEvent freed = SlabEvent.NONE;
  }

  private final SlabAllocator allocator;
  private final ScopeCharger charger;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Integer> free = new ArrayDeque<>();
  private final Map<Integer, Integer> nrLiveBySite = new HashMap<>();
  private Entry[] entries = {};
  private volatile @Nullable GuardMemory memory;
  private volatile @Nullable Thread timer;
  private volatile boolean due;
  private int nrLive;
  private long nrSampled;
  private long nrSkipped;

  GuardedObjects(SlabAllocator allocator, ObjCgroups registry, boolean accounted) {
    this.allocator = allocator;
    this.charger = new ScopeCharger(registry, accounted, MemoryClass.SLAB, allocator.faults());
  }

  /**
   * As {@link #on(Duration, int)} with {@link #DEFAULT_INTERVAL} and {@link #DEFAULT_OBJECTS}.
   *
   * @throws IllegalStateException if this OS has no guarded memory
   */
  public void on() {
    on(DEFAULT_INTERVAL, DEFAULT_OBJECTS);
  }

  /**
   * Guards one allocation per interval, as long as there is room in the pool.
   *
   * @param interval at least a millisecond
   * @param nrObjects live and recently freed objects, 1 to 65536; each takes a page. Kept from the
   *     first call on.
   * @throws IllegalArgumentException if out of range
   * @throws IllegalStateException if this OS has no guarded memory, or the allocator is closed
   */
  public void on(Duration interval, int nrObjects) {
    if (interval.toMillis() < 1 || nrObjects < 1 || nrObjects > MAX_OBJECTS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "guard settings out of range: interval=%s legal=1ms.. nrObjects=%d legal=1..%d",
              interval,
              nrObjects,
              MAX_OBJECTS));
    }
    allocator.checkOpen();
    lock.lock();
    try {
      if (memory == null) {
        memory = GuardMemory.create(nrObjects);
        entries = new Entry[nrObjects];
        for (int i = 0; i < nrObjects; i++) {
          entries[i] = new Entry();
          free.add(i);
        }
      }
      stopTimer();
      Thread thread =
          Thread.ofPlatform().name("memcg4j-guard").daemon().unstarted(() -> tick(interval));
      thread.setContextClassLoader(null);
      timer = thread;
      thread.start();
    } finally {
      lock.unlock();
    }
  }

  /** Guards no more objects; those that are stay so until they are freed. */
  public void off() {
    lock.lock();
    try {
      stopTimer();
      due = false;
    } finally {
      lock.unlock();
    }
  }

  private void stopTimer() {
    Thread thread = timer;
    timer = null;
    if (thread != null) {
      thread.interrupt();
    }
  }

  private void tick(Duration interval) {
    while (timer == Thread.currentThread()) {
      due = true;
      try {
        Thread.sleep(interval);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** Whether the next allocation that asks shall be guarded. */
  boolean isDue() {
    return due;
  }

  boolean contains(long address) {
    GuardMemory pages = memory;
    return pages != null && pages.contains(address);
  }

  /** A guarded object for whoever pays on this thread; 0 if there shall be, or can be, none. */
  long allocate(SlabGeometry geometry, long nrBytes) {
    GuardMemory pages = memory;
    if (nrBytes > PAGE || pages == null || !takeTurn()) {
      return SlabAllocator.NULL;
    }
    SlabEvent now = SlabEvent.now(allocator.profile());
    int index = takeFree(now.site());
    if (index < 0) {
      return SlabAllocator.NULL;
    }
    ObjCgroup payer = charger.charge(geometry.chargeBytes(), SlabAllocator.MAY_FAIL);
    if (payer == null) {
      putBack(index);
      return SlabAllocator.NULL;
    }
    pages.open(index);
    int alignment = Math.min(PAGE, Integer.lowestOneBit(geometry.objectSize()));
    long page = pages.page(index);
    long right = (page + PAGE - nrBytes) & -alignment;
    long address = ThreadLocalRandom.current().nextBoolean() ? right : page;
    fillPattern(page, address);
    fillPattern(address + nrBytes, page + PAGE);
    lock.lock();
    try {
      Entry entry = entries[index];
      entry.address = address;
      entry.nrBytes = (int) nrBytes;
      entry.cacheIndex = geometry.cacheIndex();
      entry.chargeBytes = geometry.chargeBytes();
      entry.payer = payer;
      entry.allocated = now;
      entry.freed = SlabEvent.NONE;
      entry.state = State.LIVE;
      nrLiveBySite.merge(now.site(), 1, Integer::sum);
      nrLive++;
      nrSampled++;
    } finally {
      lock.unlock();
    }
    return address;
  }

  private boolean takeTurn() {
    lock.lock();
    try {
      boolean mine = due;
      due = false;
      return mine;
    } finally {
      lock.unlock();
    }
  }

  /** In a crowded pool only call sites that are not in it already. */
  private int takeFree(int site) {
    lock.lock();
    try {
      boolean crowded = nrLive * 100L >= (long) entries.length * CROWDED_PERCENT;
      if (free.isEmpty() || (crowded && nrLiveBySite.containsKey(site))) {
        nrSkipped++;
        return -1;
      }
      int index = free.removeFirst();
      entries[index].state = State.CHANGING;
      return index;
    } finally {
      lock.unlock();
    }
  }

  private void putBack(int index) {
    lock.lock();
    try {
      entries[index].state = State.FREED;
      free.addFirst(index);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Frees a guarded object.
   *
   * @throws IllegalArgumentException if it is none, or not live; with both call sites
   */
  void free(long address, int onlyCache) {
    Entry entry;
    int index;
    ObjCgroup payer;
    lock.lock();
    try {
      index = indexOf(address);
      entry = entries[index];
      if (entry.state != State.LIVE || entry.address != address) {
        String reason = entry.state == State.FREED ? "double free" : "free of an interior address";
        throw new IllegalArgumentException(reason + ": " + describeLocked(address).text());
      }
      if (onlyCache >= 0 && entry.cacheIndex != onlyCache) {
        throw new IllegalArgumentException(
            "free to the wrong cache: " + describeLocked(address).text());
      }
      entry.state = State.CHANGING;
      payer = entry.payer;
      nrLive--;
      nrLiveBySite.computeIfPresent(entry.allocated.site(), (s, n) -> n == 1 ? null : n - 1);
    } finally {
      lock.unlock();
    }
    GuardMemory pages = memory;
    if (pages == null || payer == null) {
      throw new IllegalStateException("allocator is closed");
    }
    long page = pages.page(index);
    long wrong = firstWrong(page, address);
    wrong = wrong != 0 ? wrong : firstWrong(address + entry.nrBytes, page + PAGE);
    pages.shut(index);
    String cache = allocator.cacheName(entry.cacheIndex);
    SlabReport report = null;
    lock.lock();
    try {
      entry.freed = SlabEvent.now(allocator.profile());
      entry.state = State.FREED;
      free.addLast(index);
      if (wrong != 0) {
        Description found = describeLocked(wrong);
        report =
            new SlabReport(
                cache,
                "memory corruption " + distanceText(entry, wrong),
                address,
                "BUG " + cache + ": memory corruption found at free\n" + found.text());
      }
    } finally {
      lock.unlock();
    }
    charger.uncharge(payer, entry.chargeBytes);
    if (report != null) {
      allocator.reports().report(report);
    }
  }

  /**
   * Size of a live object.
   *
   * @throws IllegalArgumentException if none starts there
   */
  int sizeOf(long address) {
    lock.lock();
    try {
      Entry entry = entries[indexOf(address)];
      if (entry.state != State.LIVE || entry.address != address) {
        throw new IllegalArgumentException("not an object: " + describeLocked(address).text());
      }
      return entry.nrBytes;
    } finally {
      lock.unlock();
    }
  }

  private int indexOf(long address) {
    GuardMemory pages = memory;
    if (pages == null) {
      throw new IllegalStateException("allocator is closed");
    }
    int index = pages.indexOf(address);
    // A guard page is between two objects: it belongs to the nearer one.
    long left = pages.page(index) - PAGE;
    if (address < left + PAGE / 2 && index > 0) {
      index--;
    }
    return index;
  }

  private static int patternAt(long address) {
    return (PATTERN ^ (int) (address & 7)) & 0xFF;
  }

  private static void fillPattern(long from, long to) {
    for (long address = from; address < to; address++) {
      Mmap.MEMORY.set(JAVA_BYTE, address, (byte) patternAt(address));
    }
  }

  private static long firstWrong(long from, long to) {
    for (long address = from; address < to; address++) {
      if ((Mmap.MEMORY.get(JAVA_BYTE, address) & 0xFF) != patternAt(address)) {
        return address;
      }
    }
    return 0;
  }

  /**
   * What is known of an address: to be asked with the address that an {@link InternalError} was
   * raised for.
   *
   * @param address any
   * @return null if it is not in the pool
   */
  public @Nullable Description describe(long address) {
    if (!contains(address)) {
      return null;
    }
    lock.lock();
    try {
      return describeLocked(address);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Objects that an {@link InternalError} may be about whose address is not known: the freed ones,
   * last freed first, then the live ones, youngest first.
   *
   * @param max how many at most
   * @return their descriptions
   */
  public List<Description> candidates(int max) {
    lock.lock();
    try {
      List<Entry> known = new ArrayList<>();
      for (Entry entry : entries) {
        if (entry.state == State.LIVE || (entry.state == State.FREED && entry.address != 0)) {
          known.add(entry);
        }
      }
      known.sort(
          Comparator.comparing((Entry entry) -> entry.state)
              .reversed()
              .thenComparingLong(
                  entry -> -Math.max(entry.freed.timeNanos(), entry.allocated.timeNanos())));
      return known.stream().limit(max).map(entry -> describeLocked(entry.address)).toList();
    } finally {
      lock.unlock();
    }
  }

  private static long distance(Entry entry, long address) {
    if (address < entry.address) {
      return entry.address - address;
    }
    return Math.max(0, address - (entry.address + entry.nrBytes) + 1);
  }

  private static String distanceText(Entry entry, long address) {
    return distance(entry, address) + "B " + (address < entry.address ? "left of" : "right of");
  }

  private Description describeLocked(long address) {
    Entry entry = entries[indexOf(address)];
    if (entry.address == 0) {
      return new Description(
          Access.INVALID,
          0,
          0,
          0,
          "",
          String.format(Locale.ROOT, "invalid access: address=0x%x, never allocated", address));
    }
    long distance = distance(entry, address);
    Access access =
        entry.state != State.LIVE
            ? Access.USE_AFTER_FREE
            : distance == 0 ? Access.LIVE : Access.OUT_OF_BOUNDS;
    ObjCgroup payer = entry.payer;
    String group = payer == null ? "/" : payer.group().path();
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "%s at 0x%x (%s object 0x%x)%nobject 0x%x size=%d cache=%s cgroup=%s%n",
                access,
                address,
                distance == 0 ? "in" : distanceText(entry, address),
                entry.address,
                entry.address,
                entry.nrBytes,
                allocator.cacheName(entry.cacheIndex),
                group));
    entry.allocated.describe("allocated", allocator.profile().depot(), text);
    entry.freed.describe("freed", allocator.profile().depot(), text);
    return new Description(access, distance, entry.address, entry.nrBytes, group, text.toString());
  }

  /** Live objects of a cache, or all with -1, for the list of what is still allocated. */
  void listLive(int cacheIndex, BiConsumer<String, Integer> groupAndSite) {
    lock.lock();
    try {
      for (Entry entry : entries) {
        ObjCgroup payer = entry.payer;
        if (entry.state == State.LIVE
            && payer != null
            && (cacheIndex < 0 || entry.cacheIndex == cacheIndex)) {
          groupAndSite.accept(
              "group=" + payer.group().path() + " objectSize=" + entry.nrBytes,
              entry.allocated.site());
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** What is live, for a leak scanner. */
  void forEachLive(Consumer<LiveBlock> visitor) {
    List<LiveBlock> live = new ArrayList<>();
    lock.lock();
    try {
      for (Entry entry : entries) {
        if (entry.state == State.LIVE) {
          live.add(
              new LiveBlock(
                  entry.address,
                  entry.nrBytes,
                  1,
                  0,
                  allocator.cacheName(entry.cacheIndex),
                  entry.payer,
                  entry.allocated.site(),
                  "",
                  entry.allocated.timeNanos(),
                  entry.allocated.thread(),
                  entry.allocated));
        }
      }
    } finally {
      lock.unlock();
    }
    live.forEach(visitor);
  }

  /**
   * Live guarded objects.
   *
   * @return at most the size of the pool
   */
  public int nrLive() {
    lock.lock();
    try {
      return nrLive;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Objects that were guarded so far.
   *
   * @return a count
   */
  public long nrSampled() {
    lock.lock();
    try {
      return nrSampled;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Samples that were left out, because the pool was full or the call site is in it already.
   *
   * @return a count
   */
  public long nrSkipped() {
    lock.lock();
    try {
      return nrSkipped;
    } finally {
      lock.unlock();
    }
  }

  /** Gives the pool back; nothing in it is live. */
  void close() {
    off();
    lock.lock();
    try {
      GuardMemory pages = memory;
      memory = null;
      if (pages != null) {
        pages.release();
      }
    } finally {
      lock.unlock();
    }
  }
}
