package io.memcg4j.examples.server;

/** A request that is wrong: what the client is told, and with which status. */
final class ClientError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int status;

  /**
   * An error without a stack.
   *
   * @param status 400 to 499
   * @param reason for the client: nothing of ours, and what the client said only where it is short
   */
  ClientError(int status, String reason) {
    super(reason, null, false, false);
    this.status = status;
  }

  int status() {
    return status;
  }

  String reason() {
    return String.valueOf(getMessage());
  }
}
