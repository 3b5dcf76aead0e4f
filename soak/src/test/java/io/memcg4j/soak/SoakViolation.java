package io.memcg4j.soak;

/** Something is not as it has to be. */
final class SoakViolation extends AssertionError {
  private static final long serialVersionUID = 1;

  SoakViolation(String message) {
    super(message);
  }
}
