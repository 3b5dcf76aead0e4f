package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which blocks a scan finds: those that no word of reachable memory points into. */
final class ScanTest {
  private static final int SIZE = 64;

  private final FakeHeap heap = new FakeHeap(64);
  private final List<Long> javaHeap = new ArrayList<>();
  private final Said said = new Said();
  private Remembered remembered = Remembered.nothing();
  private int scanNumber;
  private int nrWorkers = 1;

  /** What the application does between the look at what is allocated and the look at the roots. */
  private Runnable afterSnapshot = () -> {};

  private final Scan.Roots roots =
      (min, max, sink, pace) -> {
        afterSnapshot.run();
        for (long value : javaHeap) {
          if (value >= min && value < max) {
            sink.accept(value);
          }
        }
        return HeapRoots.NONE;
      };

  @BeforeEach
  void sayIt() {
    heap.specials = said;
  }

  @AfterEach
  void closeHeap() {
    heap.close();
  }

  /** One scan; what is allocated now is old in the next one. */
  private Set<Long> scan() {
    Set<Long> found = scan(true);
    heap.age();
    remembered =
        new Remembered(remembered.sums(), remembered.blocks(), ++scanNumber, System.nanoTime());
    return found;
  }

  /** A scan before the minimum age is over, if not aged: the epoch stays. */
  private Set<Long> scan(boolean isAged) {
    Scan.Result result = new Scan(heap, roots, Pace.FULL, nrWorkers, remembered).run(isAged);
    remembered =
        new Remembered(result.sums(), result.blocks(), remembered.epoch(), remembered.epochNanos());
    Set<Long> found = new TreeSet<>();
    result.found().forEach(block -> found.add(block.address()));
    return found;
  }

  private Set<Long> scanTwice() {
    assertEquals(Set.of(), scan(), "the first scan only remembers");
    return scan();
  }

  /**
   * Copy on write: each pass knows a holder that is cleared, and not the one that took its place.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void holderIsReplacedInEachPass_whatItHeldIsNotFound(int workers) {
    nrWorkers = workers;
    int slab = heap.addSlab(SIZE, 1);
    int others = heap.addSlab(SIZE, 1);
    long leaked = heap.allocate(slab, 0);
    long held = heap.allocate(slab, 1);
    long heldByHeld = heap.allocate(slab, 2);
    FakeHeap.put(held, heldByHeld);
    AtomicInteger nrHolders = new AtomicInteger();
    afterSnapshot =
        () -> {
          int now = nrHolders.incrementAndGet();
          if (now > 1) {
            FakeHeap.put(javaHeap.removeFirst(), 0);
            heap.free(others, now - 1);
          }
          javaHeap.add(heap.allocate(others, now));
          FakeHeap.put(javaHeap.getFirst(), held);
        };
    afterSnapshot.run();
    assertEquals(Set.of(leaked), scanTwice());
    assertEquals(Set.of(leaked), scan());
    heap.free(slab, 0);
    int nrPasses = nrHolders.get() + 1;
    assertEquals(Set.of(), scan());
    assertEquals(nrPasses, nrHolders.get(), "a first look at the new one spares the second pass");
  }

  /** A holder does not live as long as it takes to read what one look has found. */
  @Test
  void holderIsReplacedAfterEachLook_whatItHeldIsNotFound() {
    int slab = heap.addSlab(SIZE, 1);
    int others = heap.addSlab(SIZE, 1);
    long leaked = heap.allocate(slab, 0);
    long held = heap.allocate(slab, 1);
    FakeHeap.put(held, heap.allocate(slab, 2));
    long area = heap.foreign(SIZE);
    heap.ranges = RangeMap.EMPTY.with(area, area + SIZE, 1, 0);
    AtomicInteger nrHolders = new AtomicInteger();
    heap.afterMap =
        () -> {
          int now = nrHolders.incrementAndGet();
          if (now > 1) {
            FakeHeap.put(javaHeap.getFirst() + 8, 0);
            FakeHeap.put(javaHeap.removeFirst(), 0);
            heap.free(others, now - 1);
          }
          javaHeap.add(heap.allocate(others, now));
          FakeHeap.put(javaHeap.getFirst(), held);
          FakeHeap.put(javaHeap.getFirst() + 8, area + 8);
        };
    afterSnapshot = heap.afterMap;
    heap.afterMap.run();
    assertEquals(Set.of(leaked), scanTwice());
    assertEquals(Set.of(leaked), scan());
  }

  /** The first pass finds no reference at all, the second one does not know who has it. */
  @Test
  void pointerComesFromALocalToANewHolder_whatItRefersToIsNotFound() {
    int slab = heap.addSlab(SIZE, 1);
    long held = heap.allocate(slab, 1);
    assertEquals(Set.of(), scan());
    AtomicInteger nrPasses = new AtomicInteger();
    afterSnapshot =
        () -> {
          if (nrPasses.incrementAndGet() == 2) {
            long holder = heap.allocate(slab, 2);
            FakeHeap.put(holder, held);
            javaHeap.add(holder);
          }
        };
    assertEquals(Set.of(), scan());
    assertEquals(2, nrPasses.get());
  }

  /** Allocated after the first look at its slab, and before the epoch that makes it young. */
  @Test
  void newHolderIsOldForLaterLooks_whatItHoldsIsSeenAllTheSame() {
    int slab = heap.addSlab(SIZE, 1);
    long held = heap.allocate(slab, 1);
    long heldByNewSlab = heap.allocate(slab, 2);
    assertEquals(Set.of(), scan());
    AtomicInteger nrPasses = new AtomicInteger();
    afterSnapshot =
        () -> {
          nrPasses.incrementAndGet();
          javaHeap.add(heap.allocate(slab, 3));
          FakeHeap.put(javaHeap.getLast(), held);
          javaHeap.add(heap.allocate(heap.addSlab(128, 1), 3));
          FakeHeap.put(javaHeap.getLast(), heldByNewSlab);
          heap.age();
        };
    assertEquals(Set.of(), scan());
    assertEquals(1, nrPasses.get());
  }

  /** The same with holders outside the slabs. */
  @Test
  void areaIsReplacedInEachPass_whatItHeldIsNotFound() {
    int slab = heap.addSlab(SIZE, 1);
    long leaked = heap.allocate(slab, 0);
    long held = heap.allocate(slab, 1);
    afterSnapshot =
        () -> {
          if (!javaHeap.isEmpty()) {
            long before = javaHeap.removeFirst();
            FakeHeap.put(before, 0);
            heap.ranges = heap.ranges.without(heap.ranges.find(before));
          }
          long area = heap.foreign(SIZE);
          heap.ranges = heap.ranges.with(area, area + SIZE, 1, scanNumber);
          FakeHeap.put(area, held);
          javaHeap.add(area);
        };
    afterSnapshot.run();
    assertEquals(Set.of(leaked), scanTwice());
    assertEquals(Set.of(leaked), scan());
  }

  @Test
  void unreferenced_isFoundByTheSecondScan() {
    int slab = heap.addSlab(SIZE, 1);
    long leaked = heap.allocate(slab, 3);
    long held = heap.allocate(slab, 5);
    javaHeap.add(held);
    assertEquals(Set.of(leaked), scanTwice());
    assertEquals(Set.of(leaked), scan(), "and stays unreferenced");
  }

  /** Before the minimum age is over again. */
  @Test
  void scanIsTooEarly_findsAgainWhatWasFound_andNothingElse() {
    int slab = heap.addSlab(SIZE, 1);
    long first = heap.allocate(slab, 0);
    long changed = heap.allocate(slab, 1);
    long root = heap.foreign(SIZE);
    heap.ranges = RangeMap.EMPTY.with(root, root + SIZE, 1, 0);
    assertEquals(Set.of(root, first, changed), scanTwice());
    long second = heap.allocate(slab, 2);
    FakeHeap.put(changed, 1);
    assertEquals(Set.of(root, first), scan(false));
    assertEquals(2, known(first).nrUnreferenced());
    assertEquals(2, known(root).nrUnreferenced());
    assertFalse(known(root).isReported());
    assertEquals(Set.of(root, first), scan(false), "changed: not found before, of these contents");
    javaHeap.add(first);
    assertEquals(Set.of(root), scan(false));
    assertEquals(Set.of(changed, root), scan());
    assertEquals(Set.of(changed, root, second), scan());
    FakeHeap.put(root, 1);
    assertEquals(Set.of(changed, second), scan());
    assertFalse(known(root).isReported());
  }

  private Suspect known(long address) {
    return Objects.requireNonNull(remembered.get(address));
  }

  @Test
  void reportedBlockIsReplaced_theNewOneHasNotBeenReported() {
    int slab = heap.addSlab(SIZE, 1);
    long leaked = heap.allocate(slab, 0);
    long kept = heap.allocate(slab, 1);
    long range = heap.foreign(SIZE);
    heap.ranges = RangeMap.EMPTY.with(range, range + SIZE, 1, 0);
    assertEquals(Set.of(leaked, kept, range), scanTwice());
    for (long address : List.of(leaked, kept, range)) {
      remembered.blocks().put(address, known(address).reported());
    }
    javaHeap.add(kept);
    heap.free(slab, 0);
    heap.allocate(slab, 0);
    heap.ranges = RangeMap.EMPTY.with(range, range + SIZE, 1, scanNumber);
    assertEquals(Set.of(), scan());
    assertFalse(known(leaked).isReported());
    assertFalse(known(range).isReported());
    assertTrue(known(kept).isReported(), "referenced for a while");
    assertEquals(Set.of(leaked, range), scan());
    assertFalse(known(leaked).isReported());
    assertEquals(1, known(leaked).nrUnreferenced());
  }

  @Test
  void scanIsCancelled_whatWasReportedStaysSo_allElseStartsAnew() {
    int slab = heap.addSlab(SIZE, 1);
    long reported = heap.allocate(slab, 0);
    long gone = heap.allocate(slab, 1);
    long leaked = heap.allocate(slab, 2);
    assertEquals(Set.of(reported, gone, leaked), scanTwice());
    for (long address : List.of(reported, gone)) {
      remembered.blocks().put(address, known(address).reported());
    }
    heap.free(slab, 1);
    heap.allocate(slab, 1);
    remembered = remembered.intoNext(heap.map(), heap.ranges, ++scanNumber, 0);
    heap.age();
    assertTrue(known(reported).isReported());
    assertEquals(1, remembered.blocks().size());
    assertEquals(Set.of(), scan());
    assertEquals(Set.of(reported, gone, leaked), scan());
    assertTrue(known(reported).isReported());
    assertFalse(known(gone).isReported());
  }

  @Test
  void interiorPointer_keepsAlive_unalignedWordDoesNot() {
    int slab = heap.addSlab(SIZE, 1);
    long root = heap.allocate(slab, 0);
    javaHeap.add(root);
    long interior = heap.allocate(slab, 1);
    long unaligned = heap.allocate(slab, 2);
    long behind = heap.allocate(slab, 3); // its neighbour 4 is free
    FakeHeap.put(root, interior + SIZE - 1);
    FakeHeap.put(root + 12, unaligned);
    FakeHeap.put(root + 32, behind + SIZE);
    assertEquals(Set.of(unaligned, behind), scanTwice());
  }

  @Test
  void pointersWhereNoSlabIs_areNoReferences() {
    long root = heap.foreign(64);
    FakeHeap.put(root, heap.base);
    FakeHeap.put(root + 8, heap.base + 5 * FakeHeap.CHUNK);
    javaHeap.add(heap.base + 8);
    heap.ranges = RangeMap.EMPTY.with(root, root + 64, 0, 0);
    assertEquals(Set.of(), scanTwice(), "there is no slab at all");
    long first = heap.allocate(heap.addSlab(SIZE, 2), 0);
    FakeHeap.put(root, heap.base + 3 * FakeHeap.CHUNK);
    javaHeap.set(0, heap.base + 4 * FakeHeap.CHUNK);
    assertEquals(Set.of(first), scanTwice());
  }

  @Test
  void selfReferenceAndCycle_doNotCount() {
    int slab = heap.addSlab(SIZE, 1);
    long self = heap.allocate(slab, 0);
    FakeHeap.put(self + 8, self);
    long one = heap.allocate(slab, 1);
    long other = heap.allocate(slab, 2);
    FakeHeap.put(one, other);
    FakeHeap.put(other, one + 8);
    assertEquals(Set.of(self, one, other), scanTwice());
  }

  @Test
  void listOfTen_isHeldByItsHeadAndLostWithIt() {
    int slab = heap.addSlab(SIZE, 1);
    Set<Long> nodes = new TreeSet<>();
    long next = 0;
    for (int i = 0; i < 10; i++) {
      long node = heap.allocate(slab, i * 7);
      FakeHeap.put(node + 16, next);
      nodes.add(node);
      next = node;
    }
    javaHeap.add(next);
    assertEquals(Set.of(), scanTwice());
    javaHeap.clear();
    assertEquals(nodes, scanTwice());
  }

  @Test
  void youngOrChanging_isNotFoundAndHoldsWhatItRefersTo() {
    int slab = heap.addSlab(SIZE, 1);
    long changing = heap.allocate(slab, 0);
    long behindChanging = heap.allocate(slab, 1);
    FakeHeap.put(changing, behindChanging);
    long kept = heap.allocate(slab, 2);
    long leaked = heap.allocate(slab, 3);
    assertEquals(Set.of(), scan());
    FakeHeap.put(changing + 8, 1);
    long young = heap.allocate(slab, 4);
    FakeHeap.put(young, kept);
    assertEquals(Set.of(leaked), scan());
    assertEquals(Set.of(changing, behindChanging, kept, leaked, young), scan(), "at rest, all are");
  }

  /** A checksum belongs to a block, not to an address. */
  @Test
  void freedAndAllocatedAgain_startsAnew() {
    int slab = heap.addSlab(SIZE, 1);
    long address = heap.allocate(slab, 0);
    assertEquals(Set.of(), scan());
    heap.free(slab, 0);
    heap.allocate(slab, 0);
    assertEquals(Set.of(), scan());
    assertEquals(Set.of(address), scan());
  }

  @Test
  void zeroedBlock_alsoTakesTwoScans() {
    long zeroes = heap.allocate(heap.addLarge(100_000), 0);
    assertEquals(Set.of(zeroes), scanTwice());
  }

  @Test
  void freeObject_isNeitherFoundNorAHolder() {
    int slab = heap.addSlab(SIZE, 1);
    long holder = heap.allocate(slab, 0);
    long held = heap.allocate(slab, 1);
    FakeHeap.put(holder, held);
    javaHeap.add(holder);
    assertEquals(Set.of(), scanTwice());
    heap.free(slab, 0);
    assertEquals(Set.of(held), scanTwice());
  }

  @Test
  void tailOfASlab_isInNoObject() {
    int slab = heap.addSlab(3000, 1);
    int nrObjects = heap.nrObjects(slab);
    long last = heap.allocate(slab, nrObjects - 1);
    int next = heap.addSlab(SIZE, 1);
    long neighbour = heap.allocate(next, 0);
    javaHeap.add(last + 3000);
    assertTrue(last + 3000 < neighbour);
    assertEquals(Set.of(last, neighbour), scanTwice());
  }

  @Test
  void largeObject_isHeldByAnyWordAndReadToItsEnd() {
    long nrBytes = 3 * FakeHeap.CHUNK - 4096;
    long large = heap.allocate(heap.addLarge(nrBytes), 0);
    long small = heap.allocate(heap.addSlab(SIZE, 1), 9);
    FakeHeap.put(large + nrBytes - 8, small);
    javaHeap.add(large + 2 * FakeHeap.CHUNK);
    assertEquals(Set.of(), scanTwice());
    javaHeap.set(0, large + nrBytes);
    assertEquals(Set.of(large, small), scanTwice());
  }

  @Test
  void pointerThatMovesMeanwhile_isConfirmedBySecondPass() {
    int slab = heap.addSlab(SIZE, 1);
    long moving = heap.allocate(slab, 0);
    long leaked = heap.allocate(slab, 1);
    assertEquals(Set.of(), scan());
    AtomicInteger nrReads = new AtomicInteger();
    Scan.Roots late =
        (min, max, sink, pace) -> {
          if (nrReads.getAndIncrement() > 0) {
            sink.accept(moving);
          }
          return HeapRoots.NONE;
        };
    Scan.Result result = new Scan(heap, late, Pace.FULL, 1, remembered).run(true);
    assertEquals(List.of(leaked), result.found().stream().map(Scan.Found::address).toList());
    assertEquals(2, result.nrPasses());
  }

  @Test
  void noSuspects_needsOnePass() {
    javaHeap.add(heap.allocate(heap.addSlab(SIZE, 1), 0));
    scan();
    assertEquals(1, new Scan(heap, roots, Pace.FULL, 1, remembered).run(true).nrPasses());
  }

  // ---- what the application says

  @Test
  void colours_areObeyed() {
    int slab = heap.addSlab(SIZE, 1);
    long gray = heap.allocate(slab, 0);
    long behindGray = heap.allocate(slab, 1);
    FakeHeap.put(gray, behindGray);
    long black = heap.allocate(slab, 2);
    long behindBlack = heap.allocate(slab, 3);
    FakeHeap.put(black, behindBlack);
    said.attributes.put(gray, Attributes.NONE.as(Attributes.Colour.GRAY));
    said.attributes.put(black, Attributes.NONE.as(Attributes.Colour.BLACK));
    javaHeap.add(black);
    assertEquals(Set.of(behindBlack), scanTwice());
  }

  @Test
  void noScanAndAreas_areObeyed() {
    int slab = heap.addSlab(SIZE, 1);
    long unscanned = heap.allocate(slab, 0);
    long behindUnscanned = heap.allocate(slab, 1);
    FakeHeap.put(unscanned, behindUnscanned);
    long partly = heap.allocate(slab, 2);
    long inArea = heap.allocate(slab, 3);
    long outside = heap.allocate(slab, 4);
    FakeHeap.put(partly + 16, inArea);
    FakeHeap.put(partly + 32, outside);
    javaHeap.addAll(List.of(unscanned, partly));
    said.attributes.put(unscanned, Attributes.NONE.unscanned());
    said.attributes.put(
        partly,
        Attributes.NONE.with(new Attributes.Area(16, 8)).with(new Attributes.Area(56, 1000)));
    assertEquals(Set.of(behindUnscanned, outside), scanTwice());
  }

  // ---- ranges outside the slabs

  @Test
  void ranges_areRootsBlocksAndHolders() {
    int slab = heap.addSlab(SIZE, 1);
    long rooted = heap.allocate(slab, 0);
    long held = heap.allocate(slab, 1);
    long root = heap.foreign(100);
    long block = heap.foreign(200_000);
    long lost = heap.foreign(64);
    FakeHeap.put(root + 40, rooted);
    FakeHeap.put(root + 48, block + 150_000);
    FakeHeap.put(block + 199_992, held);
    FakeHeap.put(lost, lost + 8);
    heap.ranges =
        RangeMap.EMPTY
            .with(block, block + 200_000, 1, 0)
            .with(root, root + 100, 0, 0)
            .with(lost, lost + 64, 1, 0);
    assertEquals(Set.of(lost), scanTwice());
    FakeHeap.put(root + 48, 0);
    assertEquals(Set.of(lost), scan());
    assertEquals(Set.of(lost, block, held), scan());
  }

  @Test
  void range_thatNeedsTwoReferences_hasTwo() {
    long block = heap.foreign(64);
    long root = heap.foreign(64);
    heap.ranges = RangeMap.EMPTY.with(block, block + 64, 2, 0).with(root, root + 64, 0, 0);
    FakeHeap.put(root, block);
    assertEquals(Set.of(block), scanTwice());
    FakeHeap.put(root + 8, block + 8);
    assertEquals(Set.of(), scanTwice());
  }

  @Test
  void range_thatIsNotMapped_isSkippedAndCounted() {
    int slab = heap.addSlab(SIZE, 1);
    long leaked = heap.allocate(slab, 0);
    heap.ranges = RangeMap.EMPTY.with(4096, 8192, 0, 0).with(16384, 20000, 1, 0);
    assertEquals(Set.of(leaked), scanTwice());
    Scan.Result result = new Scan(heap, roots, Pace.FULL, 1, remembered).run(true);
    assertTrue(result.nrUnreadable() > 0, result::toString);
  }

  /** Words next to where a piece begins and ends, for a range that begins between two words. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void range_ofSeveralPieces_isReadWordByWord(int workers) {
    nrWorkers = workers;
    int slab = heap.addSlab(SIZE, 1);
    long last = 3 * Marker.PIECE_BYTES + 24;
    for (int shift : new int[] {0, 4}) {
      long memory = heap.foreign(last + 16);
      long root = memory + shift;
      Set<Long> beyond = new TreeSet<>();
      int index = 0;
      for (long piece = 0; piece < last; piece += Marker.PIECE_BYTES) {
        for (long offset = -16; offset <= 24; offset += 8) {
          long at = memory + piece + offset;
          if (at >= memory && at + 8 <= memory + last + 16) {
            long object = heap.allocate(slab, index++);
            FakeHeap.put(at, object);
            if (at < root || at + 8 > root + last) {
              beyond.add(object);
            }
          }
        }
      }
      heap.ranges = RangeMap.EMPTY.with(root, root + last, 0, 0);
      assertEquals(beyond, scanTwice(), "shift=" + shift);
      while (--index >= 0) {
        heap.free(slab, index);
      }
    }
  }

  @Test
  void range_ofSeveralPiecesThatIsNotMapped_countsOnce() {
    heap.ranges = RangeMap.EMPTY.with(4096, 4096 + 5L * Marker.PIECE_BYTES, 0, 0);
    Scan.Result result = new Scan(heap, roots, Pace.FULL, 2, remembered).run(true);
    assertEquals(1, result.nrUnreadable());
    assertEquals(1, result.nrScanned());
  }

  /** The last word of an object whose size is no multiple of a word is not a whole one. */
  @Test
  void largeObject_ofOddSize_isReadToItsLastWholeWord() {
    for (long nrBytes : new long[] {40_001, 40_007, 65_530}) {
      long large = heap.allocate(heap.addLarge(nrBytes), 0);
      int slab = heap.addSlab(SIZE, 1);
      long held = heap.allocate(slab, 0);
      long beyond = heap.allocate(slab, 1);
      FakeHeap.put(large + nrBytes / 8 * 8 - 8, held);
      FakeHeap.put(large + nrBytes / 8 * 8, beyond);
      javaHeap.addAll(List.of(large));
      scan();
      scan();
      Set<Long> found = scan();
      assertTrue(found.contains(beyond) && !found.contains(held), found::toString);
    }
  }

  // ---- stopping

  @Test
  void cancelled_stops() {
    heap.allocate(heap.addSlab(SIZE, 1), 0);
    Pace stop = new Pace(100, () -> true);
    for (int workers = 1; workers <= 2; workers++) {
      Scan scan = new Scan(heap, roots, stop, workers, remembered);
      assertThrows(CancellationException.class, () -> scan.run(true));
    }
  }

  @Test
  void cancelledWhileWorkersMark_stopsAll() {
    int nrSlabs = 60;
    long previous = 0;
    for (int i = 0; i < nrSlabs; i++) {
      int slab = heap.addSlab(SIZE, 1);
      for (int n = 0; n < heap.nrObjects(slab); n++) {
        long object = heap.allocate(slab, n);
        FakeHeap.put(object, previous);
        previous = object;
      }
    }
    javaHeap.add(previous);
    AtomicInteger nrAsked = new AtomicInteger();
    Pace stop = new Pace(100, () -> nrAsked.incrementAndGet() > 2);
    Scan scan = new Scan(heap, roots, stop, 2, remembered);
    assertThrows(CancellationException.class, () -> scan.run(true));
  }

  // ---- against a reference

  private record Model(TreeMap<Long, Long> blocks, List<long[]> words) {
    @Nullable Long blockOf(long value) {
      var entry = blocks.floorEntry(value);
      return entry != null && value < entry.getKey() + entry.getValue() ? entry.getKey() : null;
    }

    Set<Long> unreachable(List<Long> roots) {
      Set<Long> reached = new TreeSet<>();
      List<Long> work = new ArrayList<>();
      for (long root : roots) {
        reach(blockOf(root), reached, work);
      }
      while (!work.isEmpty()) {
        long block = work.removeLast();
        for (long[] word : words) {
          if (word[0] == block) {
            reach(blockOf(word[1]), reached, work);
          }
        }
      }
      Set<Long> rest = new TreeSet<>(blocks.keySet());
      rest.removeAll(reached);
      return rest;
    }

    private static void reach(@Nullable Long block, Set<Long> reached, List<Long> work) {
      if (block != null && reached.add(block)) {
        work.add(block);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void randomGraphs_areAsTheReferenceSays(int workers) {
    nrWorkers = workers;
    long seed = new SplittableRandom().nextLong();
    SplittableRandom random = new SplittableRandom(seed);
    int[] sizes = {8, 24, 64, 192, 1000, 8192};
    for (int round = 0; round < 15; round++) {
      try (FakeHeap graph = new FakeHeap(200)) {
        Model model = new Model(new TreeMap<>(), new ArrayList<>());
        List<Long> objects = new ArrayList<>();
        for (int s = 0; s < 30; s++) {
          boolean large = random.nextInt(6) == 0;
          int size = large ? 9000 + random.nextInt(60_000) & -8 : sizes[random.nextInt(6)];
          int slab = large ? graph.addLarge(size) : graph.addSlab(size, size == 8192 ? 4 : 1);
          int nrObjects = large ? 1 : Math.min(graph.nrObjects(slab), 20);
          for (int n = 0; n < nrObjects; n++) {
            if (random.nextInt(3) > 0) {
              long object = graph.allocate(slab, n);
              objects.add(object);
              model.blocks.put(object, (long) size);
            }
          }
        }
        for (long object : objects) {
          long size = model.blocks.get(object);
          for (long offset = 0; offset < Math.min(size, 64); offset += 16) {
            if (random.nextInt(3) == 0) {
              long at = object + (random.nextInt(4) == 0 ? size - 8 : offset);
              long value = objects.get(random.nextInt(objects.size())) + random.nextInt(100);
              FakeHeap.put(at, value);
              model.words.removeIf(word -> word[0] == object && word[2] == at);
              model.words.add(new long[] {object, value, at});
            }
          }
        }
        List<Long> rootWords = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          rootWords.add(objects.get(random.nextInt(objects.size())));
        }
        Scan.Roots from =
            (min, max, sink, pace) -> {
              rootWords.forEach(sink::accept);
              return HeapRoots.NONE;
            };
        Scan.Result prime =
            new Scan(graph, from, Pace.FULL, workers, Remembered.nothing()).run(true);
        graph.age();
        Scan.Result result =
            new Scan(
                    graph,
                    from,
                    Pace.FULL,
                    workers,
                    new Remembered(prime.sums(), prime.blocks(), 1, 0))
                .run(true);
        Set<Long> found = new TreeSet<>();
        result.found().forEach(block -> found.add(block.address()));
        assertEquals(model.unreachable(rootWords), found, "seed=" + seed + " round=" + round);
      }
    }
  }
}
