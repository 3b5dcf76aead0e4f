package io.memcg4j.leak;

import io.memcg4j.leak.Attributes.Colour;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.LiveBlock;
import io.memcg4j.slab.ObjectTracking;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.LongConsumer;

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
 * <p>Thread-safe. Scans exclude each other; nothing here makes an allocation or a free wait. One
 * scanner for an allocator: when another one has scanned in between, the next scan only remembers.
 */
public final class Kmemleak {
  /*
   * Invariant  what is remembered between scans is kept under scanning; what the application says, in
   *            KnownBlocks. A scan works on copies of both.
   * Also       a block that is said to be no leak, or is in a report, is known to this class by address:
   *            neither of these may be a reference to it, so addresses kept in the JDK's collections
   *            are complemented, and its own classes are no roots (OwnMetadata).
   * Age        the first snapshot of a scan, and then a new epoch: what is old in the next scan existed
   *            before this one. An epoch is replaced only when it has lasted for the minimum age. The
   *            later snapshots are of the new epoch, so a suspect that is old in them is the same block.
   *            Epochs are the allocator's. What was remembered in one that another scanner has ended is
   *            forgotten: it cannot be told whose place a block has taken since.
   * Locks      scanning, then that of KnownBlocks. Neither is held by an allocation or a free.
   * Failure    what a scan did not expect turns the scanner off, loudly; on() turns it on again. The
   *            allocator does not notice.
   * Origin     Linux mm/kmemleak.c: rules, colours, names; none of its text or code.
   */
  private static final System.Logger LOGGER = System.getLogger(Kmemleak.class.getName());
  private static final Duration DEFAULT_MIN_AGE = Duration.ofSeconds(5);
  private static final Duration DEFAULT_FIRST_DELAY = Duration.ofMinutes(1);
  private static final Duration DEFAULT_PERIOD = Duration.ofMinutes(10);
  private static final int HEX_DUMP_BYTES = 32;
  private static final LeakReport NOTHING =
      new LeakReport(List.of(), 0, HeapRoots.NONE, 0, 0, 0, 0, 0, 0, 0);

  private final ObjectTracking tracking;
  private final Kmalloc kmalloc;
  private final JavaHeap javaHeap;
  private final boolean readsJavaHeap;
  private final long minAgeNanos;
  private final int nrWorkers;
  private final int percent;

  private final ReentrantLock scanning = new ReentrantLock();
  private final KnownBlocks known;

  // Guarded by scanning.
  private Remembered remembered = Remembered.nothing();
  private final OutsideBlocks outside = new OutsideBlocks();

  private final PeriodicScan periodic;
  private final Consumer<ScanProgress> progress;
  private final int hexDumpBytes;

  /** Written under scanning. */
  private volatile ScanTotals totals = new ScanTotals(0, 0, NOTHING);

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
    progress = builder.progress;
    hexDumpBytes = builder.hexDumpBytes;
    known = new KnownBlocks(tracking);
    periodic = new PeriodicScan(this, builder.firstDelay, builder.period);
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
    private Duration firstDelay = DEFAULT_FIRST_DELAY;
    private Duration period = DEFAULT_PERIOD;
    private Consumer<ScanProgress> progress = step -> {};
    private int hexDumpBytes;

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
     * Sets the threads of a scan. While it marks, each takes two bits for each object that the
     * slabs have room for.
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
     * Sets the part of the time that each worker is busy, the rest of it sleeping; so does the
     * scan's thread while it is alone. The JVM writes the dump of the Java heap at its own speed.
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

    /**
     * Sets when the thread of {@code scan=on} scans; it is not started by this.
     *
     * @param first delay of its first scan, 0 or more
     * @param every time from the end of a scan to the next one, more than 0
     * @return this
     * @throws IllegalArgumentException if out of range
     */
    public Builder periodic(Duration first, Duration every) {
      if (first.isNegative() || every.isNegative() || every.isZero()) {
        throw new IllegalArgumentException(
            "bad time: firstDelay=" + first + " legal=0.. period=" + every + " legal=1ns..");
      }
      firstDelay = first;
      period = every;
      return this;
    }

    /**
     * Reports show the first 32 bytes of each block. They may be somebody's data: off by default.
     *
     * @return this
     */
    public Builder hexDump() {
      hexDumpBytes = HEX_DUMP_BYTES;
      return this;
    }

    /**
     * Tells how far a scan is, as it begins each of its steps.
     *
     * @param callback on the thread that scans, which waits for it; it may cancel the scan. What it
     *     throws is logged and ignored.
     * @return this
     */
    public Builder onProgress(Consumer<ScanProgress> callback) {
      progress = callback;
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
   * A block of memory that this allocator did not make: it takes part as one of its own does. Cost:
   * a copy of the list of what is registered, so for thousands of blocks, not for millions.
   *
   * @param address of its first byte
   * @param nrBytes its size, 1 or more
   * @param name stands for the cache in reports
   * @throws IllegalArgumentException if it overlaps with one that is registered, or with memory of
   *     the allocator
   */
  public void register(long address, long nrBytes, String name) {
    known.add(address, nrBytes, name, 1);
  }

  /**
   * Memory that is reachable by itself and may hold references.
   *
   * @param address of its first byte
   * @param nrBytes its size, 1 or more
   * @param name stands for the cache in {@code dump=}
   * @throws IllegalArgumentException if it overlaps with one that is registered, or with memory of
   *     the allocator
   */
  public void registerRoot(long address, long nrBytes, String name) {
    known.add(address, nrBytes, name, 0);
  }

  /**
   * The block or root is no more; to be called before its memory is unmapped or used again.
   *
   * @param address as registered
   * @return false if nothing is registered with this address
   */
  public boolean unregister(long address) {
    return known.remove(address);
  }

  /**
   * The block is no leak whoever refers to it; what it refers to is none either.
   *
   * <p>As for the other calls about a block, an address that is in no block, or inside one where
   * its first byte is asked for, is a mistake that is logged and changes nothing; 0 is ignored.
   *
   * @param address of its first byte
   */
  public void notLeak(long address) {
    known.change("notLeak", address, said -> said.as(Colour.GRAY));
  }

  /**
   * As {@link #notLeak(long)}.
   *
   * @param block native; where it starts counts
   */
  public void notLeak(MemorySegment block) {
    notLeak(addressOf(block));
  }

  /**
   * The block is no leak, and its contents are no references.
   *
   * @param address of its first byte
   */
  public void ignore(long address) {
    known.change("ignore", address, said -> said.as(Colour.BLACK));
  }

  /**
   * As {@link #ignore(long)}.
   *
   * @param block native; where it starts counts
   */
  public void ignore(MemorySegment block) {
    ignore(addressOf(block));
  }

  /**
   * The contents of the block are no references.
   *
   * @param address of its first byte
   */
  public void noScan(long address) {
    known.change("noScan", address, Attributes::unscanned);
  }

  /**
   * As {@link #noScan(long)}.
   *
   * @param block native; where it starts counts
   */
  public void noScan(MemorySegment block) {
    noScan(addressOf(block));
  }

  /**
   * Only this part of the block holds references, and others that are named so. A part that is not
   * wholly in the block is a mistake that is logged and changes nothing.
   *
   * @param address in the block, not only of its first byte
   * @param offset of the part, from there, 0 or more
   * @param nrBytes size of the part, 1 or more; {@code Long.MAX_VALUE} for the rest of the block
   * @throws IllegalArgumentException if a number is out of range
   */
  public void scanArea(long address, long offset, long nrBytes) {
    if (offset < 0 || nrBytes <= 0) {
      throw new IllegalArgumentException(
          "bad area: offset=" + offset + " nrBytes=" + nrBytes + " legal=0.. and 1..");
    }
    known.addArea(address, offset, nrBytes);
  }

  /**
   * As {@link #scanArea(long, long, long)}, for a part that is a segment.
   *
   * @param part native, of the block's memory, 1 byte or more
   * @throws IllegalArgumentException if it is empty
   */
  public void scanArea(MemorySegment part) {
    scanArea(addressOf(part), 0, part.byteSize());
  }

  /**
   * The block cannot be reported by the next scan: its references are about to be moved.
   *
   * @param address of its first byte
   */
  public void transientLeak(long address) {
    known.addTransient(address);
  }

  /**
   * As {@link #transientLeak(long)}.
   *
   * @param block native; where it starts counts
   */
  public void transientLeak(MemorySegment block) {
    transientLeak(addressOf(block));
  }

  /**
   * The call site of the block is the caller of this method.
   *
   * @param address in the block, not only of its first byte
   */
  public void update(long address) {
    update(address, kmalloc.profile().depot().capture(1));
  }

  /**
   * As {@link #update(long)}.
   *
   * @param block native; where it starts counts
   */
  public void update(MemorySegment block) {
    update(addressOf(block), kmalloc.profile().depot().capture(1));
  }

  private void update(long address, int trace) {
    known.changeAround("update", address, said -> said.from(trace));
  }

  /**
   * Sets a word that holds a reference to 0, so that what was left in it counts no longer.
   *
   * @param holder native, at least 8 bytes, aligned to 8; the first word is set
   * @throws IllegalArgumentException if it is not native or not aligned
   * @throws IndexOutOfBoundsException if it is shorter
   * @throws IllegalStateException if it was closed
   */
  public void erase(MemorySegment holder) {
    if ((addressOf(holder) & (Long.BYTES - 1)) != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "bad word: address=0x%x legal=aligned to 8", holder.address()));
    }
    holder.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, 0);
  }

  /**
   * As {@link #erase(MemorySegment)}, for a word in a block of the allocator or in registered
   * memory; anywhere else it is a mistake that is logged and changes nothing.
   *
   * @param holder address of the word, aligned to 8
   * @throws IllegalArgumentException if it is not aligned
   */
  public void erase(long holder) {
    LiveBlock block = known.find(holder);
    if (block == null || block.address() + block.nrBytes() - holder < Long.BYTES) {
      if (holder != 0) {
        known.warn("erase in an unknown object", holder);
      }
    } else {
      erase(Memory.ALL.asSlice(holder, Long.BYTES));
    }
  }

  private static long addressOf(MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("not native: segment=" + segment);
    }
    return segment.address();
  }

  /**
   * Calls about blocks that do not exist, so far; each was logged.
   *
   * @return a count
   */
  public long nrWarnings() {
    return known.nrWarnings();
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

  /** Turns the scanner off, and its thread; a scan that runs is cancelled. */
  public void off() {
    isOn = false;
    periodic.stop();
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
   * <p>Before the minimum age is over since the last scan, it looks only whether what was found is
   * still unreferenced and of the same contents.
   *
   * @return all blocks that are reported now
   * @throws CancellationException if it was cancelled; what is reported stays so, and the next scan
   *     has nothing to compare with
   * @throws HeapDumpException if the Java heap could not be read; as if it was cancelled
   * @throws IllegalStateException if the scanner is off, or the allocator is closed
   */
  public LeakReport scan() {
    return scan(() -> false);
  }

  /** As {@link #scan()}; cancelled also when its caller says so. */
  LeakReport scan(BooleanSupplier stopped) {
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
        return scanPinned(stopped);
      } catch (CancellationException | HeapDumpException e) {
        throw e;
      } catch (RuntimeException | Error e) {
        isOn = false;
        periodic.stop();
        LOGGER.log(Level.ERROR, "kmemleak is off: a scan failed; on() turns it on again", e);
        throw e;
      } finally {
        tracking.unpin();
      }
    } finally {
      scanning.unlock();
    }
  }

  /**
   * How many scans there were, and what the last one found. Does not wait for a scan.
   *
   * @return figures of one moment
   */
  public ScanTotals totals() {
    return totals;
  }

  private LeakReport scanPinned(BooleanSupplier stopped) {
    LeakEvents.LeakScan event = LeakEvents.begin();
    long start = System.nanoTime();
    Remembered before = takeRemembered();
    boolean isAged = before.epoch() != 0 && start - before.epochNanos() >= minAgeNanos;
    Snapshots source = new Snapshots(tracking, known, outside);
    if (isAged || before.epoch() == 0) {
      // Before the time is taken: what is allocated in between counts as younger than it is.
      int epoch = tracking.advance();
      remembered = before.intoNext(source.first(), source.ranges(), epoch, System.nanoTime());
    }
    source.expect(remembered.epoch());
    known.takeTransients(before.blocks());
    Scan.Roots roots = readsJavaHeap ? this::readJavaHeap : Scan.Roots.NONE;
    Pace pace = new Pace(percent, () -> isCancelled || stopped.getAsBoolean());
    Scan scan = new Scan(source, roots, pace, nrWorkers, before);
    scan.onProgress(this::tell);
    Scan.Result result = scan.run(isAged);
    List<Scan.Found> found = new ArrayList<>();
    Set<Long> newOnes = new HashSet<>();
    for (Scan.Found one : result.found()) {
      Suspect suspect = result.blocks().get(one.address());
      if (suspect != null && (suspect.isReported() || suspect.nrUnreferenced() >= minUnrefScans)) {
        if (!suspect.isReported()) {
          newOnes.add(~one.address());
        }
        result.blocks().put(one.address(), suspect.reported());
        found.add(one);
      }
    }
    found.sort(Comparator.comparingLong(Scan.Found::address));
    Describer describer =
        new Describer(kmalloc, source.last(), source.ranges(), hexDumpBytes, pace);
    List<LeakSuspect> suspects =
        describer.describe(found, result.blocks(), source.specials(), known::nameOf);
    remembered =
        new Remembered(result.sums(), result.blocks(), remembered.epoch(), remembered.epochNanos());
    LeakReport report =
        new LeakReport(
            suspects,
            newOnes.size(),
            result.heapRoots(),
            System.nanoTime() - start,
            result.markNanos(),
            result.nrBlocks(),
            result.nrScanned(),
            result.nrScannedBytes(),
            result.nrUnreadable(),
            result.nrPasses());
    totals = totals.with(report);
    List<LeakSuspect> newSuspects =
        suspects.stream().filter(suspect -> newOnes.contains(~suspect.address())).toList();
    LeakEvents.commit(event, report, newSuspects);
    tell(new ScanProgress(ScanProgress.Step.DONE, result.nrPasses(), result.nrScanned()));
    return report;
  }

  /** What is remembered, if the epoch that began with it is still the current one. */
  private Remembered takeRemembered() {
    int epoch = remembered.epoch();
    if (epoch != 0 && epoch != tracking.epoch()) {
      LOGGER.log(
          Level.WARNING,
          "another scanner of this allocator has begun an epoch: what was found is forgotten");
      remembered = Remembered.nothing();
    }
    return remembered;
  }

  private void tell(ScanProgress step) {
    try {
      progress.accept(step);
    } catch (RuntimeException | Error e) {
      LOGGER.log(Level.WARNING, "progress callback failed", e);
    }
  }

  private HeapRoots readJavaHeap(long min, long max, LongConsumer sink, Pace pace) {
    return javaHeap.read(min, max, sink, pace);
  }

  // ---- the kmemleak file

  /**
   * What the last scan found. Does not scan and does not wait for one.
   *
   * @return the report of that scan, of whatever thread; without suspects before the first one and
   *     after {@code clear}
   */
  public LeakReport last() {
    return totals.last();
  }

  /**
   * What is reported and still unreferenced and allocated, as far as the last scan knows. Does not
   * scan and does not wait for one.
   *
   * @return kmemleak's text, each block by itself; empty if there is none
   * @throws IllegalStateException if the allocator is closed
   */
  public String read() {
    List<LeakSuspect> found = totals.last().suspects();
    if (found.isEmpty()) {
      return "";
    }
    if (!tracking.pin()) {
      throw new IllegalStateException("allocator is closed");
    }
    try {
      return LeakText.list(known.stillThere(found));
    } finally {
      tracking.unpin();
    }
  }

  /**
   * A command of the kmemleak file. As there, the first that the text begins with counts, only the
   * first 63 characters are looked at, and numbers are decimal, octal with a leading 0, or
   * hexadecimal with a leading 0x.
   *
   * <table>
   * <caption>Commands</caption>
   * <tr><td>{@code clear}</td><td>what is reported is no leak any more, but still scanned; while the
   * scanner is off: what scans have remembered is forgotten</td></tr>
   * <tr><td>{@code off}</td><td>{@link #off}</td></tr>
   * <tr><td>{@code stack=on}</td><td>refused: values that only live in a thread's locals are in no
   * heap dump; see the class. Objects that locals refer to are</td></tr>
   * <tr><td>{@code stack=off}</td><td>nothing: it is so</td></tr>
   * <tr><td>{@code scan=on}, {@code scan=off}</td><td>starts and stops the thread that scans
   * periodically</td></tr>
   * <tr><td>{@code scan=SECS}</td><td>the thread's period, and starts it anew; 0 stops it</td></tr>
   * <tr><td>{@code scan}</td><td>{@link #scan}</td></tr>
   * <tr><td>{@code dump=ADDR}</td><td>what is known of the block with this address</td></tr>
   * </table>
   *
   * @param command the text
   * @return what there is to say: the report of {@code scan}, the block of {@code dump=}; else
   *     empty
   * @throws IllegalArgumentException if it is no command, its number is none, no block has the
   *     address, or stacks shall be scanned
   * @throws IllegalStateException if the scanner is off and the command is not {@code clear}
   * @throws CancellationException if {@code scan} was cancelled
   * @throws HeapDumpException if {@code scan} could not read the Java heap
   */
  public String write(String command) {
    return Command.run(this, command);
  }

  /** See {@link #write}. */
  void clear() {
    scanning.lock();
    try {
      if (isOn) {
        grayReported();
      } else {
        remembered = Remembered.nothing();
        outside.forget();
        if (!known.hasSaid()) {
          tracking.stop(); // else blocks are watched that something was said of
        }
      }
      totals = totals.with(NOTHING, 0);
    } finally {
      scanning.unlock();
    }
  }

  private void grayReported() {
    List<LeakSuspect> reported = totals.last().suspects();
    if (reported.isEmpty() || !tracking.pin()) {
      return;
    }
    try {
      known.gray(
          reported,
          () -> {
            HeapMap map = HeapMap.of(tracking.snapshot());
            RangeMap ranges = known.ranges().with(outside.look(tracking));
            return address -> remembered.isThere(address, map, ranges);
          });
    } finally {
      tracking.unpin();
    }
  }

  /** The thread of {@code scan=on}. */
  PeriodicScan periodic() {
    return periodic;
  }

  /** See {@link #write}. */
  String dump(long address) {
    LiveBlock block = known.find(address);
    if (block == null || block.address() != address) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "invalid argument: dump=0x%x legal=address of a block", address));
    }
    Attributes said = known.said(address);
    int trace = said == null || said.trace == 0 ? block.site() : said.trace;
    List<StackTraceElement> frames = kmalloc.profile().depot().frames(trace);
    scanning.lock();
    try {
      return LeakText.dump(block, known.minCount(address), remembered.get(address), frames);
    } finally {
      scanning.unlock();
    }
  }
}
