package io.memcg4j.memcg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * Sizes, files and names of any text: what is legal counts, anything else is refused in one line of
 * bounded length, and nothing is changed by it.
 */
final class HostileTextTest {
  private static final int NR_SIZES = 100_000;
  private static final int NR_WRITES = 30_000;
  private static final int NR_NAMES = 20_000;
  private static final int MAX_MESSAGE_CHARS = 1000;
  private static final int HUGE = 64 << 10;
  private static final Pattern SIZE =
      Pattern.compile("(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)([kKmMgGtTpPeE]?)");
  private static final String[] PIECES =
      ("0|1|7|9|0x|0X|f|F|E|e|K|k|m|G|T|P|max|-|+|.| |\t|\n|\u0000|\u00a0|\u2028|\u202e|\u0663|"
              + "\ud800|\udc00|\ud83d\ude00|\"|\\|/|..|%s|%n|{|}|=|,|9223372036854775807|"
              + "9223372036854775808|18446744073709551616|some 150000 1000000|memory.max|a")
          .split("\\|", -1);

  private final long seed = Long.getLong("memcg4j.hostile.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final MemCgroup root = MemCgroup.root();

  private String text() {
    if (random.nextInt(2_000) == 0) {
      return PIECES[random.nextInt(PIECES.length)].repeat(HUGE);
    }
    StringBuilder text = new StringBuilder();
    for (int n = random.nextInt(6); n > 0; n--) {
      text.append(
          random.nextInt(12) == 0
              ? String.valueOf((char) random.nextInt(0x10000))
              : PIECES[random.nextInt(PIECES.length)]);
    }
    return text.toString();
  }

  private String where(String text) {
    String start = text.substring(0, Math.min(100, text.length()));
    return "seed=" + seed + " text=" + start.chars().mapToObj(Integer::toHexString).toList();
  }

  private void assertClean(RuntimeException e, String text) {
    String message = String.valueOf(e.getMessage());
    assertTrue(message.length() <= MAX_MESSAGE_CHARS, () -> where(text) + message.length());
    assertEquals(1, message.lines().count(), () -> where(text) + message);
    assertTrue(
        message
            .codePoints()
            .noneMatch(c -> Character.isISOControl(c) || c == 0x2028 || c == 0x202e),
        () -> where(text) + message);
  }

  /** What a size is worth by the text of its documentation; -1 if it is none. */
  private static long reference(String text) {
    String stripped = text.strip();
    if (stripped.equals("max")) {
      return MemCgroup.UNLIMITED;
    }
    Matcher form = SIZE.matcher(stripped);
    if (!form.matches()) {
      return -1;
    }
    String number = form.group(1);
    String suffix = form.group(2);
    BigInteger value =
        number.startsWith("0x") || number.startsWith("0X")
            ? new BigInteger(number.substring(2), 16)
            : new BigInteger(number, number.startsWith("0") ? 8 : 10);
    int shift = suffix.isEmpty() ? 0 : 10 * (1 + "kmgtpe".indexOf(suffix.toLowerCase(Locale.ROOT)));
    return value.shiftLeft(shift).min(BigInteger.valueOf(Long.MAX_VALUE)).longValueExact();
  }

  @Test
  void sizes_areThoseOfTheDocumentationOrRefused() {
    int nrLegal = 0;
    for (int i = 0; i < NR_SIZES; i++) {
      String text = text();
      long expected = text.length() > HUGE / 2 ? Long.MIN_VALUE : reference(text);
      long parsed;
      try {
        parsed = MemorySize.parse("memory.max", text);
      } catch (IllegalArgumentException e) {
        assertClean(e, text);
        parsed = -1;
      }
      if (expected != Long.MIN_VALUE) { // the reference takes minutes for so many digits
        assertEquals(expected, parsed, () -> where(text));
      }
      if (parsed >= 0) {
        nrLegal++;
        assertEquals(parsed, MemorySize.parse("memory.max", MemorySize.format(parsed)));
      }
    }
    assertTrue(nrLegal > NR_SIZES / 200, "nrLegal=" + nrLegal);
  }

  @Test
  void files_takeWhatIsLegal_andAlwaysReadAsSomethingLegal() {
    MemCgroup group = root.create("a");
    MemCgroupFs fs = new MemCgroupFs(root);
    List<String> files = fs.list("a");
    int nrTaken = 0;
    for (int i = 0; i < NR_WRITES; i++) {
      String file = "a/" + files.get(random.nextInt(files.size()));
      String path = random.nextInt(4) == 0 ? text() + "/" + file : file;
      String text = text();
      try {
        if (random.nextBoolean()) {
          fs.write(path, text);
        } else {
          fs.writeNoBlock(path, text);
        }
        nrTaken++;
      } catch (IllegalArgumentException | IllegalStateException e) {
        assertClean(e, text);
      }
      if (!file.equals("a/memory.reclaim")) {
        String now = fs.read(file);
        assertTrue(!now.isEmpty(), () -> where(text));
        if (file.matches("a/memory\\.(min|low|high|max|oom\\.group)")) {
          fs.write(file, now);
          assertEquals(now, fs.read(file), () -> where(text));
        }
      }
    }
    assertTrue(nrTaken > NR_WRITES / 500, "nrTaken=" + nrTaken);
    assertEquals(List.of(group), root.children());
    assertEquals(0, root.usage());
  }

  @Test
  void paths_leadToAFileOrAreRefused() {
    root.create("a").create("b");
    MemCgroupFs fs = new MemCgroupFs(root);
    for (int i = 0; i < NR_NAMES; i++) {
      String path = text() + (random.nextBoolean() ? "/memory.max" : "");
      try {
        assertTrue(fs.read(path).endsWith(System.lineSeparator()), () -> where(path));
      } catch (IllegalArgumentException e) {
        assertClean(e, path);
      }
      try {
        assertTrue(fs.list(path).contains("memory.max"), () -> where(path));
      } catch (IllegalArgumentException e) {
        assertClean(e, path);
      }
    }
  }

  /** What {@code create} lets through is one name everywhere: in a path, a file, UTF-8, a line. */
  @Test
  void names_areRefusedOrMeanTheSameEverywhere() {
    MemCgroupFs fs = new MemCgroupFs(root);
    int nrMade = 0;
    for (int i = 0; i < NR_NAMES; i++) {
      String name = text();
      MemCgroup group;
      try {
        group = root.create(name);
      } catch (IllegalArgumentException e) {
        assertClean(e, name);
        assertNull(root.find("/" + name + "/x"), () -> where(name));
        continue;
      }
      nrMade++;
      assertSame(group, root.find(name), () -> where(name));
      assertEquals("/" + name, group.path(), () -> where(name));
      assertEquals("0", fs.read(name + "/memory.current").strip(), () -> where(name));
      assertTrue(fs.list("/").contains(name + "/"), () -> where(name));
      byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
      assertEquals(name, new String(utf8, StandardCharsets.UTF_8), () -> where(name));
      assertTrue(name.matches("[^\\v]+"), () -> where(name));
      group.remove();
    }
    assertTrue(nrMade > NR_NAMES / 20, "nrMade=" + nrMade);
    assertEquals(List.of(), root.children());
  }
}
