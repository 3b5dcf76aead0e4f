package io.memcg4j.servlet;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of a request that fails because a limit refused memory. Immutable.
 *
 * <p>The answer has a JSON body that names the group, the limit and the figures, unless {@link
 * #withoutFigures}. Nothing can be answered once the response is committed: then the error goes on
 * to the container, as with {@link #rethrown}.
 */
public final class Refusal {
  /** 507: no room, and nothing is said about when there will be. */
  public static final int INSUFFICIENT_STORAGE = 507;

  /** 429: the client shall come back later. */
  public static final int TOO_MANY_REQUESTS = 429;

  private static final int MAX_CAUSES = 16;
  private static final Refusal RETHROWN = new Refusal(0, 0, false);

  private final int status;
  private final long retryAfterSeconds;
  private final boolean showsFigures;

  private Refusal(int status, long retryAfterSeconds, boolean showsFigures) {
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.showsFigures = showsFigures;
  }

  /**
   * Answers with status 507.
   *
   * @return with figures
   */
  public static Refusal insufficientStorage() {
    return new Refusal(INSUFFICIENT_STORAGE, 0, true);
  }

  /**
   * Answers with status 429 and {@code Retry-After}; with 507 if a retry cannot help, because the
   * request is larger than the limit.
   *
   * @param retryAfter when to come back; whole seconds, at least 1
   * @return with figures
   */
  public static Refusal tooManyRequests(Duration retryAfter) {
    return new Refusal(TOO_MANY_REQUESTS, Math.max(1, retryAfter.toSeconds()), true);
  }

  /**
   * Answers nothing: the container makes an error page of the exception.
   *
   * @return the same every time
   */
  public static Refusal rethrown() {
    return RETHROWN;
  }

  /**
   * The same without group and figures in the body, for clients who are none of the operator's.
   *
   * @return a copy
   */
  public Refusal withoutFigures() {
    return new Refusal(status, retryAfterSeconds, false);
  }

  /** By the names of the filter's init parameter; as in {@link MemcgFilter#ON_REFUSAL}. */
  static Refusal parse(String name, long retryAfterSeconds) {
    return switch (name) {
      case "507" -> insufficientStorage();
      case "429" -> tooManyRequests(Duration.ofSeconds(retryAfterSeconds));
      case "rethrow" -> rethrown();
      default ->
          throw new IllegalArgumentException(
              "bad init parameter: "
                  + MemcgFilter.ON_REFUSAL
                  + "="
                  + name
                  + " legal=507,429,rethrow");
    };
  }

  /** The refusal that an error was caused by; null if it was not. */
  static @Nullable MemoryLimitException in(Throwable error) {
    Throwable cause = error;
    for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
      if (cause instanceof MemoryLimitException refused) {
        return refused;
      }
      cause = cause.getCause();
    }
    return null;
  }

  /** Answers an error if it is a refusal; false if the container has to. */
  boolean answer(Throwable error, HttpServletResponse response) throws IOException {
    MemoryLimitException refused = status == 0 ? null : in(error);
    if (refused == null || response.isCommitted()) {
      return false;
    }
    response.reset();
    if (status == TOO_MANY_REQUESTS && refused.retryable()) {
      response.setStatus(TOO_MANY_REQUESTS);
      response.setHeader("Retry-After", Long.toString(retryAfterSeconds));
    } else {
      response.setStatus(INSUFFICIENT_STORAGE);
    }
    byte[] body = body(refused).getBytes(StandardCharsets.UTF_8);
    response.setContentType("application/json");
    response.setHeader("Cache-Control", "no-store");
    response.setContentLength(body.length);
    response.getOutputStream().write(body);
    return true;
  }

  private String body(MemoryLimitException refused) {
    if (!showsFigures) {
      return "{\"error\":\"memory limit\"}\n";
    }
    return String.format(
        Locale.ROOT,
        "{\"error\":\"memory limit\",\"group\":%s,\"limitedBy\":%s,\"requestedBytes\":%d,"
            + "\"usageBytes\":%d,\"maxBytes\":%s,\"retryable\":%b}%n",
        quoted(refused.group()),
        quoted(refused.limitedBy()),
        refused.requestedBytes(),
        refused.usageBytes(),
        refused.maxBytes() == MemCgroup.UNLIMITED ? "null" : Long.toString(refused.maxBytes()),
        refused.retryable());
  }

  private static String quoted(String value) {
    StringBuilder text = new StringBuilder("\"");
    value
        .chars()
        .forEach(c -> {
          if (c == '"' || c == '\\' || c < 0x20) {
            text.append(String.format(Locale.ROOT, "\\u%04x", c));
          } else {
            text.append((char) c);
          }
        });
    return text.append('"').toString();
  }
}
