package io.memcg4j.flamegraph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The page shows who leaks where, and what has changed. */
final class LeakFlameGraphTest {
  private final MemCgroup root = MemCgroup.root();
  private final ObjCgroup acme = ObjCgroup.of(root.create("acme"));
  private final Kmalloc kmalloc = Kmalloc.create(root);
  private final Kmemleak kmemleak =
      Kmemleak.builder(kmalloc).withoutJavaHeap().minAge(Duration.ZERO).build();
  private final List<Long> leaked = new ArrayList<>();

  @AfterEach
  void close() {
    leaked.forEach(kmalloc::free);
    kmalloc.close();
  }

  private void forgetSession() {
    leaked.add(kmalloc.allocate(64));
  }

  private void loseBuffer() {
    leaked.add(kmalloc.allocate(1024));
  }

  private LeakReport report() {
    kmemleak.scan();
    return kmemleak.scan();
  }

  private static String html(LeakReport report) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    LeakFlameGraph.write(report, out);
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void write_hasGroupFramesCacheAndBytes() throws IOException {
    kmalloc.profile().exact();
    try (Scope scope = acme.enter()) {
      forgetSession();
      forgetSession();
      loseBuffer();
    }
    String page = html(report());
    assertTrue(page.startsWith("<!DOCTYPE html>") && page.contains("</html>"), page);
    assertTrue(page.contains("Leaked off-heap memory, bytes"), page);
    // The page writes a common beginning of neighbours once.
    for (String frame : List.of("/acme", "forgetSession", "loseBuffer", "kmalloc-")) {
      assertTrue(page.contains(frame), frame);
    }
    // The widths, as the page has them: all bytes, and those of the wider branch.
    assertTrue(page.contains("1152") && page.contains("1024"), page);
    assertFalse(page.contains("src=\"http"), "self-contained");
  }

  @Test
  void write_noLeaks_isAPageToo() throws IOException {
    String page = html(kmemleak.scan());
    assertTrue(page.contains("</html>"), page);
    assertFalse(page.contains("kmalloc-64"), page);
  }

  @Test
  void writeDifference_showsWhatHasGrown() throws IOException {
    kmalloc.profile().exact();
    try (Scope scope = acme.enter()) {
      forgetSession();
      LeakReport before = report();
      loseBuffer();
      LeakReport after = report();
      assertEquals(2, after.suspects().size());
      ByteArrayOutputStream changed = new ByteArrayOutputStream();
      LeakFlameGraph.writeDifference(after, before, changed);
      ByteArrayOutputStream same = new ByteArrayOutputStream();
      LeakFlameGraph.writeDifference(after, after, same);
      String page = changed.toString(StandardCharsets.UTF_8);
      assertTrue(page.contains("loseBuffer") && page.contains(", change"), page);
      assertNotEquals(page, same.toString(StandardCharsets.UTF_8));
    }
  }
}
