package io.memcg4j.console;

import java.net.URI;
import java.time.Instant;

/**
 * A console of a running JVM of this user.
 *
 * @param pid of the process
 * @param name what the application calls itself, or its main class
 * @param uri where the console is
 * @param token lets its holder write; never shown by {@link #toString}
 * @param started when the console was
 */
public record RunningConsole(long pid, String name, URI uri, String token, Instant started) {
  /** All but the token. */
  @Override
  public String toString() {
    return "RunningConsole[pid=" + pid + ", name=" + name + ", uri=" + uri + "]";
  }
}
