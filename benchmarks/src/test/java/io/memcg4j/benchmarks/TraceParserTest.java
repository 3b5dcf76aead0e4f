package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class TraceParserTest {
  @TempDir private Path folder = Path.of("");

  @Test
  void parse_everyKindOfEvent_keepsOpIdSizeAndAlignment() throws Exception {
    Trace trace =
        parse(
            "a 0 8\nz 16777215 0\nm 2 100 4096\nr 0 34359738368\nf 2\nm 2 1 1\nm 3 1 1073741824\n");

    assertEquals("hand", trace.name());
    int[] ops = Arrays.stream(trace.words()).map(Trace::op).toArray();
    assertArrayEquals(
        new int[] {
          Trace.ALLOCATE,
          Trace.ZEROED,
          Trace.ALIGNED,
          Trace.REALLOCATE,
          Trace.FREE,
          Trace.ALIGNED,
          Trace.ALIGNED
        },
        ops);
    int[] ids = Arrays.stream(trace.words()).map(Trace::id).toArray();
    assertArrayEquals(new int[] {0, 16777215, 2, 0, 2, 2, 3}, ids);
    assertArrayEquals(new long[] {8, 0, 100, 34359738368L, 0, 1, 1}, trace.sizes());
    assertEquals(4096, Trace.alignment(trace.words()[2]));
    assertEquals(1, Trace.alignment(trace.words()[5]));
    assertEquals(1 << 30, Trace.alignment(trace.words()[6]));
    assertEquals(16777216, trace.nrIds());
  }

  @Test
  void parse_sizesGoUpAndDown_keepsPeakAndLiveObjects() throws Exception {
    Trace trace = parse("a 0 100\na 1 50\nf 0\nr 1 70\nz 0 60\nr 0 10\nf 1\n");

    assertEquals(150, trace.requestedPeakBytes());
    assertEquals(1, trace.nrLiveAtEnd());
  }

  @Test
  void parse_severalThreads_keepsRunsWithDenseNumbers() throws Exception {
    Trace trace = parse("a 0 1\nt 7\nt 9\na 1 1\na 2 1\nt 9\na 3 1\nt 0\nf 0\nt 9\nf 1\n");

    assertEquals(2, trace.nrThreads());
    assertArrayEquals(new int[] {0, 1, 4, 5}, trace.runStarts());
    assertArrayEquals(new int[] {0, 1, 0, 1}, trace.runThreads());
    assertEquals(6, trace.runEnd(3));
  }

  @Test
  void parse_onlyHeader_isAnEmptyTrace() throws Exception {
    Trace trace = parse("# nothing\n");

    assertEquals(0, trace.nrEvents());
    assertEquals(0, trace.nrRuns());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "q 1 2|unknown event",
        "alloc 1 2|unknown event",
        "A 1 2|unknown event",
        " a 1 2|unknown event",
        "a|missing id",
        "a |missing id",
        "a  1 2|missing id",
        "a 1|missing size",
        "a 1 |missing size",
        "z 1|missing size",
        "r 0|missing size",
        "m 1 8|missing alignment",
        "f|missing id",
        "t|missing thread",
        "a 1 2 3|too many fields",
        "a 1 2 |too many fields",
        "f 0 0|too many fields",
        "t 1 1|too many fields",
        "m 1 2 8 8|too many fields",
        "a -1 2|negative id",
        "a 1 -2|negative size",
        "m 1 2 -8|negative alignment",
        "t -1|negative thread",
        "a x 2|id is not a number",
        "a 1 2k|size is not a number",
        "a 1 0x10|size is not a number",
        "a 1 +2|size is not a number",
        "t one|thread is not a number",
        "a 16777216 2|id out of range 0..16777215",
        "a 1 9223372036854775808|size out of range 0..34359738368",
        "a 1 99999999999999999999|size out of range 0..34359738368",
        "a 1 34359738369|size out of range 0..34359738368",
        "r 0 34359738369|size out of range 0..34359738368",
        "m 1 2 2147483648|alignment out of range 0..1073741824",
        "t 65536|thread out of range 0..65535",
        "m 1 2 3|alignment is not a power of two",
        "m 1 2 0|alignment is not a power of two",
        "a 0 2|id is live already",
        "z 0 2|id is live already",
        "m 0 2 8|id is live already",
        "f 1|free of an id that is not live",
        "f 5000|free of an id that is not live",
        "r 1 2|reallocation of an id that is not live",
        "# late|header line after the first event",
      })
  void parse_badLine_namesFileLineAndReason(String line, String reason) throws Exception {
    Path file = TraceFile.write(folder, "bad", TraceFile.HEADER + "t 0\na 0 8\n" + line);

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(file));

    assertEquals(file + ":4: " + reason + ": " + line, message(thrown));
  }

  @Test
  void parse_emptyLineBetweenEvents_isRefused() throws Exception {
    assertMessage("a 0 8\n\nf 0\n", ":3: empty line: ");
  }

  @Test
  void parse_idOfALaterAllocation_isNotLiveBefore() throws Exception {
    assertMessage("a 9 8\nf 3\n", ":3: free of an id that is not live: f 3");
  }

  @Test
  void parse_secondFree_isRefused() throws Exception {
    assertMessage("a 9 8\nf 9\nf 9\n", ":4: free of an id that is not live: f 9");
  }

  @ParameterizedTest
  @ValueSource(strings = {"a 0 8\n", "", "\n"})
  void parse_noHeader_isRefusedAtLineOne(String text) throws Exception {
    Path file = TraceFile.write(folder, "bare", text);

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(file));

    assertTrue(
        message(thrown).startsWith(file + ":1: missing header, expected a line"), message(thrown));
  }

  @Test
  void parse_otherVersion_isRefused() throws Exception {
    Path file = TraceFile.write(folder, "two", "# allocation trace 2\na 0 8\n");

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(file));

    assertEquals(file + ":1: unknown version, expected 1: # allocation trace 2", message(thrown));
  }

  @Test
  void parse_lineOfGarbage_isShownCutAndWithoutControlCharacters() throws Exception {
    assertMessage("\u0007\u001b[2J" + "x".repeat(100) + "\n", ":2: unknown event: ??[2J");
  }

  @Test
  void parse_missingFile_isRefused() {
    Path file = folder.resolve("none.trace.gz");

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(file));

    assertEquals(file + ":0: cannot open: no such file", message(thrown));
  }

  @Test
  void parse_folder_isRefused() {
    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(folder));

    assertTrue(message(thrown).startsWith(folder + ":0: cannot read: "), message(thrown));
  }

  @Test
  void parse_plainText_isRefused() throws Exception {
    Path file = Files.writeString(folder.resolve("plain"), TraceFile.HEADER + "a 0 8\n");

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(file));

    assertTrue(message(thrown).startsWith(file + ":0: not a gzip file: "), message(thrown));
  }

  @Test
  void parse_truncatedGzip_namesTheLineItBreaksIn() throws Exception {
    Path whole = TraceFile.write(folder, "whole", events(50_000));
    byte[] bytes = Files.readAllBytes(whole);
    Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(bytes, bytes.length / 2));

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(cut));

    String[] parts = message(thrown).substring(cut.toString().length()).split(":", 4);
    int line = Integer.parseInt(parts[1]);
    assertTrue(line > 1_000 && line < 49_000, message(thrown));
    assertEquals(" truncated gzip", parts[2]);
  }

  @Test
  void parse_damagedGzip_isRefused() throws Exception {
    Path whole = TraceFile.write(folder, "damaged", events(50));
    byte[] bytes = Files.readAllBytes(whole);
    bytes[bytes.length - 8] ^= 1; // the check sum
    Files.write(whole, bytes);

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(whole));

    assertTrue(message(thrown).contains(": damaged gzip: "), message(thrown));
  }

  @Test
  void parse_emptyFile_isRefused() throws Exception {
    Path file = Files.createFile(folder.resolve("empty"));

    TraceException thrown = assertThrows(TraceException.class, () -> TraceParser.parse(file));

    assertTrue(message(thrown).startsWith(file + ":0: truncated gzip: "), message(thrown));
  }

  /** What the recorder counted must be what the parser counts. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "gcc-compile",
        "git-log",
        "hotspot-javac",
        "jq-group",
        "lua-tables",
        "sqlite-oltp"
      })
  void parse_theProjectsTraces_agreesWithTheirHeaders(String name) throws Exception {
    Path file = TraceFiles.find(name);
    Trace trace = TraceParser.parse(file);

    String counted =
        "# events %d threads %d slots %d peak-bytes %d live-at-end %d"
            .formatted(
                trace.nrEvents(),
                trace.nrThreads(),
                trace.nrIds(),
                trace.requestedPeakBytes(),
                trace.nrLiveAtEnd());
    assertEquals(counted, headerLine(file, 3));
  }

  private static String message(TraceException thrown) {
    return String.valueOf(thrown.getMessage());
  }

  private Trace parse(String events) throws IOException, TraceException {
    return TraceParser.parse(TraceFile.write(folder, "hand", TraceFile.HEADER + events));
  }

  private void assertMessage(String events, String expected) throws IOException {
    TraceException thrown = assertThrows(TraceException.class, () -> parse(events));
    assertTrue(message(thrown).contains(expected), message(thrown));
  }

  private static String events(int nrEvents) {
    StringBuilder text = new StringBuilder(TraceFile.HEADER);
    for (int i = 0; i < nrEvents; i++) {
      text.append("a ").append(i).append(' ').append(i * 7919L % 4099).append('\n');
    }
    return text.toString();
  }

  private static String headerLine(Path file, int number) throws IOException {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(file)), StandardCharsets.ISO_8859_1))) {
      return lines.lines().skip(number - 1).findFirst().orElse("");
    }
  }
}
