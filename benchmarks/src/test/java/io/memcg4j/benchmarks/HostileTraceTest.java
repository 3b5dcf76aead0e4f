package io.memcg4j.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Traces that are none: a clear error with its line, or a trace that holds together. */
final class HostileTraceTest {
  private static final int NR_FILES = 1_000;
  private static final int NR_EVENTS = 30;
  private static final int MAX_MESSAGE_CHARS = 1000;

  private final long seed = Long.getLong("memcg4j.hostile.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);

  @TempDir private Path folder = Path.of("");

  private static byte[] gzip(byte[] text) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(bytes)) {
      out.write(text);
    }
    return bytes.toByteArray();
  }

  /** Lines of the right form, most of them legal where they stand. */
  private String text() {
    StringBuilder text = new StringBuilder(TraceFile.HEADER);
    for (int i = 0; i < NR_EVENTS; i++) {
      int id = random.nextInt(20) == 0 ? random.nextInt() : random.nextInt(i + 1);
      long size = random.nextInt(10) == 0 ? random.nextLong() >>> 1 : random.nextInt(1 << 20);
      text.append(
          switch (random.nextInt(9)) {
            case 0, 1, 2 -> "a " + i + " " + size;
            case 3 -> "z " + i + " " + size;
            case 4 -> "m " + i + " " + size + " " + (1L << random.nextInt(31));
            case 5 -> "r " + id + " " + size;
            case 6, 7 -> "f " + id;
            default -> "t " + random.nextInt(4);
          });
      text.append('\n');
    }
    return text.toString();
  }

  private byte[] damage(byte[] bytes) {
    byte[] bad = bytes.clone();
    for (int n = random.nextInt(4); n > 0 && bad.length > 0; n--) {
      int at = random.nextInt(bad.length);
      switch (random.nextInt(4)) {
        case 0 -> bad[at] = (byte) random.nextInt();
        case 1 -> bad[at] ^= (byte) (1 << random.nextInt(8));
        case 2 -> bad[at] = (byte) " 0-9\n#atf".charAt(random.nextInt(9));
        default -> bad = Arrays.copyOf(bad, at);
      }
    }
    return bad;
  }

  @Test
  void parse_damagedTextOrGzip_isATraceOrAnErrorWithItsFile() throws Exception {
    Path file = folder.resolve("bad.trace.gz");
    int nrErrors = 0;
    for (int round = 0; round < NR_FILES; round++) {
      String where = "seed=" + seed + " round=" + round;
      byte[] text = text().getBytes(StandardCharsets.ISO_8859_1);
      byte[] bytes = random.nextBoolean() ? gzip(damage(text)) : damage(gzip(text));
      Files.write(file, bytes);
      try {
        assertHoldsTogether(TraceParser.parse(file), where);
      } catch (TraceException e) {
        nrErrors++;
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains(file.toString()), () -> where + " " + message);
        assertEquals(1, message.lines().count(), () -> where + " " + message);
      } catch (RuntimeException e) {
        throw new AssertionError(where, e);
      }
    }
    assertTrue(nrErrors > NR_FILES / 10, "nrErrors=" + nrErrors);
    assertTrue(nrErrors < NR_FILES, "nothing but errors");
  }

  private static void assertHoldsTogether(Trace trace, String where) {
    assertEquals(trace.nrEvents(), trace.words().length, where);
    boolean[] live = new boolean[trace.nrIds()];
    int nrLive = 0;
    for (int word : trace.words()) {
      int id = Trace.id(word);
      boolean isNew = Trace.op(word) != Trace.FREE && Trace.op(word) != Trace.REALLOCATE;
      assertEquals(!isNew, live[id], where + " id=" + id);
      if (Trace.op(word) != Trace.REALLOCATE) {
        live[id] = isNew;
        nrLive += isNew ? 1 : -1;
      }
    }
    assertEquals(nrLive, trace.nrLiveAtEnd(), where);
  }

  @Test
  void parse_endlessLine_isAnErrorOfOneShortLine() throws Exception {
    for (String line : new String[] {"a", "9", " ", "\u0000", "\u001b[31m"}) {
      Path file = TraceFile.write(folder, "long", TraceFile.HEADER + line.repeat(1 << 20) + "\n");
      try {
        TraceParser.parse(file);
      } catch (TraceException e) {
        String message = String.valueOf(e.getMessage());
        assertTrue(message.length() < MAX_MESSAGE_CHARS, "length=" + message.length());
        assertTrue(message.chars().noneMatch(Character::isISOControl), message);
        continue;
      }
      throw new AssertionError("taken: " + line);
    }
  }
}
