package io.memcg4j.docs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A fenced block of a page.
 *
 * @param page name of the file
 * @param line of its fence, from 1
 * @param language what stands behind the fence
 * @param text between the fences
 * @param given parameters that a fragment of Java takes for granted, from a comment {@code <!--
 *     given: Type name, Type name -->} before the fence; empty if there is none
 * @param output lines that it prints, from an output block that follows; empty if there is none
 */
record Block(
    String page, int line, String language, String text, String given, List<String> output) {
  private static final Pattern GIVEN = Pattern.compile("<!-- given: (.*) -->");
  private static final String FENCE = "```";

  Block {
    output = List.copyOf(output);
  }

  /** The blocks of a page, without those of language output. */
  static List<Block> parse(Path page) throws IOException {
    return parse(String.valueOf(page.getFileName()), Files.readString(page));
  }

  static List<Block> parse(String page, String markdown) {
    List<Block> blocks = new ArrayList<>();
    List<String> lines = markdown.lines().toList();
    String given = "";
    for (int i = 0; i < lines.size(); i++) {
      Matcher comment = GIVEN.matcher(lines.get(i));
      if (comment.matches()) {
        given = comment.group(1);
      } else if (lines.get(i).startsWith(FENCE)) {
        int end = i + 1;
        while (end < lines.size() && !lines.get(end).equals(FENCE)) {
          end++;
        }
        if (end == lines.size()) {
          throw new IllegalArgumentException("fence without end: " + page + ":" + (i + 1));
        }
        String language = lines.get(i).substring(FENCE.length());
        List<String> inside = lines.subList(i + 1, end);
        if (language.equals("output")) {
          blocks.add(blocks.removeLast().printing(inside));
        } else {
          blocks.add(new Block(page, i + 1, language, String.join("\n", inside), given, List.of()));
        }
        given = "";
        i = end;
      }
    }
    return blocks;
  }

  private Block printing(List<String> lines) {
    return new Block(page, line, language, text, given, lines);
  }

  /** Where it is, for messages. */
  String where() {
    return page + ":" + line;
  }

  /**
   * Passes if the lines of the output block came in this order, perhaps with others between them.
   * Numbers, addresses and the width of columns do not count; a line of three dots is left out.
   */
  void checkOutput(String printed) {
    List<String> came = printed.lines().map(Block::shape).toList();
    int at = 0;
    for (String expected : output) {
      String shape = shape(expected);
      if (shape.equals("...") || shape.isEmpty()) {
        continue;
      }
      int found = came.subList(at, came.size()).indexOf(shape);
      if (found < 0) {
        throw new AssertionError(
            "output differs: at=" + where() + " missing=\"" + expected + "\" printed:\n" + printed);
      }
      at += found + 1;
    }
  }

  private static String shape(String line) {
    return line.replaceAll("0x[0-9a-f]+|(?<=crc )[0-9a-f]+", "#")
        .replaceAll("\\d+(\\.\\d+)?[KMG]?", "#")
        .replaceAll("[ ─]+", " ")
        .strip();
  }
}
