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
   *     has a {@code /}, a control character, a line separator or half a surrogate pair in it
   */
  static void check(String name) {
    boolean legal =
        !name.isEmpty()
            && name.length() <= MAX_CHARS
            && !name.equals(".")
            && !name.equals("..")
            && name.codePoints().noneMatch(GroupName::isForbidden);
    if (!legal) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "illegal group name: name=%s chars=%d legal=1..%d chars without '/' and control characters, not . or ..",
              Printable.quoted(name),
              name.length(),
              MAX_CHARS));
    }
  }

  /** What ends a line somewhere, or has no UTF-8, so that two names would be one there. */
  private static boolean isForbidden(int c) {
    return c == '/'
        || switch (Character.getType(c)) {
          case Character.CONTROL,
              Character.LINE_SEPARATOR,
              Character.PARAGRAPH_SEPARATOR,
              Character.SURROGATE ->
              true;
          default -> false;
        };
  }
}
