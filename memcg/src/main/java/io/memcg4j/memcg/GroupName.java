package io.memcg4j.memcg;

import java.util.Locale;

/** What a group may be called. */
final class GroupName {
  private static final int MAX_CHARS = 255;

  private GroupName() {}

  /**
   * Passes legal names.
   *
   * @throws IllegalArgumentException if the name is empty, too long, {@code .} or {@code ..}, or
   *     has a {@code /} or a control character in it
   */
  static void check(String name) {
    boolean legal =
        !name.isEmpty()
            && name.length() <= MAX_CHARS
            && !name.equals(".")
            && !name.equals("..")
            && name.chars().noneMatch(c -> c == '/' || Character.isISOControl(c));
    if (!legal) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "illegal group name: name=%s chars=%d legal=1..%d chars without '/' and control characters, not . or ..",
              quoted(name),
              name.length(),
              MAX_CHARS));
    }
  }

  /** Fit for one line of a message. */
  private static String quoted(String name) {
    StringBuilder text = new StringBuilder("\"");
    name.chars()
        .limit(MAX_CHARS)
        .forEach(c -> text.append(Character.isISOControl(c) ? '?' : (char) c));
    return text.append('"').toString();
  }
}
