package io.memcg4j.cli;

import io.memcg4j.console.RunningConsole;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Requests to one console. */
final class Connection {
  private static final int CONNECT_MILLIS = 5_000;
  private static final int READ_MILLIS = 30_000; // streams send something every 10 s
  private static final int FIRST_ERROR = 400;
  private static final int FORBIDDEN = 403;

  private final RunningConsole console;

  Connection(RunningConsole console) {
    this.console = console;
  }

  /** An answer: JSON or text. */
  record Answer(boolean isJson, String text) {}

  /** One event of a stream. */
  record StreamEvent(String type, String data) {}

  RunningConsole console() {
    return console;
  }

  /** The path of a group or a file as the console takes it: each name percent-encoded. */
  static String encode(String path) {
    StringBuilder encoded = new StringBuilder();
    for (String name : path.split("/", -1)) {
      if (!name.isEmpty()) {
        encoded
            .append('/')
            .append(URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20"));
      }
    }
    return encoded + (path.endsWith("/") || encoded.isEmpty() ? "/" : "");
  }

  Answer get(String resource) {
    return exchange("GET", resource, null);
  }

  String text(String resource) {
    return get(resource).text();
  }

  Map<String, @Nullable Object> json(String resource) {
    String text = get(resource).text();
    try {
      return Json.parseObject(text);
    } catch (IllegalArgumentException e) {
      throw CliException.failed("no memcg4j console answers: " + console + " " + e.getMessage());
    }
  }

  /** Waits as long as it takes: a limit reclaims, a scan takes minutes. */
  String put(String resource, String body) {
    return exchange("PUT", resource, body).text();
  }

  /**
   * Reads a stream.
   *
   * @param wantsMore is given each event, until it says no or the console ends
   */
  void stream(String resource, Predicate<StreamEvent> wantsMore) {
    HttpURLConnection connection = null;
    try {
      connection = open("GET", resource);
      check(connection);
      try (BufferedReader lines =
          new BufferedReader(
              new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8))) {
        String type = "message";
        StringBuilder data = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          if (line.startsWith("event: ")) {
            type = line.substring("event: ".length());
          } else if (line.startsWith("data: ")) {
            data.append(line, "data: ".length(), line.length());
          } else if (line.isEmpty() && !data.isEmpty()) {
            if (!wantsMore.test(new StreamEvent(type, data.toString()))) {
              return;
            }
            type = "message";
            data.setLength(0);
          }
        }
      }
      throw CliException.failed("the console has ended: " + console);
    } catch (IOException e) {
      throw gone(e);
    } finally {
      if (connection != null) {
        connection.disconnect();
      }
    }
  }

  private Answer exchange(String method, String resource, @Nullable String body) {
    try {
      HttpURLConnection connection = open(method, resource);
      if (body != null) {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        connection.setReadTimeout(0);
        connection.setDoOutput(true);
        connection.setFixedLengthStreamingMode(bytes.length);
        try (var out = connection.getOutputStream()) {
          out.write(bytes);
        }
      }
      check(connection);
      String type = connection.getContentType();
      try (InputStream in = connection.getInputStream()) {
        return new Answer(
            type != null && type.startsWith("application/json"),
            new String(in.readAllBytes(), StandardCharsets.UTF_8));
      }
    } catch (IOException e) {
      throw gone(e);
    }
  }

  private HttpURLConnection open(String method, String resource) throws IOException {
    URI uri = URI.create(console.uri().toString().replaceAll("/$", "") + resource);
    HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection(Proxy.NO_PROXY);
    connection.setRequestMethod(method);
    connection.setConnectTimeout(CONNECT_MILLIS);
    connection.setReadTimeout(READ_MILLIS);
    connection.setInstanceFollowRedirects(false);
    connection.setRequestProperty("Authorization", "Bearer " + console.token());
    return connection;
  }

  private void check(HttpURLConnection connection) throws IOException {
    int status = connection.getResponseCode();
    if (status < FIRST_ERROR) {
      return;
    }
    String reason = "status " + status;
    try (InputStream in = connection.getErrorStream()) {
      if (in != null) {
        reason = new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
      }
    }
    throw CliException.failed(
        status == FORBIDDEN ? reason + " (refused by the console: " + console + ")" : reason);
  }

  private CliException gone(IOException e) {
    return CliException.failed(
        "the console does not answer: pid="
            + console.pid()
            + " uri="
            + console.uri()
            + " reason="
            + e.getMessage());
  }
}
