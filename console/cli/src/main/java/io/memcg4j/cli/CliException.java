package io.memcg4j.cli;

/** An operation that failed for a reason that the user can read in one line, or in a few. */
final class CliException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int exitCode;

  private CliException(int exitCode, String message) {
    super(message);
    this.exitCode = exitCode;
  }

  static CliException failed(String message) {
    return new CliException(Main.FAILED, message);
  }

  static CliException usage(String message) {
    return new CliException(Main.USAGE, message);
  }

  int exitCode() {
    return exitCode;
  }
}
