package io.memcg4j.benchmarks;

/** The part of a page between two comments that a command writes. */
final class GeneratedPart {
  private GeneratedPart() {}

  /**
   * The page with another part.
   *
   * @param name stands in the comments
   * @throws UsageError if the page has no such part
   */
  static String replace(String page, String name, String part) {
    String begin = "<!-- generated: " + name + " -->\n";
    String end = "<!-- end: " + name + " -->";
    int from = page.indexOf(begin);
    int to = page.indexOf(end);
    if (from < 0 || to < from) {
      throw new UsageError("no part of this name: name=" + name + " begin=" + begin.strip());
    }
    return page.substring(0, from + begin.length())
        + "\n"
        + part.strip()
        + "\n\n"
        + page.substring(to);
  }
}
