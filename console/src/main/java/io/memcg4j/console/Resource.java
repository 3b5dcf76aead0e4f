package io.memcg4j.console;

import java.io.IOException;

/** What is below one name at the root of the console. Any thread. */
interface Resource {
  /**
   * Answers a GET.
   *
   * @throws HttpError if there is no such thing
   */
  void get(Request request) throws IOException;

  /**
   * Answers a PUT, or a POST, of somebody who may.
   *
   * @throws HttpError if that cannot be written
   */
  default void put(Request request) throws IOException {
    throw new HttpError(HttpError.METHOD_NOT_ALLOWED, "can only be read");
  }
}
