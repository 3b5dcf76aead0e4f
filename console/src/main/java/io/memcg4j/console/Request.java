package io.memcg4j.console;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** One request and its answer. For the thread that serves it. */
final class Request {
  /** Of a body that is written: a limit, a command. */
  static final int MAX_BODY_BYTES = 4096;

  static final String TEXT = "text/plain; charset=utf-8";
  static final String JSON = "application/json; charset=utf-8";

  private static final int NO_BODY = -1;
  private static final int OK = 200;

  private final HttpExchange exchange;
  private final Deadline deadline;
  private final Duration ioLimit;
  private final List<String> segments;
  private final boolean isFolder;
  private boolean isAnswered;

  Request(HttpExchange exchange, Deadline deadline, Duration ioLimit) {
    this.exchange = exchange;
    this.deadline = deadline;
    this.ioLimit = ioLimit;
    if (exchange.getRequestURI().getRawAuthority() != null) {
      throw new HttpError(HttpError.BAD_REQUEST, "no proxy: the target is to be a path");
    }
    String path = exchange.getRequestURI().getRawPath();
    this.isFolder = path != null && path.endsWith("/");
    this.segments = segments(path == null ? "" : path);
  }

  private static List<String> segments(String rawPath) {
    List<String> segments = new ArrayList<>();
    for (String segment : rawPath.split("/", -1)) {
      segments.add(decode(segment));
    }
    // What is before the first slash, and behind the last one.
    segments.removeFirst();
    if (!segments.isEmpty() && segments.getLast().isEmpty()) {
      segments.removeLast();
    }
    return List.copyOf(segments);
  }

  /** Undoes percent-encoding of UTF-8. Anything else than that is an error, not a guess. */
  private static String decode(String segment) {
    if (segment.indexOf('%') < 0) {
      return segment;
    }
    byte[] raw = segment.getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(raw.length);
    for (int i = 0; i < raw.length; i++) {
      if (raw[i] == '%') {
        int high = i + 2 < raw.length ? Character.digit(raw[i + 1], 16) : -1;
        int low = i + 2 < raw.length ? Character.digit(raw[i + 2], 16) : -1;
        if (high < 0 || low < 0) {
          throw new HttpError(HttpError.BAD_REQUEST, "bad percent-encoding");
        }
        bytes.write(high << 4 | low);
        i += 2;
      } else {
        bytes.write(raw[i]);
      }
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes.toByteArray()))
          .toString();
    } catch (CharacterCodingException e) {
      throw new HttpError(HttpError.BAD_REQUEST, "path is not UTF-8");
    }
  }

  // ---- what is asked

  /** The names in the path, decoded, without the empty one behind a slash at the end. */
  List<String> segments() {
    return segments;
  }

  /** Whether the path ends with a slash. */
  boolean isFolder() {
    return isFolder;
  }

  String method() {
    return exchange.getRequestMethod();
  }

  boolean isRead() {
    return method().equals("GET") || method().equals("HEAD");
  }

  boolean isWrite() {
    return method().equals("PUT") || method().equals("POST");
  }

  List<String> headers(String name) {
    return exchange.getRequestHeaders().getOrDefault(name, List.of());
  }

  boolean wantsJson() {
    return hasQuery("format=json")
        || headers("Accept").stream().anyMatch(value -> value.startsWith("application/json"));
  }

  /** Whether the query has a part of exactly this text. */
  boolean hasQuery(String part) {
    String query = exchange.getRequestURI().getRawQuery();
    return query != null && Arrays.asList(query.split("&", -1)).contains(part);
  }

  /**
   * The body as text.
   *
   * @throws HttpError if it is too large or not UTF-8
   */
  String body() throws IOException {
    deadline.start(ioLimit);
    try {
      byte[] bytes = exchange.getRequestBody().readNBytes(MAX_BODY_BYTES + 1);
      if (bytes.length > MAX_BODY_BYTES) {
        throw new HttpError(
            HttpError.TOO_LARGE, "body too large: legal=0.." + MAX_BODY_BYTES + " bytes");
      }
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new HttpError(HttpError.BAD_REQUEST, "body is not UTF-8");
    } finally {
      deadline.stop();
    }
  }

  // ---- the answer

  void reply(String type, String text) throws IOException {
    reply(OK, type, text.getBytes(StandardCharsets.UTF_8));
  }

  void reply(String type, byte[] bytes) throws IOException {
    reply(OK, type, bytes);
  }

  void fail(HttpError error) throws IOException {
    if (isAnswered) {
      return;
    }
    if (error.status() == HttpError.TOO_MANY_REQUESTS) {
      exchange.getResponseHeaders().set("Retry-After", "1");
    }
    if (error.status() == HttpError.UNAUTHORIZED) {
      exchange.getResponseHeaders().set("WWW-Authenticate", "Bearer realm=\"memcg4j\"");
    }
    if (!isRead()) {
      // The body may not have been read: nothing more is taken from this connection.
      exchange.getResponseHeaders().set("Connection", "close");
    }
    String text = error.getMessage() + "\n";
    reply(error.status(), TEXT, text.getBytes(StandardCharsets.UTF_8));
  }

  private void reply(int status, String type, byte[] bytes) throws IOException {
    isAnswered = true;
    deadline.start(ioLimit);
    try {
      setHeaders(type);
      if (method().equals("HEAD")) {
        exchange.getResponseHeaders().set("Content-Length", Integer.toString(bytes.length));
        exchange.sendResponseHeaders(status, NO_BODY);
        return;
      }
      exchange.sendResponseHeaders(status, bytes.length == 0 ? NO_BODY : bytes.length);
      if (bytes.length > 0) {
        try (OutputStream out = exchange.getResponseBody()) {
          out.write(bytes);
        }
      }
    } finally {
      deadline.stop();
    }
  }

  /** Begins an answer without an end. */
  OutputStream stream(String type) throws IOException {
    isAnswered = true;
    setHeaders(type);
    deadline.start(ioLimit);
    try {
      exchange.sendResponseHeaders(OK, 0);
      return exchange.getResponseBody();
    } finally {
      deadline.stop();
    }
  }

  /** Writes a part of it. */
  void write(OutputStream out, byte[] bytes) throws IOException {
    deadline.start(ioLimit);
    try {
      out.write(bytes);
      out.flush();
    } finally {
      deadline.stop();
    }
  }

  private void setHeaders(String type) {
    Headers headers = exchange.getResponseHeaders();
    headers.set("Content-Type", type);
    headers.set(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("X-Frame-Options", "DENY");
    headers.set("Referrer-Policy", "no-referrer");
    headers.set("Cross-Origin-Opener-Policy", "same-origin");
    headers.set("Cross-Origin-Resource-Policy", "same-origin");
    headers.set("Cache-Control", "no-store");
  }

  @Override
  public String toString() {
    return String.format(Locale.ROOT, "%s %s", method(), exchange.getRequestURI());
  }
}
