package io.memcg4j.junit;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.slab.ObjectSnapshot;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Looks for leaks of a part of a program, such as a test: blocks that are allocated between {@link
 * #begin} and {@link #report}, still are at the end, and that nobody has a pointer to. For an
 * allocator that is shared; a test with one of its own has {@link NoLeaks}.
 *
 * <pre>{@code
 * LeakCheck check = LeakCheck.begin(kmalloc, true);
 * ...
 * check.assertNone();
 * }</pre>
 *
 * <p>Areas, guarded objects and per-CPU memory are looked at too; per-CPU memory that takes the
 * place of some that was freed meanwhile counts as if it had been there before.
 *
 * <p>One check at a time for an allocator, and no other scanner on it meanwhile: who is disturbed
 * notices. Every allocation in between has its call site recorded, which takes microseconds; the
 * recording stays on. For one thread; others may allocate and free.
 */
public final class LeakCheck {
  /*
   * Age        begin starts an epoch, so what is not old at the end was allocated in between. Objects
   *            whose age is not certain are young: that may be one of before if its slot was inside a
   *            scope all the time, and it is reported only if nobody refers to it either.
   * Scans      two, as Kmemleak wants: the first remembers contents, the second compares. There is no
   *            minimum age, since a test is over in milliseconds.
   * Invariant  addresses of blocks are kept as their complements: as they are, in the Java heap, they
   *            would be references to them.
   */
  private final Kmalloc kmalloc;
  private final boolean readsJavaHeap;
  private final int epoch;

  /** What was outside the slabs: complements of addresses, and who is there. */
  private final Map<Long, Optional<Object>> outside = new HashMap<>();

  private LeakCheck(Kmalloc kmalloc, boolean readsJavaHeap) {
    this.kmalloc = kmalloc;
    this.readsJavaHeap = readsJavaHeap;
    if (!kmalloc.profile().isExact()) {
      kmalloc.profile().exact();
    }
    epoch = kmalloc.tracking().advance();
    kmalloc
        .tracking()
        .forEachOutside(
            block -> outside.put(~block.address(), Optional.ofNullable(block.identity())));
  }

  /**
   * Begins a check. What is allocated already is no concern of it.
   *
   * @param kmalloc whose blocks are looked at
   * @param readsJavaHeap whether a Java object's reference counts, by address or by segment; if
   *     not, a block has to be freed, or be referred to by per-CPU memory
   * @return the check
   */
  public static LeakCheck begin(Kmalloc kmalloc, boolean readsJavaHeap) {
    return new LeakCheck(kmalloc, readsJavaHeap);
  }

  /**
   * Ends the check. References of local variables do not count.
   *
   * @return the blocks that are leaked
   * @throws IllegalStateException if another check or scan of this allocator has begun since, or
   *     the allocator is closed
   * @throws io.memcg4j.leak.HeapDumpException if the Java heap is to be read and cannot be
   */
  public LeakReport report() {
    kmalloc.shrink(); // frees what waits: deferred frees, shared arenas that are closed
    long[] hidden = hiddenYoung();
    Kmemleak.Builder builder = Kmemleak.builder(kmalloc).minAge(Duration.ZERO);
    Kmemleak kmemleak = readsJavaHeap ? builder.build() : builder.withoutJavaHeap().build();
    kmemleak.scan();
    LeakReport all = kmemleak.scan();
    List<LeakSuspect> mine =
        all.suspects().stream()
            .filter(suspect -> Arrays.binarySearch(hidden, ~suspect.address()) >= 0)
            .toList();
    return new LeakReport(
        mine,
        mine.size(),
        all.heapRoots(),
        all.scanNanos(),
        all.markNanos(),
        all.nrBlocks(),
        all.nrScanned(),
        all.nrScannedBytes(),
        all.nrUnreadable(),
        all.nrPasses());
  }

  /**
   * Ends the check.
   *
   * @throws AssertionError with the report if there is a leak
   * @throws IllegalStateException as {@link #report}
   * @throws io.memcg4j.leak.HeapDumpException as {@link #report}
   */
  public void assertNone() {
    LeakReport report = report();
    if (!report.suspects().isEmpty()) {
      throw new AssertionError(
          "off-heap memory leaked: nrObjects="
              + report.suspects().size()
              + System.lineSeparator()
              + report);
    }
  }

  /** Of what was allocated since the begin and still is: complements of addresses, sorted. */
  private long[] hiddenYoung() {
    ObjectSnapshot snapshot = kmalloc.tracking().snapshot();
    if (snapshot.epoch() != epoch) {
      throw new IllegalStateException(
          "leak check disturbed by another one, or a scan: epoch="
              + epoch
              + " now="
              + snapshot.epoch());
    }
    int nrYoung = 0;
    for (int word = 0; word < snapshot.live().length; word++) {
      nrYoung += Long.bitCount(snapshot.live()[word] & ~snapshot.old()[word]);
    }
    List<Long> others = new ArrayList<>();
    kmalloc
        .tracking()
        .forEachOutside(block -> {
          Optional<Object> before = outside.get(~block.address());
          if (before == null || before.orElse(null) != block.identity()) {
            others.add(~block.address());
          }
        });
    long[] hidden = new long[nrYoung + others.size()];
    int at = 0;
    for (long other : others) {
      hidden[at++] = other;
    }
    for (int slab = 0; slab < snapshot.nrSlabs(); slab++) {
      int first = snapshot.firstWord()[slab];
      for (int word = first; word < snapshot.firstWord()[slab + 1]; word++) {
        long young = snapshot.live()[word] & ~snapshot.old()[word];
        for (; young != 0; young &= young - 1) {
          long index = (long) (word - first) * Long.SIZE + Long.numberOfTrailingZeros(young);
          hidden[at++] = ~(snapshot.slabBase()[slab] + index * snapshot.objectSize()[slab]);
        }
      }
    }
    Arrays.sort(hidden);
    return hidden;
  }
}
