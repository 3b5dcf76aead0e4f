package io.memcg4j.benchmarks;

import java.util.ArrayList;
import java.util.List;

/** A table as Markdown text; the first column is text, the others are numbers. */
final class MarkdownTable {
  private final List<String> head;
  private final List<List<String>> rows = new ArrayList<>();

  MarkdownTable(List<String> head) {
    this.head = List.copyOf(head);
  }

  /** Adds a row, if anything but its name is known. */
  void add(List<String> cells) {
    if (cells.size() != head.size()) {
      throw new IllegalArgumentException("bad row: cells=" + cells + " columns=" + head.size());
    }
    if (cells.subList(1, cells.size()).stream().anyMatch(cell -> !cell.isEmpty())) {
      rows.add(List.copyOf(cells));
    }
  }

  boolean isEmpty() {
    return rows.isEmpty();
  }

  String text() {
    StringBuilder text = new StringBuilder(line(head));
    text.append("|---|").append("---:|".repeat(head.size() - 1)).append('\n');
    rows.forEach(row -> text.append(line(row)));
    return text.toString();
  }

  private static String line(List<String> cells) {
    return "| " + String.join(" | ", cells) + " |\n";
  }
}
