package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.openjdk.jol.info.ClassLayout;
import org.openjdk.jol.info.FieldLayout;

class PaddingTest {
  private static final int LINE_PAIR = 128;

  static {
    System.setProperty("jol.skipHotspotSAAttach", "true"); // two seconds, and not needed here
  }

  @Test
  void pageCounter_contendedWords_areAloneOnTheirLines() {
    ClassLayout layout = ClassLayout.parseClass(PageCounter.class);
    long word = offsetOf(layout, "word");
    long peak = offsetOf(layout, "peak");
    long localPeak = offsetOf(layout, "localPeak");
    long first = Math.min(word, Math.min(peak, localPeak));
    long last = Math.max(word, Math.max(peak, localPeak)) + Long.BYTES;
    assertTrue(
        last - first == 3 * Long.BYTES, "word and peaks share a line: " + layout.toPrintable());
    for (FieldLayout field : layout.fields()) {
      if (field.typeClass().equals("byte")
          || field.name().equals("word")
          || field.name().equals("peak")
          || field.name().equals("localPeak")) {
        continue;
      }
      boolean near =
          field.offset() + field.size() > first - LINE_PAIR && field.offset() < last + LINE_PAIR;
      assertTrue(!near, "too near to the word: " + field + "\n" + layout.toPrintable());
    }
    assertTrue(first >= LINE_PAIR, "an object in front could share the line: offset=" + first);
  }

  private static long offsetOf(ClassLayout layout, String name) {
    return layout.fields().stream()
        .filter(field -> field.name().equals(name))
        .findFirst()
        .orElseThrow()
        .offset();
  }
}
