package io.memcg4j.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Sums are found by row and by address, whatever parts they were made in. */
final class ChecksumsTest {
  @Test
  void randomRows_areFoundAsInAMap() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    for (int round = 0; round < 20; round++) {
      Map<Long, Integer> model = new TreeMap<>();
      List<Checksums.Part> parts = new ArrayList<>();
      long start = 1 << 20;
      for (int p = 0; p < 3; p++) {
        Checksums.Part part = new Checksums.Part();
        parts.add(part);
        for (int r = random.nextInt(200); r > 0; r--) {
          long nrBytes = 8L << random.nextInt(8);
          long bits = random.nextLong() | 1L << random.nextInt(64);
          part.addRow(start, nrBytes, bits);
          for (long left = bits; left != 0; left &= left - 1) {
            int sum = random.nextInt();
            part.addSum(sum);
            model.put(start + Long.numberOfTrailingZeros(left) * nrBytes, sum);
          }
          start += nrBytes * 64;
        }
      }
      Checksums sums = Checksums.of(parts, 7);
      String message = "seed=" + seed + " round=" + round;
      assertEquals(model.size(), sums.nrObjects(), message);
      for (long address = 1 << 20; address < start; address += 8) {
        Integer expected = model.get(address);
        assertEquals(expected != null, sums.contains(address), message);
        if (expected != null) {
          assertEquals(expected, sums.sumAt(address), message);
        }
      }
      assertFalse(sums.contains(start), message);
      assertFalse(sums.contains((1 << 20) - 8), message);
    }
  }

  @Test
  void row_ofOtherSize_isNone() {
    Checksums.Part part = new Checksums.Part();
    part.addRow(4096, 64, 0b101);
    part.addSum(1);
    part.addSum(2);
    Checksums sums = Checksums.of(List.of(part), 0);
    int row = sums.row(4096, 64);
    assertEquals(0b101, sums.bits(row));
    assertEquals(2, sums.sum(row, 0b100));
    assertEquals(-1, sums.row(4096, 128));
    assertEquals(-1, sums.row(4096 + 64, 64));
    assertTrue(Checksums.NONE.row(4096, 64) < 0);
  }
}
