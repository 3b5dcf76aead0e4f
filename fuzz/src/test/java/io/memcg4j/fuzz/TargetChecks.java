package io.memcg4j.fuzz;

/** What every target wants of an answer to bad input. */
public final class TargetChecks {
  private static final int MAX_MESSAGE_CHARS = 1000;

  private TargetChecks() {}

  /**
   * An error says in one printable line what is wrong.
   *
   * @param e the error
   */
  public static void clean(Exception e) {
    String message = String.valueOf(e.getMessage());
    require(message.length() <= MAX_MESSAGE_CHARS, "long message");
    require(message.lines().count() == 1, "message of several lines");
    require(message.codePoints().noneMatch(Character::isISOControl), "message not printable");
  }

  /**
   * Fails if something is not so.
   *
   * @param isSo what must be true
   * @param otherwise what it means if it is not
   */
  public static void require(boolean isSo, String otherwise) {
    if (!isSo) {
      throw new AssertionError(otherwise);
    }
  }
}
