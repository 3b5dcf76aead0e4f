package io.memcg4j.benchmarks;

/** What was asked for cannot be done as it was asked: the message is for the user, exit code 2. */
final class UsageError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  UsageError(String message) {
    super(message);
  }
}
