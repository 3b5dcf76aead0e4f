package io.memcg4j.leak;

import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.ObjectSnapshot;
import io.memcg4j.slab.ObjectTracking;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongConsumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Finds off-heap memory that nobody has a pointer to: blocks of one allocator, and blocks that were
 * registered here. A word anywhere in reachable memory that points into a block, to its start or
 * inside, is a reference. Reachable are registered roots, every {@code long} and native segment in
 * the Java heap, and blocks that are reachable themselves.
 *
 * <p>A block is reported when two scans have found it unreferenced with the same contents, it
 * existed for the minimum age before the later one, and that one's second look confirmed it. A
 * value that lives only in a local variable is not in the Java heap: these conditions are what
 * covers it.
 *
 * <p>Thread-safe. Scans exclude each other; nothing here makes an allocation or a free wait.
 */
public final class Kmemleak {
  /*
   * Invariant  what is remembered between scans is kept under scanning; what the application says,
   *            under lock. A scan works on copies of both.
   * Age        the first snapshot of a scan, and then a new epoch: what is old in the next scan existed
   *            before this one. An epoch is replaced only when it has lasted for the minimum age. The
   *            second snapshot is of the new epoch, so a suspect that is old in it is the same block.
   * Locks      scanning, then lock. Neither is held by an allocation or a free.
   * Failure    what a scan did not expect turns the scanner off, loudly; on() turns it on again. The
   *            allocator does not notice.
   * Origin     Linux mm/kmemleak.c: rules, colours, names; none of its text or code.
   */
  private static final System.Logger LOGGER = System.getLogger(Kmemleak.class.getName());
  private static final Duration DEFAULT_MIN_AGE = Duration.ofSeconds(5);

  private final ObjectTracking tracking;
  private final Kmalloc kmalloc;
  private final JavaHeap javaHeap;
  private final boolean readsJavaHeap;
  private final long minAgeNanos;
  private final int nrWorkers;
  private final int percent;

  private final ReentrantLock scanning = new ReentrantLock();
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by scanning.
  private IdTable<Suspect> remembered = new IdTable<>();
  private long epochBeganNanos;

  // Guarded by lock.
  private SaidOfBlocks said = new SaidOfBlocks();
  private RangeMap ranges = RangeMap.EMPTY;
  private IdTable<String> names = new IdTable<>();
  private IdTable<Boolean> transients = new IdTable<>();

  private volatile long nrScans;
  private volatile int minUnrefScans = 1;
  private volatile boolean isOn = true;
  private volatile boolean isCancelled;

  private Kmemleak(Builder builder) {
    kmalloc = builder.kmalloc;
    tracking = kmalloc.tracking();
    javaHeap = builder.heap;
    readsJavaHeap = builder.readsJavaHeap;
    minAgeNanos = builder.minAge.toNanos();
    nrWorkers = builder.nrWorkers;
    percent = builder.percent;
  }

  /**
   * A scanner to be built.
   *
   * @param kmalloc whose blocks are looked at
   * @return a builder with the defaults: 5 s of minimum age, one worker at full speed, the Java
   *     heap read
   */
  public static Builder builder(Kmalloc kmalloc) {
    return new Builder(kmalloc);
  }

  /** How a scanner works. For one thread. */
  public static final class Builder {
    private final Kmalloc kmalloc;
    private JavaHeap heap = JavaHeap.ofThisJvm();
    private boolean readsJavaHeap = true;
    private Duration minAge = DEFAULT_MIN_AGE;
    private int nrWorkers = 1;
    private int percent = Pace.MAX_PERCENT;

    private Builder(Kmalloc kmalloc) {
      this.kmalloc = kmalloc;
    }

    /**
     * Sets how long a block must have existed before it can be reported.
     *
     * @param age 0 or more
     * @return this
     * @throws IllegalArgumentException if the age is negative
     */
    public Builder minAge(Duration age) {
      if (age.isNegative()) {
        throw new IllegalArgumentException("bad age: minAge=" + age + " legal=0..");
      }
      minAge = age;
      return this;
    }

    /**
     * Sets the threads of a scan.
     *
     * @param workers in {@code 1..64}
     * @return this
     * @throws IllegalArgumentException if out of range
     */
    public Builder workers(int workers) {
      if (workers < 1 || workers > Long.SIZE) {
        throw new IllegalArgumentException("bad number: workers=" + workers + " legal=1..64");
      }
      nrWorkers = workers;
      return this;
    }

    /**
     * Sets the part of the time that each worker is busy, the rest of it sleeping.
     *
     * @param percentBusy in {@code 1..100}
     * @return this
     * @throws IllegalArgumentException if out of range
     */
    public Builder dutyCycle(int percentBusy) {
      if (percentBusy < 1 || percentBusy > Pace.MAX_PERCENT) {
        throw new IllegalArgumentException("bad part: percent=" + percentBusy + " legal=1..100");
      }
      percent = percentBusy;
      return this;
    }

    /**
     * For memory whose only holders are off-heap: no heap dump, no pause, and references from Java
     * objects do not count.
     *
     * @return this
     */
    public Builder withoutJavaHeap() {
      readsJavaHeap = false;
      return this;
    }

    Builder javaHeap(JavaHeap other) {
      heap = other;
      return this;
    }

    /**
     * Builds it.
     *
     * @return a scanner that is on and has not scanned
     */
    public Kmemleak build() {
      return new Kmemleak(this);
    }
  }

  // ---- what the application says

  /**
   * A block of memory that this allocator did not make: it takes part as one of its own does.
   *
   * @param address of its first byte
   * @param nrBytes its size, 1 or more
   * @param name stands for the cache in reports
   * @throws IllegalArgumentException if it overlaps with one that is registered
   */
  public void register(long address, long nrBytes, String name) {
    add(address, nrBytes, name, 1);
  }

  /**
   * Memory that is reachable by itself and may hold references.
   *
   * @param address of its first byte
   * @param nrBytes its size, 1 or more
   * @param name stands for the cache in {@code dump=}
   * @throws IllegalArgumentException if it overlaps with one that is registered
   */
  public void registerRoot(long address, long nrBytes, String name) {
    add(address, nrBytes, name, 0);
  }

  private void add(long address, long nrBytes, String name, int minCount) {
    if (address <= 0 || nrBytes <= 0 || address + nrBytes < address) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "bad range: address=0x%x nrBytes=%d legal=1..", address, nrBytes));
    }
    lock.lock();
    try {
      int other = ranges.findOverlap(address, address + nrBytes);
      if (other >= 0) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "range overlaps: address=0x%x nrBytes=%d otherAddress=0x%x otherBytes=%d",
                address,
                nrBytes,
                ranges.start(other),
                ranges.end(other) - ranges.start(other)));
      }
      // During a scan it counts for the next one: it was not there when this one began.
      long birth = scanning.isLocked() ? nrScans + 1 : nrScans;
      ranges = ranges.with(address, address + nrBytes, minCount, birth);
      names.put(address, name);
    } finally {
      lock.unlock();
    }
  }

  /**
   * The block or root is no more; to be called before its memory is unmapped or used again.
   *
   * @param address as registered
   * @return false if nothing is registered with this address
   */
  public boolean unregister(long address) {
    lock.lock();
    try {
      int range = ranges.find(address);
      if (range < 0 || ranges.start(range) != address) {
        return false;
      }
      ranges = ranges.without(range);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * The block is no leak whoever refers to it; what it refers to is none either.
   *
   * @param address of its first byte
   */
  public void notLeak(long address) {
    change(address, block -> block.as(Attributes.Colour.GRAY, nrScans));
  }

  /**
   * The block is no leak, and its contents are no references.
   *
   * @param address of its first byte
   */
  public void ignore(long address) {
    change(address, block -> block.as(Attributes.Colour.BLACK, nrScans));
  }

  /**
   * The contents of the block are no references.
   *
   * @param address of its first byte
   */
  public void noScan(long address) {
    change(address, block -> block.unscanned(nrScans));
  }

  /**
   * Only this part of the block holds references, and others that are named so.
   *
   * @param address of its first byte
   * @param offset of the part, from there, 0 or more
   * @param nrBytes size of the part, 1 or more; cut where the block ends
   * @throws IllegalArgumentException if a number is out of range
   */
  public void scanArea(long address, long offset, long nrBytes) {
    if (offset < 0 || nrBytes <= 0) {
      throw new IllegalArgumentException(
          "bad area: offset=" + offset + " nrBytes=" + nrBytes + " legal=0.. and 1..");
    }
    change(address, block -> block.with(new Attributes.Area(offset, nrBytes), nrScans));
  }

  /**
   * The block cannot be reported by the next scan: its references are about to be moved.
   *
   * @param address of its first byte
   */
  public void transientLeak(long address) {
    lock.lock();
    try {
      transients.put(address, Boolean.TRUE);
    } finally {
      lock.unlock();
    }
  }

  /**
   * The call site of the block is the caller of this method.
   *
   * @param address of its first byte
   */
  public void update(long address) {
    int trace = kmalloc.profile().depot().capture(1);
    change(address, block -> block.from(trace, nrScans));
  }

  private void change(long address, UnaryOperator<Attributes> by) {
    if (address == 0) {
      return;
    }
    lock.lock();
    try {
      said.change(address, by);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Sets how many scans in a row must find a block unreferenced before it is reported.
   *
   * @param nrScansInARow 1 or more; the scan that only remembers contents does not count
   * @throws IllegalArgumentException if less than 1
   */
  public void minUnrefScans(int nrScansInARow) {
    if (nrScansInARow < 1) {
      throw new IllegalArgumentException(
          "bad number: minUnrefScans=" + nrScansInARow + " legal=1..");
    }
    minUnrefScans = nrScansInARow;
  }

  /**
   * How many scans in a row must find a block unreferenced.
   *
   * @return 1 or more
   */
  public int minUnrefScans() {
    return minUnrefScans;
  }

  // ---- scans

  /** Turns the scanner off; a scan that runs is cancelled. */
  public void off() {
    isOn = false;
    cancel();
  }

  /** Turns the scanner on again. What was remembered is kept. */
  public void on() {
    isOn = true;
  }

  /**
   * Whether scans are possible.
   *
   * @return false after {@link #off} and after an internal error
   */
  public boolean isOn() {
    return isOn;
  }

  /** Cancels the scan that runs; without one, does nothing. */
  public void cancel() {
    if (scanning.isLocked()) {
      isCancelled = true;
    }
  }

  /**
   * Scans once.
   *
   * @return all blocks that are reported now
   * @throws CancellationException if it was cancelled; nothing has changed
   * @throws HeapDumpException if the Java heap could not be read; nothing has changed
   * @throws IllegalStateException if the scanner is off, or the allocator is closed
   */
  public LeakReport scan() {
    scanning.lock();
    try {
      isCancelled = false;
      if (!isOn) {
        throw new IllegalStateException("operation not permitted: kmemleak=off");
      }
      if (!tracking.pin()) {
        throw new IllegalStateException("allocator is closed");
      }
      try {
        return scanPinned();
      } catch (CancellationException | HeapDumpException e) {
        throw e;
      } catch (RuntimeException | Error e) {
        isOn = false;
        LOGGER.log(Level.ERROR, "kmemleak is off: a scan failed; on() turns it on again", e);
        throw e;
      } finally {
        tracking.unpin();
      }
    } finally {
      scanning.unlock();
    }
  }

  private LeakReport scanPinned() {
    long start = System.nanoTime();
    boolean isFirst = !tracking.isOn();
    boolean isOld = !isFirst && start - epochBeganNanos >= minAgeNanos;
    Snapshots source = new Snapshots(tracking.snapshot());
    if (isFirst || isOld) {
      // Before the time is taken: what is allocated in between counts as younger than it is.
      tracking.advance();
      epochBeganNanos = System.nanoTime();
    }
    SaidOfBlocks knownSaid = takeSaid(source.first, isOld);
    Scan.Roots roots = readsJavaHeap ? this::readJavaHeap : Scan.Roots.NONE;
    Pace pace = new Pace(percent, () -> isCancelled);
    long scanNumber = nrScans;
    long oldBirth = isOld ? scanNumber - 1 : -1;
    Scan scan = new Scan(source, roots, knownSaid, pace, nrWorkers, remembered, oldBirth);
    Scan.Result result = scan.run(isOld);
    List<LeakSuspect> suspects = new ArrayList<>();
    int nrNew = 0;
    for (Scan.Found found : result.found()) {
      Suspect suspect = result.suspects().get(found.address());
      if (suspect != null && (suspect.isReported() || suspect.nrUnreferenced() >= minUnrefScans)) {
        nrNew += suspect.isReported() ? 0 : 1;
        result
            .suspects()
            .put(found.address(), new Suspect(suspect.checksum(), suspect.nrUnreferenced(), true));
        suspects.add(describe(source.last, knownSaid, found, suspect.nrUnreferenced()));
      }
    }
    remembered = result.suspects();
    nrScans = scanNumber + 1;
    suspects.sort(Comparator.comparingLong(LeakSuspect::address));
    return new LeakReport(
        suspects,
        nrNew,
        result.heapRoots(),
        System.nanoTime() - start,
        result.markNanos(),
        result.nrBlocks(),
        result.nrScanned(),
        result.nrScannedBytes(),
        result.nrUnreadable(),
        result.nrPasses());
  }

  private HeapRoots readJavaHeap(long min, long max, LongConsumer sink, Pace pace) {
    return javaHeap.read(min, max, sink, pace::isCancelled);
  }

  /** What is said now, cleaned of blocks that are gone, and the wishes for this scan. */
  private SaidOfBlocks takeSaid(HeapMap map, boolean isOld) {
    lock.lock();
    try {
      said = said.stillTrue(map, ranges, isOld, nrScans);
      transients.forEach((address, wish) -> {
        Suspect last = remembered.get(address);
        boolean isReported = last != null && last.isReported();
        remembered.put(address, Suspect.withoutChecksum(isReported));
      });
      transients = new IdTable<>();
      return said.stillTrue(map, ranges, false, nrScans);
    } finally {
      lock.unlock();
    }
  }

  private LeakSuspect describe(
      ObjectSnapshot snapshot, SaidOfBlocks knownSaid, Scan.Found found, int nrScansInARow) {
    Attributes attributes = knownSaid.of(found.address());
    int trace = attributes == null ? 0 : attributes.trace;
    String cgroup = "";
    String cache;
    if (found.slab() < 0) {
      cache = nameOf(found.address());
    } else {
      ObjCgroup owner = snapshot.owner(found.word());
      cgroup = owner == null ? "?" : owner.group().path();
      cache = snapshot.cacheName(found.slab());
      trace = trace == 0 ? tracking.callSite(found.address()) : trace;
    }
    return new LeakSuspect(
        found.address(),
        found.nrBytes(),
        cgroup,
        cache,
        found.checksum(),
        nrScansInARow,
        kmalloc.profile().depot().frames(trace));
  }

  private String nameOf(long address) {
    lock.lock();
    try {
      String name = names.get(address);
      return name == null ? "?" : name;
    } finally {
      lock.unlock();
    }
  }

  /** The snapshots of one scan: one for each pass. */
  private final class Snapshots implements Scan.Source {
    final HeapMap first;
    ObjectSnapshot last;
    private @Nullable HeapMap next;

    Snapshots(ObjectSnapshot snapshot) {
      last = snapshot;
      first = HeapMap.of(snapshot);
      next = first;
    }

    @Override
    public HeapMap map() {
      HeapMap map = next;
      next = null;
      if (map == null) {
        last = tracking.snapshot();
        map = HeapMap.of(last);
      }
      return map;
    }

    @Override
    public RangeMap ranges() {
      lock.lock();
      try {
        return ranges;
      } finally {
        lock.unlock();
      }
    }
  }
}
