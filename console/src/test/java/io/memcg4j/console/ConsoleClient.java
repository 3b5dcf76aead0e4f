package io.memcg4j.console;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** A client of a console. */
final class ConsoleClient implements AutoCloseable {
  private final Console console;
  private final HttpClient http =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

  ConsoleClient(Console console) {
    this.console = console;
  }

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(console.uri() + path)).timeout(Duration.ofSeconds(20));
  }

  HttpResponse<String> send(HttpRequest.Builder request) throws IOException, InterruptedException {
    return http.send(request.build(), BodyHandlers.ofString());
  }

  HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return send(request(path));
  }

  /** The text of a resource that must be there. */
  String text(String path) throws IOException, InterruptedException {
    HttpResponse<String> response = get(path);
    if (response.statusCode() != 200) {
      throw new AssertionError(path + ": " + response.statusCode() + " " + response.body());
    }
    return response.body();
  }

  HttpResponse<String> put(String path, String text) throws IOException, InterruptedException {
    return send(
        request(path)
            .header("Authorization", "Bearer " + console.token())
            .PUT(HttpRequest.BodyPublishers.ofString(text)));
  }

  HttpResponse<java.io.InputStream> stream(String path) throws IOException, InterruptedException {
    return http.send(request(path).build(), BodyHandlers.ofInputStream());
  }

  @Override
  public void close() {
    http.shutdownNow();
  }
}
