package io.memcg4j.soak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.leak.LeakSuspect;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import io.memcg4j.testkit.Proof;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * Scans while threads allocate, free and move pointers: nothing that is held is reported, and what
 * is held by nobody is. For as long as {@code memcg4j.churn.seconds} says; an hour with {@code
 * -Pproof}.
 */
final class ChurnTest {
  private static final int MIN_SCANS = 12;
  private static final int SCANS_PER_LEAK = 4;

  /**
   * One that remembers contents, one that compares them; and two more while the age of a block is
   * not certain, as its slot has not turned to other objects.
   */
  private static final int MOST_SCANS_TO_FIND = 4;

  private static final int[] SIZES = {8, 64, 256, 1000, 5000, 20_000};
  private static final long NR_SECONDS = Long.getLong("memcg4j.churn.seconds", 5);

  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc = Kmalloc.builder(root).build();
  private final List<Leak> leaks = new ArrayList<>();
  private int nrScans;
  private int nrTwoPassScans;
  private int nrLeaks;
  private int mostScansToFind;
  private long nrBlocks;

  private static final class Leak {
    final long complement;
    int nrScansSince;

    Leak(long complement) {
      this.complement = complement;
    }
  }

  /** What the last scan has not seen is too young, though nobody holds it, to be reported. */
  private LeakReport scanWithNewcomers(Kmemleak kmemleak) {
    long[] complements = new long[SIZES.length];
    for (int i = 0; i < SIZES.length; i++) {
      complements[i] = ~kmalloc.allocateZeroed(SIZES[i]);
    }
    LeakReport report = kmemleak.scan();
    for (long complement : complements) {
      kmalloc.free(~complement);
    }
    return report;
  }

  private void judge(LeakReport report) {
    nrScans++;
    nrTwoPassScans += report.nrPasses() - 1;
    nrBlocks += report.nrScanned();
    Set<Long> known = new TreeSet<>();
    leaks.forEach(leak -> known.add(~leak.complement));
    SoakChecks.noFalseReport(report, known);
    Set<Long> found = new TreeSet<>();
    report.suspects().stream().map(LeakSuspect::address).forEach(found::add);
    leaks.removeIf(leak -> {
      mostScansToFind = Math.max(mostScansToFind, ++leak.nrScansSince);
      if (found.contains(~leak.complement)) {
        kmalloc.free(~leak.complement);
        return true;
      }
      SoakChecks.found("churn", leak.nrScansSince, MOST_SCANS_TO_FIND - 1);
      return false;
    });
  }

  @Test
  void scan_duringChurn_reportsNothingButLeaks() throws Exception {
    Proof proof = Proof.begin(getClass(), "scans beside churn");
    long seed = new SplittableRandom().nextLong();
    Failure failure = new Failure();
    ChurnLoad load = new ChurnLoad(root, kmalloc, failure, new SplittableRandom(seed));
    Kmemleak kmemleak =
        Kmemleak.builder(kmalloc).minAge(Duration.ZERO).workers(2).onProgress(load).build();
    load.start();
    try {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(NR_SECONDS);
      while (!failure.isOver()
          && (nrScans < MIN_SCANS || System.nanoTime() < end || !leaks.isEmpty())) {
        if (nrScans % SCANS_PER_LEAK == 0) {
          leaks.add(new Leak(~kmalloc.allocateZeroed(SIZES[nrLeaks++ % SIZES.length])));
        }
        judge(scanWithNewcomers(kmemleak));
        // The first scan knows no contents; in each one since then blocks are in flight.
        assertEquals(nrScans - 1, nrTwoPassScans);
      }
    } catch (Throwable e) {
      failure.set("scan " + nrScans, e);
    } finally {
      load.stop();
    }
    failure.rethrow(seed, "none are kept");
    System.out.printf(
        "churn: seconds=%d scans=%d twoPassScans=%d blocksScanned=%d moves=%d leaks=%d "
            + "mostScansToFind=%d suspects=0%n",
        NR_SECONDS, nrScans, nrTwoPassScans, nrBlocks, load.nrMoves(), nrLeaks, mostScansToFind);
    assertTrue(load.nrMoves() > nrScans, () -> "seed=" + seed);
    proof.holds(
        nrScans,
        String.format(
            Locale.ROOT,
            "%d s, %,d blocks, %,d moves, %d leaks within %d scans",
            NR_SECONDS,
            nrBlocks,
            load.nrMoves(),
            nrLeaks,
            mostScansToFind));
    load.free();
    kmalloc.close();
  }
}
