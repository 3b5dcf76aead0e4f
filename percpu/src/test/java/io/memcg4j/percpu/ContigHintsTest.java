package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A search finds room whenever there is some, and never where something is. */
final class ContigHintsTest {
  private static final int NR_PAGES = 5;
  private static final int NR_CELLS = NR_PAGES * ContigHints.CELLS_PER_PAGE;

  private final ContigHints hints = new ContigHints(NR_PAGES);
  private final boolean[] taken = new boolean[NR_CELLS];

  private record Run(int from, int to) {}

  private boolean fits(int from, int nrCells) {
    if (from < 0 || from + nrCells > NR_CELLS) {
      return false;
    }
    for (int i = from; i < from + nrCells; i++) {
      if (taken[i]) {
        return false;
      }
    }
    return true;
  }

  private boolean isRoom(int nrCells, int align) {
    for (int from = 0; from + nrCells <= NR_CELLS; from += align) {
      if (fits(from, nrCells)) {
        return true;
      }
    }
    return false;
  }

  private int longestRun() {
    int longest = 0;
    int run = 0;
    for (boolean cell : taken) {
      run = cell ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    return longest;
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14, 15, 16})
  void find_atRandom_agreesWithALinearSearch(long seed) {
    Random random = new Random(seed);
    List<Run> runs = new ArrayList<>();
    for (int step = 0; step < 3000; step++) {
      String where = "seed=" + seed + " step=" + step;
      int nrCells = 1 + random.nextInt(random.nextInt(6) == 0 ? 3 * 1024 : 40);
      int align = 1 << random.nextInt(11);
      int from = hints.find(nrCells, align);
      if (from < 0) {
        assertTrue(!isRoom(nrCells, align), where);
      } else {
        assertTrue(fits(from, nrCells) && from % align == 0, where);
        if (random.nextInt(3) != 0) {
          setTaken(from, from + nrCells, true);
          hints.take(from, from + nrCells);
          runs.add(new Run(from, from + nrCells));
        }
      }
      if (!runs.isEmpty() && (from < 0 || random.nextInt(2) == 0)) {
        Run run = runs.remove(random.nextInt(runs.size()));
        setTaken(run.from(), run.to(), false);
        hints.giveBack(run.from(), run.to());
      }
      assertEquals(longestRun(), hints.longestRun(), where);
      hints.checkInvariants();
    }
  }

  private void setTaken(int from, int to, boolean value) {
    for (int i = from; i < to; i++) {
      assertTrue(taken[i] != value);
      taken[i] = value;
    }
  }

  @Test
  void find_roomAcrossPages_isFoundThoughNoPageHasIt() {
    hints.take(0, 1000);
    hints.take(1048, NR_CELLS);
    assertEquals(48, hints.longestRun());
    assertEquals(1000, hints.find(48, 1));
    assertEquals(1008, hints.find(40, 16));
    assertEquals(-1, hints.find(41, 16));
    assertEquals(1024, hints.find(24, 1024));
    assertEquals(-1, hints.find(49, 1));
  }
}
