package io.memcg4j.fuzz;

import java.nio.charset.StandardCharsets;

/** A parser with a fault: who does not find it finds nothing. */
public final class PlantedTarget {
  private PlantedTarget() {}

  /**
   * One input: the text.
   *
   * @param data the input
   */
  public static void fuzzerTestOneInput(byte[] data) {
    String text = new String(data, StandardCharsets.ISO_8859_1);
    if (text.startsWith("max=") && text.length() > 5 && text.charAt(5) == 'k') {
      throw new IllegalStateException("planted");
    }
  }
}
