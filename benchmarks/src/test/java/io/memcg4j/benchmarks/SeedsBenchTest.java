package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The cases and the page; that the page in the project is so is {@link PageCommandTest}'s. */
final class SeedsBenchTest {
  private static ResultPage page(List<Figure> figures) {
    return ResultPage.of(
        new ResultFile(Map.of("run", SeedsBench.NAME, "cpu", "A CPU"), figures, List.of()));
  }

  private static Figure figure(String caseName, String subject, String metric, double value) {
    return new Figure(SeedsBench.NAME, caseName, subject, metric, value, "ns", null);
  }

  private static String text(ResultPage page, String name) {
    return page.parts().stream()
        .filter(part -> part.name().equals(name))
        .map(ResultPage.Part::text)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void page_accounting_standsBesideLinux() throws Exception {
    List<Figure> figures = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      figures.add(
          figure(
              SeedsBench.KMALLOC + "user/bound",
              KmallocBench.SUBJECTS.get(i),
              LoopTimer.ALLOC,
              2000 * (i + 1)));
    }
    ResultPage page = page(figures);
    String table = text(page, "seeds-kmalloc");
    assertTrue(table.contains("| Linux, user group | 29.8 | 84.5 | 59.1 | 2.84 | 1.98 |"), table);
    assertTrue(table.contains("| memcg4j, user/bound | 2.00 | 4.00 | 6.00 | 2.00 | 3.00 |"), table);
    assertFalse(table.contains("root/bound"), table);
    SvgChartTest.parse(page.charts().getOrDefault("seeds-kmalloc.svg", ""));
  }

  @Test
  void page_others_haveTheirRows() throws Exception {
    String graph = SeedsBench.LEAK + "mark/words250/bytes64/objects1000000";
    String lookup = SeedsBench.TREE + "lookup/areas1000/threads1";
    ResultPage page =
        page(
            List.of(
                figure(graph, "boehm", LeakFork.MARK, 300),
                figure(graph, "boehm", LeakFork.OBJECTS, 3),
                figure(SeedsBench.VMALLOC + "walk/threads1", "one-lock", VmallocFork.PAIR, 700),
                figure(lookup, "skiplist", TreeFork.READ, 40),
                figure(lookup, "skiplist", TreeFork.WRITE, 80),
                figure(
                    SeedsBench.TREE + TreeBench.MISSED_CASE,
                    TreeBench.MEMCG4J,
                    TreeFork.MISSED,
                    0)));
    assertTrue(text(page, "seeds-leak").contains("| 25 % of words point to objects | boehm | 300"));
    assertTrue(text(page, "seeds-vmalloc").contains("| walk | one-lock | 700 |  |  |  |"));
    assertTrue(text(page, "seeds-tree").contains("| skiplist | 40.0 + 80.0 |"));
    assertTrue(text(page, "seeds-missed").contains("| memcg4j | 0"));
    for (String svg : page.charts().values()) {
      SvgChartTest.parse(svg);
    }
  }

  @Test
  void steps_eachCase_isOneOfItsBenchmark() {
    List<CaseBench.Step> all = SeedsBench.steps(false);
    assertTrue(all.containsAll(SeedsBench.steps(true)));
    for (CaseBench.Step step : all) {
      String name = step.caseName().substring(step.caseName().indexOf('/') + 1);
      if (step.caseName().startsWith(SeedsBench.KMALLOC)) {
        assertEquals(name, KmallocCase.of(name).text());
      } else if (step.caseName().startsWith(SeedsBench.LEAK)) {
        assertEquals(name, LeakGraph.Shape.parse(name).text());
      } else if (step.caseName().startsWith(SeedsBench.VMALLOC)) {
        assertTrue(VmallocBench.READERS.contains(name.split("/", -1)[0]), name);
      } else {
        assertTrue(step.caseName().startsWith(SeedsBench.TREE), step.caseName());
      }
    }
  }

  /** That a tree without a lock misses some is {@code AddressTreeReadersTest}'s; here it ends. */
  @Test
  void missed_withALockOrOurs_none() throws InterruptedException {
    assertEquals(0.0, missed(TreeBench.MEMCG4J));
    assertEquals(0.0, missed(TreeBench.READ_WRITE_LOCK));
    double unlocked = missed(TreeBench.UNLOCKED);
    assertTrue(unlocked >= 0 && unlocked < 1e6, () -> "missed=" + unlocked);
  }

  private static Double missed(String subject) throws InterruptedException {
    return TreeFork.measure(new String[] {TreeBench.NAME, TreeBench.MISSED_CASE, subject, "5"})
        .get(TreeFork.MISSED);
  }
}
