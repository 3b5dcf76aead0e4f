package io.memcg4j.percpu;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.openjdk.jol.info.ClassLayout;
import org.openjdk.jol.info.FieldLayout;
import org.openjdk.jol.info.GraphLayout;

/**
 * What one thread writes often is 128 bytes away from what others touch, whatever object headers
 * the JVM has. Each case lays the objects out in a JVM of its own.
 */
class PaddingTest {
  private static final int PADDING = 128;
  private static final int CACHE_LINE = 64;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-XX:-UseCompactObjectHeaders",
        "-XX:+UseCompactObjectHeaders",
        "-XX:-UseCompressedOops"
      })
  void layout_anyHeaders_keepsTheDistance(String flag) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                flag,
                "--enable-native-access=ALL-UNNAMED",
                "-Djdk.attach.allowAttachSelf=true",
                "-cp",
                System.getProperty("java.class.path"),
                PaddingTest.class.getName(),
                flag)
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), Charset.defaultCharset());
    assertEquals(0, process.waitFor(), output);
  }

  /** Exits with 1 and says what is wrong, if something is. */
  public static void main(String[] args) {
    List<String> faults = new ArrayList<>();
    checkSlot(faults);
    checkCounter(faults);
    checkRef(faults, args[0].equals("-XX:-UseCompressedOops"));
    faults.forEach(System.out::println);
    System.exit(faults.isEmpty() ? 0 : 1);
  }

  private static void expect(List<String> faults, boolean holds, String fault) {
    if (!holds) {
      faults.add(fault);
    }
  }

  private static void checkSlot(List<String> faults) {
    Set<String> contended = Set.of("owner", "gate", "work");
    ClassLayout layout = ClassLayout.parseClass(CpuSlot.class);
    long start = Long.MAX_VALUE;
    long end = 0;
    int nrFound = 0;
    for (FieldLayout field : layout.fields()) {
      if (contended.contains(field.name())) {
        nrFound++;
        start = Math.min(start, field.offset());
        end = Math.max(end, field.offset() + field.size());
      }
    }
    expect(faults, nrFound == contended.size(), "contended words missing: " + nrFound);
    expect(faults, end - start <= CACHE_LINE, "contended words apart: " + start + ".." + end);
    // From the neighbours on the heap, and from the slot's own header and read-mostly fields.
    expect(faults, start >= PADDING, "too little in front: " + start);
    expect(faults, layout.instanceSize() - end >= PADDING, "too little behind: " + end);
    for (FieldLayout field : layout.fields()) {
      boolean far = field.offset() + field.size() <= start - PADDING;
      far |= field.offset() >= end + PADDING;
      expect(
          faults,
          far || contended.contains(field.name()) || field.typeClass().equals("byte"),
          "too near: " + field);
    }
    expect(faults, layout.instanceSize() <= 328, "size of a slot: " + layout.instanceSize());
  }

  private static void checkCounter(List<String> faults) {
    int nrSlots = 5;
    long[] words = new long[PercpuCounter.nrWords(nrSlots)];
    ClassLayout layout = ClassLayout.parseInstance(words);
    long base = layout.instanceSize() - 8L * words.length;
    // The length of the array is the last thing in its header.
    long previousEnd = base;
    for (int i = -1; i < nrSlots; i++) {
      int word = i < 0 ? PercpuCounter.TOTAL : PercpuCounter.wordOf(i);
      long start = base + 8L * word;
      long end = start + 8L * PercpuCounter.NR_WORDS_USED;
      // What is in use of one stride and of the next is never in the same pair of lines.
      expect(faults, start - previousEnd >= PADDING - CACHE_LINE, "too near: slot=" + i);
      expect(faults, word % (PADDING / 8) == 0, "not on a stride: slot=" + i);
      previousEnd = end;
    }
    expect(faults, layout.instanceSize() - previousEnd >= PADDING - CACHE_LINE, "end too near");
    // Additions read the fields of the counter itself: none may be written after construction.
    for (Field field : PercpuCounter.class.getDeclaredFields()) {
      expect(
          faults,
          Modifier.isFinal(field.getModifiers()) || field.isSynthetic(), // -ea's switch
          "not final: " + field);
    }
    long nrBytes = GraphLayout.parseInstance(words).totalSize();
    expect(faults, nrBytes <= 128L * nrSlots + 400, "size of a counter: " + nrBytes);
  }

  private static void checkRef(List<String> faults, boolean wideReferences) {
    long nrBytes = ClassLayout.parseClass(PercpuRef.class).instanceSize();
    expect(faults, nrBytes <= (wideReferences ? 56 : 40), "size of a reference: " + nrBytes);
  }
}
