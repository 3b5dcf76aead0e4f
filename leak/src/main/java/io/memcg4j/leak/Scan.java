package io.memcg4j.leak;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** One scan: marks from the roots, and tells which blocks nobody refers to. */
final class Scan {
  /*
   * Steps      mark from the roots; what is white and young, or white and changed since the last scan,
   *            is gray for this scan; mark on. What is white then is suspect, unless what was allocated
   *            meanwhile refers to it. If there are suspects, all again from fresh roots, without the
   *            look at contents; a suspect that is white again and was allocated all the time is
   *            unreferenced.
   * Invariant  a block is unreferenced only if it was white and of unchanged contents in two scans that
   *            follow each other, allocated all the time between them, and white in the second pass of
   *            the later one; and if it has the minimum age, which a scan knows of all blocks that are
   *            old when the epoch has lasted for that time, and of those that such a scan has found.
   * Not        that a block is found whose address happens to stand somewhere. That none is found whose
   * guaranteed only reference is moved between old holders, or copied to a new one and cleared in the old
   *            one, in each of the looks while they read: two for old holders, as long as a pass each;
   *            eight for new ones, most of which take microseconds for a holder and its successor.
   * Origin     the steps of kmemleak's scan, with the confirmation of 2026.
   */
  /** Where references come from that are in no block. */
  interface Roots {
    /** Calls the sink with every word in {@code [min, max)} that may be a reference. */
    HeapRoots read(long min, long max, LongConsumer sink, Pace pace);

    /** There are none but the gray blocks. */
    Roots NONE = (min, max, sink, pace) -> HeapRoots.NONE;
  }

  /** What is allocated, anew for each look: the map, then what belongs to it. */
  interface Source {
    HeapMap map();

    RangeMap ranges();

    Marker.Specials specials();

    /**
     * Passes on each word of what is young now and no special, while it is looked up.
     *
     * @param before tells which ranges are old
     */
    void readYoung(Remembered before, LongConsumer sink, Pace pace);
  }

  /** Work done and blocks found. */
  record Result(
      List<Found> found,
      Checksums sums,
      IdTable<Suspect> blocks,
      HeapRoots heapRoots,
      long markNanos,
      long nrBlocks,
      long nrScanned,
      long nrScannedBytes,
      long nrUnreadable,
      int nrPasses) {}

  /** A block that nobody refers to. */
  record Found(long address, long nrBytes, int slab, int word, int checksum) {}

  /** Looks at what is young, as somebody may replace a holder while each of them is under way. */
  private static final int NR_YOUNG_LOOKS = 3;

  private final Source source;
  private final Roots roots;
  private final Pace pace;
  private final int nrWorkers;
  private final Remembered before;

  private final long startNanos = System.nanoTime();
  private Consumer<ScanProgress> progress = step -> {};
  private int nrPasses = 1;
  private HeapRoots heapRoots = HeapRoots.NONE;
  private Checksums sums = Checksums.NONE;
  private long markNanos;
  private long nrScanned;
  private long nrScannedBytes;
  private long nrUnreadable;

  /**
   * A scan.
   *
   * @param before what the last scan remembered; its epoch is that of the first look
   */
  Scan(Source source, Roots roots, Pace pace, int nrWorkers, Remembered before) {
    this.source = source;
    this.roots = roots;
    this.pace = pace;
    this.nrWorkers = nrWorkers;
    this.before = before;
  }

  /** Tells of each step as it begins, on the thread that runs the scan. */
  void onProgress(Consumer<ScanProgress> callback) {
    progress = callback;
  }

  private void tell(ScanProgress.Step step) {
    progress.accept(new ScanProgress(step, nrPasses, nrScanned));
  }

  /**
   * Runs it.
   *
   * @param isAged whether the epoch has lasted for the minimum age
   * @throws CancellationException if the pace says so; nothing is remembered then
   * @throws HeapDumpException if the Java heap cannot be read
   */
  Result run(boolean isAged) {
    try (Workers started = new Workers(nrWorkers)) {
      return run(isAged, started);
    }
  }

  private Result run(boolean isAged, Workers workers) {
    IdTable<Suspect> remembered = new IdTable<>();
    Marker first = new Marker(source.map(), source.ranges(), source.specials(), nrWorkers);
    markFromRoots(first, workers);
    tell(ScanProgress.Step.COMPARE);
    List<Found> suspects = grayTheYoungAndChanged(first, isAged, remembered, workers);
    timedDrain(first, workers);
    suspects.removeIf(suspect -> !isWhite(first, suspect));
    suspects = unlessTheNewRefer(first.map, suspects, workers);
    List<Found> found = List.of();
    if (!suspects.isEmpty()) {
      nrPasses = 2;
      Marker second = marker(first.map);
      markFromRoots(second, workers);
      found = unlessTheNewRefer(first.map, confirm(second, suspects), workers);
    }
    for (Found one : found) {
      remembered.put(one.address(), foundAgain(one));
    }
    before
        .blocks()
        .forEach((address, last) -> {
          if (last.isReported()
              && !remembered.contains(address)
              && before.isThere(address, first.map, first.ranges)) {
            remembered.put(
                address,
                sums.contains(address)
                    ? new Suspect(sums.sumAt(address), 0, true, last.sinceNanos())
                    : last.withoutChecksum());
          }
        });
    long nrBlocks = first.map.nrLive() + first.ranges.size();
    return new Result(
        found,
        sums,
        remembered,
        heapRoots,
        markNanos,
        nrBlocks,
        nrScanned,
        nrScannedBytes,
        nrUnreadable,
        nrPasses);
  }

  /** For one more look after the first one. */
  private Marker marker(HeapMap first) {
    HeapMap map = source.map();
    // Allocated before the epoch began, but after the first look at its word: nobody has read it.
    map.isOldOnlyIn(first);
    return new Marker(map, source.ranges(), source.specials(), nrWorkers);
  }

  private void markFromRoots(Marker marker, Workers workers) {
    tell(ScanProgress.Step.ROOTS);
    HeapRoots read =
        roots.read(marker.min, marker.min + marker.span, value -> marker.mark(value), pace);
    heapRoots = read.after(heapRoots);
    tell(ScanProgress.Step.MARK);
    timedDrain(marker, workers);
  }

  /**
   * Without those that can be reached from what was allocated since the scan began. A pass marks
   * what was allocated when it began: who puts a copy in the place of a holder meanwhile has the
   * only references in a block that the pass does not know. The next copy may come while such a
   * block waits to be read, so what is young is first read on the way, several times.
   */
  private List<Found> unlessTheNewRefer(HeapMap first, List<Found> suspects, Workers workers) {
    if (suspects.isEmpty()) {
      return suspects;
    }
    SuspectIndex seen = new SuspectIndex(suspects);
    for (int i = 0; i < NR_YOUNG_LOOKS && !seen.isAllSeen(); i++) {
      source.readYoung(before, seen::look, pace);
    }
    Marker marker = marker(first);
    List<Found> left = confirm(marker, suspects);
    marker.markFromYoung(left, before, seen);
    timedDrain(marker, workers);
    left.removeIf(suspect -> !isWhite(marker, suspect));
    return left;
  }

  private void timedDrain(Marker marker, Workers workers) {
    long start = System.nanoTime();
    drain(marker, workers);
    markNanos += System.nanoTime() - start;
  }

  private void drain(Marker marker, Workers workers) {
    pace.check();
    List<MarkWorker> parts = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      long chunks = marker.map.chunkTable(arena);
      for (int i = 0; i < nrWorkers; i++) {
        parts.add(new MarkWorker(marker, pace, i, chunks, arena));
      }
      marker.startWorkers();
      workers.run(parts, marker::abort); // and ended: their memory is the arena's
    }
    for (MarkShare share : marker.shares) {
      share.dropBatches();
    }
    for (MarkWorker worker : parts) {
      nrScanned += worker.nrObjects;
      nrScannedBytes += worker.nrBytes;
      nrUnreadable += worker.nrUnreadable;
    }
  }

  /** What stays white here is suspect, unless something that turns gray here refers to it. */
  private List<Found> grayTheYoungAndChanged(
      Marker marker, boolean isAged, IdTable<Suspect> remembered, Workers workers) {
    List<WhiteObjects> stretches = WhiteObjects.stretches(marker, pace, before, isAged, nrWorkers);
    workers.run(stretches, () -> {});
    sums = Checksums.of(stretches.stream().map(stretch -> stretch.sums).toList(), startNanos);
    List<Found> suspects = new ArrayList<>();
    stretches.forEach(stretch -> suspects.addAll(stretch.suspects));
    for (int range = 0; range < marker.ranges.size(); range++) {
      addRange(marker, range, isAged, remembered, suspects);
    }
    return suspects;
  }

  private void addRange(
      Marker marker, int range, boolean isAged, IdTable<Suspect> remembered, List<Found> suspects) {
    if (!marker.isWhiteRange(range)) {
      return;
    }
    long start = marker.ranges.start(range);
    long nrBytes = marker.ranges.end(range) - start;
    Integer checksum = ForeignChecksum.of(marker.ranges, range, pace);
    Suspect last = before.isOld(marker.ranges, range) ? before.blocks().get(start) : null;
    if (checksum != null) {
      remembered.put(
          start,
          last == null
              ? new Suspect(checksum, 0, false, startNanos)
              : new Suspect(checksum, 0, last.isReported(), last.sinceNanos()));
    }
    if (checksum != null
        && last != null
        && last.checksum() == checksum
        && last.mayBeFound(isAged)) {
      suspects.add(new Found(start, nrBytes, -1, range, checksum));
    } else {
      marker.grayRange(range);
    }
  }

  /** What to remember of a block that is found; it existed when the epoch began. */
  private Suspect foundAgain(Found one) {
    Suspect last = before.get(one.address());
    if (last == null || last.nrUnreferenced() <= 0) {
      boolean reported = last != null && last.isReported();
      long sinceNanos = before.epochNanos();
      if (last != null && last.sinceNanos() - sinceNanos < 0) {
        sinceNanos = last.sinceNanos();
      }
      return new Suspect(one.checksum(), 1, reported, sinceNanos);
    }
    return new Suspect(
        one.checksum(), last.nrUnreferenced() + 1, last.isReported(), last.sinceNanos());
  }

  private static boolean isWhite(Marker marker, Found block) {
    if (block.slab() < 0) {
      return marker.isWhiteRange(block.word());
    }
    long index = marker.map.indexOf(block.slab(), block.address());
    return (marker.white(block.slab(), block.word()) & HeapMap.bitOf(index)) != 0;
  }

  private List<Found> confirm(Marker later, List<Found> suspects) {
    List<Found> left = new ArrayList<>();
    for (Found suspect : suspects) {
      Found again = confirm(later, suspect);
      if (again != null) {
        left.add(again);
      }
    }
    return left;
  }

  /** The block as a later look sees it, if it is still the same one and still white. */
  private @Nullable Found confirm(Marker second, Found suspect) {
    long address = suspect.address();
    if (suspect.slab() < 0) {
      int range = second.ranges.find(address);
      return range >= 0
              && second.ranges.start(range) == address
              && second.ranges.end(range) - address == suspect.nrBytes()
              && before.isOld(second.ranges, range)
              && second.isWhiteRange(range)
          ? new Found(address, suspect.nrBytes(), -1, range, suspect.checksum())
          : null;
    }
    HeapMap map = second.map;
    int slab = map.findSlab(address);
    if (slab < 0 || map.objectBytes[slab] != suspect.nrBytes()) {
      return null;
    }
    long index = map.indexOf(slab, address);
    int word = map.wordOf(slab, index);
    long bit = HeapMap.bitOf(index);
    return (second.white(slab, word) & map.old[word] & bit) != 0
        ? new Found(address, suspect.nrBytes(), slab, word, suspect.checksum())
        : null;
  }
}
