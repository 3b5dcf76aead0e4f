package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** The small parts that the reports are made of. */
final class ReportPiecesTest {
  @Test
  void json_allKindsOfValues_oneLineInOrder() {
    String line =
        new JsonLine()
            .put("text", "a\"b\\c\n")
            .put("long", -7L)
            .put("int", 3)
            .put("round", 2.0)
            .put("decimals", 1.23456)
            .put("small", 0.00001)
            .put("none", (Double) null)
            .put("nan", Double.NaN)
            .toString();

    assertEquals(
        "{\"text\":\"a\\\"b\\\\c\\u000a\",\"long\":-7,\"int\":3,\"round\":2,\"decimals\":1.2346,"
            + "\"small\":0,\"none\":null,\"nan\":null}",
        line);
  }

  @Test
  void rounds_sizeOfTheNext_followsTheTimeOnlyWhileWarmingUp() {
    PeerRounds rounds = new PeerRounds(0, 0, 3, false);
    assertTrue(rounds.next(), "warms up");
    assertEquals(2000, rounds.nrObjects(100, 50, 1000, 10, 5000), "twenty times too fast");
    assertEquals(5000, rounds.nrObjects(100, 0, 1000, 10, 5000), "no more than that");
    assertEquals(10, rounds.nrObjects(100, 1_000_000, 1000, 10, 5000), "no less than that");
    assertTrue(rounds.next(), "counts");
    assertEquals(100, rounds.nrObjects(100, 50, 1000, 10, 5000));
  }

  @Test
  void median_oddAndEvenCounts_isTheMiddle() {
    double[] values = {5, 1, 3};
    assertEquals(3, Statistics.median(values));
    assertEquals(2.5, Statistics.median(4, 1, 2, 3));
    assertEquals(5, values[0], "the argument is not sorted");
  }

  @Test
  void geometricMean_twoValues_isTheRootOfTheProduct() {
    assertEquals(6, Statistics.geometricMean(4, 9), 1e-9);
  }

  @Test
  void statistics_noValues_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> Statistics.median());
  }

  @Test
  void progress_shown_drawsOverItselfAndErasesAll() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Progress progress = Progress.on(new PrintStream(bytes, true, StandardCharsets.UTF_8), true);

    progress.show("long label", 1, 2);
    progress.show("x", 2, 2);
    progress.erase();
    progress.erase();

    String first = "[" + "#".repeat(15) + ".".repeat(15) + "] 1/2 long label";
    String second = "[" + "#".repeat(30) + "] 2/2 x";
    assertEquals(
        "\r"
            + first
            + "\r"
            + second
            + " ".repeat(first.length() - second.length())
            + "\r"
            + " ".repeat(second.length())
            + "\r",
        bytes.toString(StandardCharsets.UTF_8));
  }

  @Test
  void progress_notShown_writesNothing() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Progress progress = Progress.on(new PrintStream(bytes, true, StandardCharsets.UTF_8), false);

    progress.show("label", 1, 2);
    progress.erase();

    assertEquals(0, bytes.size());
  }

  @Test
  void progress_inLines_saysTheFirstAtOnceAndNotEach() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Progress progress = Progress.inLines(new PrintStream(bytes, true, StandardCharsets.UTF_8));

    progress.show("one", 0, 3);
    progress.show("two", 1, 3);
    progress.erase();

    assertEquals("1/3 one", bytes.toString(StandardCharsets.UTF_8).strip());
  }

  @Test
  void rounds_endAfterSoManyAndHaveOneAtLeast() {
    Rounds none = new Rounds(0);
    assertTrue(none.next());
    assertFalse(none.next());
    Rounds three = new Rounds(3);
    for (int i = 0; i < 3; i++) {
      assertTrue(three.next());
    }
    assertFalse(three.next());
  }
}
