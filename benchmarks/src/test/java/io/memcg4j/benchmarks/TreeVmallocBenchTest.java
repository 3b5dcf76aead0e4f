package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** That each case does its work; how long that takes is nobody's business here. */
final class TreeVmallocBenchTest {
  @Test
  void tree_eachSubject_givesTimes() throws InterruptedException {
    for (String subject : TreeBench.SUBJECTS) {
      for (String caseName :
          new String[] {"lookup/areas1000/threads2", "walk/areas1000/threads1"}) {
        Map<String, Double> metrics =
            TreeFork.measure(new String[] {TreeBench.NAME, caseName, subject, "1"});
        assertEquals(
            Set.of(TreeFork.READ, TreeFork.READ_CPU, TreeFork.WRITE, TreeFork.WRITE_CPU),
            metrics.keySet());
        metrics.values().forEach(nanos -> assertTrue(nanos >= 0 && nanos < 1e9, metrics::toString));
      }
    }
  }

  /** Subjects that find other things than ours would be no comparison. */
  @Test
  void tree_eachSubject_findsTheSame() {
    for (String subject : TreeBench.SUBJECTS) {
      RangeIndex index = RangeIndex.of(subject);
      TreeMap<Long, RangeIndex.Area> model = new TreeMap<>();
      Random random = new Random(8);
      assertNull(index.find(5));
      for (int i = 0; i < 5000; i++) {
        long start = random.nextInt(500) * 10L;
        if (model.remove(start) != null) {
          index.remove(start);
        } else {
          RangeIndex.Area area = new RangeIndex.Area(start, 1 + random.nextInt(9));
          model.put(start, area);
          index.insert(area);
        }
        long address = random.nextInt(5000);
        RangeIndex.Area floor = model.get(address - address % 10);
        boolean inside = floor != null && address % 10 < floor.nrBytes();
        assertEquals(inside ? floor : null, index.find(address), subject);
      }
      long sum = model.values().stream().mapToLong(a -> a.start() ^ a.nrBytes()).sum();
      assertEquals(sum, index.walk(), subject);
    }
  }

  @Test
  void vmalloc_eachReader_givesTimes() throws InterruptedException {
    for (String subject : VmallocBench.SUBJECTS) {
      for (String reader : VmallocBench.READERS) {
        Map<String, Double> metrics =
            VmallocFork.measure(
                new String[] {VmallocBench.NAME, reader + "/threads1", subject, "1"});
        assertNotNull(metrics.get(VmallocFork.PAIR));
        assertEquals(!reader.equals("none"), metrics.containsKey(VmallocFork.READ));
        metrics.values().forEach(value -> assertTrue(value >= 0, metrics::toString));
      }
    }
  }

  @Test
  void measure_unknownCase_isRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> TreeFork.measure(new String[] {TreeBench.NAME, "nothing", "memcg4j", "1"}));
    assertThrows(
        IllegalArgumentException.class,
        () -> VmallocFork.measure(new String[] {VmallocBench.NAME, "nothing", "memcg4j", "1"}));
    assertThrows(
        UsageError.class, () -> CaseBench.chosen(List.of(new CaseBench.Step("a/b", "c")), "x"));
  }
}
