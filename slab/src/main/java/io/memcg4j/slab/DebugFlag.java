package io.memcg4j.slab;

import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/** What the debug mode of a cache does, by the kernel's letters. */
public enum DebugFlag {
  /** {@code F}: checks the whole slab at each allocation and free in it. */
  CONSISTENCY_CHECKS('F'),
  /** {@code Z}: red zones around each object. */
  RED_ZONE('Z'),
  /** {@code P}: fills freed objects with a pattern that must still be there later. */
  POISON('P'),
  /** {@code U}: who allocated and freed each object, and when. */
  STORE_USER('U'),
  /** {@code Q}: holds freed objects back for a while, still charged. Not of the kernel's slab. */
  QUARANTINE('Q');

  private final char letter;

  DebugFlag(char letter) {
    this.letter = letter;
  }

  /**
   * The letter in the text form.
   *
   * @return one of {@code FZPUQ}
   */
  public char letter() {
    return letter;
  }

  /**
   * Reads letters of either case; {@code -} is none, no letter at all means F, Z, P and U.
   *
   * @throws IllegalArgumentException if there is another letter
   */
  static Set<DebugFlag> parse(String letters) {
    if (letters.isEmpty()) {
      return EnumSet.of(CONSISTENCY_CHECKS, RED_ZONE, POISON, STORE_USER);
    }
    EnumSet<DebugFlag> flags = EnumSet.noneOf(DebugFlag.class);
    for (char c : letters.toUpperCase(Locale.ROOT).toCharArray()) {
      boolean known = c == '-';
      for (DebugFlag flag : values()) {
        known |= flag.letter == c;
        if (flag.letter == c) {
          flags.add(flag);
        }
      }
      if (!known) {
        throw new IllegalArgumentException(
            "unknown debug flag: flag=" + c + " text='" + letters + "' legal=FZPUQ or -");
      }
    }
    return flags;
  }

  static String format(Set<DebugFlag> flags) {
    StringBuilder text = new StringBuilder();
    flags.forEach(flag -> text.append(flag.letter));
    return text.isEmpty() ? "-" : text.toString();
  }
}
