package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ReplayCommandTest {
  private static final List<String> KEYS =
      List.of(
          "trace",
          "events",
          "nsPerEvent",
          "requestedPeakBytes",
          "chargedPeakBytes",
          "mappedPeakBytes",
          "refused",
          "liveAtEnd",
          "driftBytes");

  @TempDir private Path folder = Path.of("");

  @Test
  void replay_everyKindOfEvent_countsAndLeavesNoDrift() throws Exception {
    String file =
        trace(
            "mixed",
            """
            a 0 8
            z 1 5000
            m 2 100 4096
            r 0 300
            r 1 20
            r 2 100000
            a 3 0
            r 3 10
            z 4 0
            f 2
            f 4
            m 2 1 16
            """);

    CommandRun run = CommandRun.of("replay", "--json", "--rounds", "3", file);

    assertEquals(0, run.exitCode(), run.err());
    Map<String, String> fields = JsonFields.parse(run.out().strip());
    assertEquals(KEYS, List.copyOf(fields.keySet()));
    assertEquals("\"mixed\"", fields.get("trace"));
    assertEquals("12", fields.get("events"));
    assertTrue(number(fields, "nsPerEvent") > 0);
    assertEquals("100330", fields.get("requestedPeakBytes"));
    assertTrue(number(fields, "chargedPeakBytes") >= 100330);
    assertTrue(number(fields, "mappedPeakBytes") >= 100330);
    assertEquals("0", fields.get("refused"));
    assertEquals("4", fields.get("liveAtEnd"));
    assertEquals("0", fields.get("driftBytes"));
    assertEquals("", run.err());
  }

  @Test
  void replay_overTheLimit_countsRefusalsAndSkipsLaterEvents() throws Exception {
    // Refused: the first a 1, whose r and f are skipped; r 0, which keeps the old object; z 2; m 3.
    String file =
        trace(
            "tight",
            """
            a 0 40000
            a 1 40000
            r 1 8
            f 1
            a 1 100
            r 0 70000
            z 2 50000
            m 3 50000 64
            f 3
            """);

    CommandRun run = CommandRun.of("replay", "--json", "--rounds", "2", "--max", "64k", file);

    assertEquals(0, run.exitCode(), run.err());
    Map<String, String> fields = JsonFields.parse(run.out().strip());
    assertEquals("4", fields.get("refused"));
    assertEquals("2", fields.get("liveAtEnd"));
    assertTrue(number(fields, "chargedPeakBytes") <= 65536);
    assertEquals("0", fields.get("driftBytes"));
  }

  @Test
  void replay_noMemoryAtAll_refusesEverything() throws Exception {
    String file = trace("zero", "a 0 64\nr 0 128\nf 0\na 1 64\n");

    CommandRun run = CommandRun.of("replay", "--json", "--rounds", "1", "--max", "0", file);

    Map<String, String> fields = JsonFields.parse(run.out().strip());
    assertEquals("2", fields.get("refused"));
    assertEquals("0", fields.get("liveAtEnd"));
    assertEquals("0", fields.get("chargedPeakBytes"));
    assertEquals("0", fields.get("driftBytes"));
  }

  @Test
  void replay_threads_isNotTimedAndLeavesNoDrift() throws Exception {
    StringBuilder events = new StringBuilder();
    for (int i = 0; i < 300; i++) { // each thread frees what the one before allocated
      events.append("t ").append(i % 30).append("\na ").append(i).append(' ').append(i * 13);
      events.append(i == 0 ? "\n" : "\nf " + (i - 1) + "\n");
    }

    CommandRun run = CommandRun.of("replay", "--json", "--threads", trace("many", events));

    assertEquals(0, run.exitCode(), run.err());
    Map<String, String> fields = JsonFields.parse(run.out().strip());
    assertEquals("null", fields.get("nsPerEvent"));
    assertEquals("599", fields.get("events"));
    assertEquals("1", fields.get("liveAtEnd"));
    assertEquals("0", fields.get("driftBytes"));
  }

  @Test
  void replay_severalTraces_oneLineEachAndOneMean() throws Exception {
    String first = trace("first", "a 0 64\n");
    String second = trace("second", "a 0 64\nf 0\n");

    CommandRun json = CommandRun.of("replay", "--json", "--rounds", "1", first, second, first);
    CommandRun table = CommandRun.of("replay", "--rounds", "1", first, second);

    assertEquals(3, json.outLines().size());
    assertEquals("\"second\"", JsonFields.parse(json.outLines().get(1)).get("trace"));
    assertEquals(4, table.outLines().size(), table.out());
    assertTrue(table.outLines().get(0).startsWith("tenant "), table.out());
    assertTrue(table.outLines().get(3).startsWith("geometric mean of 2: "), table.out());
  }

  @Test
  void replay_threadsTable_showsNoTimeAndNoMean() throws Exception {
    CommandRun run = CommandRun.of("replay", "--threads", trace("one", "a 0 64\n"));

    assertEquals(2, run.outLines().size(), run.out());
    assertTrue(run.outLines().get(1).matches("one +1 +- +- +64 B .*"), run.out());
  }

  @Test
  void replay_emptyTrace_hasNoTime() throws Exception {
    CommandRun run = CommandRun.of("replay", "--json", trace("empty", ""));

    assertEquals(0, run.exitCode(), run.err());
    assertEquals("null", JsonFields.parse(run.out().strip()).get("nsPerEvent"));
  }

  @Test
  void replay_badLine_printsOneLineAndRunsNothing() throws Exception {
    String good = trace("good", "a 0 8\n");
    String bad = trace("bad", "a 0 8\nq 1\n");

    CommandRun run = CommandRun.of("replay", "--json", good, bad);

    assertEquals(2, run.exitCode());
    assertEquals("", run.out());
    assertEquals(bad + ":3: unknown event: q 1", run.err().strip());
  }

  @Test
  void replay_missingFile_printsOneLine() {
    CommandRun run = CommandRun.of("replay", "no-such-trace");

    assertEquals(2, run.exitCode());
    assertEquals("no-such-trace:0: cannot open: no such file", run.err().strip());
  }

  @ParameterizedTest
  @ValueSource(strings = {"4x", "-1", ""})
  void replay_badLimit_isRefused(String limit) {
    CommandRun run = CommandRun.of("replay", "--max=" + limit, "gcc-compile");

    assertEquals(2, run.exitCode());
    assertTrue(run.err().contains("bad size: text=" + limit + " "), run.err());
    assertEquals("", run.out());
  }

  @Test
  void replay_noRounds_isRefused() {
    CommandRun run = CommandRun.of("replay", "--rounds", "0", "gcc-compile");

    assertEquals(2, run.exitCode());
    assertEquals("too few rounds: rounds=0 range=1..2147483647", run.err().strip());
  }

  @Test
  void main_unknownCommand_isRefused() {
    assertEquals(2, CommandRun.of("rewind").exitCode());
    assertEquals(2, CommandRun.of().exitCode());
    assertEquals(2, CommandRun.of("replay", "--fast").exitCode());
  }

  @Test
  void main_help_isNoError() {
    CommandRun run = CommandRun.of("replay", "--help");

    assertEquals(0, run.exitCode());
    assertTrue(run.out().contains("--max"), run.out());
  }

  /** The whole of each recorded program once, with every object's contents checked. */
  @Test
  void replay_theProjectsTraces_leaveNoDrift() {
    CommandRun run = CommandRun.of("replay", "--json", "--rounds", "1");

    assertEquals(0, run.exitCode(), run.err());
    assertEquals(6, run.outLines().size());
    for (String line : run.outLines()) {
      Map<String, String> fields = JsonFields.parse(line);
      assertEquals("0", fields.get("refused"), line);
      assertEquals("0", fields.get("driftBytes"), line);
      double ratio = number(fields, "chargedPeakBytes") / number(fields, "requestedPeakBytes");
      assertTrue(ratio >= 1 && ratio <= 1.25, line);
    }
  }

  @Test
  void replay_theProjectsTracesUnderALimit_staysBelowItAndLeavesNoDrift() {
    CommandRun run = CommandRun.of("replay", "--json", "--rounds", "1", "--max", "4m");

    assertEquals(0, run.exitCode(), run.err());
    for (String line : run.outLines()) {
      Map<String, String> fields = JsonFields.parse(line);
      assertTrue(number(fields, "chargedPeakBytes") <= 4 << 20, line);
      assertEquals("0", fields.get("driftBytes"), line);
      boolean fits = number(fields, "requestedPeakBytes") * 1.25 < 4 << 20;
      if (fits) {
        assertEquals("0", fields.get("refused"), line);
      } else {
        assertNotEquals("0", fields.get("refused"), line);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"max", "4m"})
  void replay_manyRecordedThreads_leavesNoDrift(String limit) {
    CommandRun run =
        CommandRun.of("replay", "--json", "--threads", "--max", limit, "hotspot-javac");

    assertEquals(0, run.exitCode(), run.err());
    assertEquals("0", JsonFields.parse(run.out().strip()).get("driftBytes"));
  }

  private String trace(String name, CharSequence events) throws IOException {
    return TraceFile.write(folder, name, TraceFile.HEADER + events).toString();
  }

  private static double number(Map<String, String> fields, String key) {
    return Double.parseDouble(fields.getOrDefault(key, "missing"));
  }
}
