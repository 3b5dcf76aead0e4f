package io.memcg4j.objcg;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class SlotStocksTest {
  @Test
  void home_idsInSequence_useTheWholeTable() {
    int nrIds = 1 << 19;
    int mask = 2 * nrIds - 1;
    boolean[] used = new boolean[mask + 1];
    int nrUsed = 0;
    for (int id = 1; id <= nrIds; id++) {
      int home = SlotStocks.home(id, mask);
      if (!used[home]) {
        used[home] = true;
        nrUsed++;
      }
    }
    assertTrue(nrUsed > nrIds / 2, "nrIds=" + nrIds + " nrHomes=" + nrUsed);
  }
}
