package io.memcg4j.examples.server;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** A server on a port of its own, with a client. Closing it fails if it has lost memory. */
final class TestServer implements AutoCloseable {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** An answer. */
  record Answer(HttpResponse<byte[]> response) {
    int status() {
      return response.statusCode();
    }

    byte[] body() {
      return response.body();
    }

    String text() {
      return new String(body(), StandardCharsets.UTF_8);
    }

    JsonNode json() {
      try {
        return MAPPER.readTree(body());
      } catch (IOException e) {
        throw new AssertionError(text(), e);
      }
    }
  }

  private final Path folder;
  private final Path file;
  private final Application application;
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  final BlockingQueue<String> reports = new LinkedBlockingQueue<>();

  TestServer(String tenants, ServerSettings settings) throws Exception {
    folder = Files.createTempDirectory("memcg4j-test");
    file = folder.resolve("tenants.ini");
    Files.writeString(file, tenants);
    application = Application.start(file, settings, reports::add);
  }

  TestServer(String tenants) throws Exception {
    this(tenants, ServerSettings.DEFAULT);
  }

  /** Replaces the file as editors do. */
  void rewrite(String tenants) throws IOException {
    Path next = folder.resolve("tenants.ini.new");
    Files.writeString(next, tenants);
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
  }

  Path file() {
    return file;
  }

  String awaitReport() throws InterruptedException {
    String report = reports.poll(30, TimeUnit.SECONDS);
    return report == null ? "no report within 30 s" : report;
  }

  static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + TIMEOUT.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("never came true: " + what);
      }
      Thread.sleep(5);
    }
  }

  Answer send(String method, String path, BodyPublisher body) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path))
            .timeout(TIMEOUT)
            .method(method, body)
            .build();
    return new Answer(http.send(request, BodyHandlers.ofByteArray()));
  }

  Answer put(String path, byte[] body) throws Exception {
    return send("PUT", path, BodyPublishers.ofByteArray(body));
  }

  Answer put(String path, String body) throws Exception {
    return put(path, body.getBytes(StandardCharsets.UTF_8));
  }

  Answer get(String path) throws Exception {
    return send("GET", path, BodyPublishers.noBody());
  }

  Answer delete(String path) throws Exception {
    return send("DELETE", path, BodyPublishers.noBody());
  }

  /** A connection for requests that no well-behaved client sends. */
  Socket connect() throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), port());
    socket.setSoTimeout((int) TIMEOUT.toMillis());
    return socket;
  }

  /** Sends bytes as they are and reads until the server has no more to say about the request. */
  String raw(String request) throws IOException {
    try (Socket socket = connect()) {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      socket.getOutputStream().flush();
      socket.shutdownOutput();
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    }
  }

  int port() {
    return application.port();
  }

  Kmalloc kmalloc() {
    return application.kmalloc();
  }

  MemCgroup tenants() {
    return application.tenants().group();
  }

  Tenant tenant(String name) {
    return Objects.requireNonNull(application.tenants().find(name), name);
  }

  @Nullable MemCgroup group(String name) {
    return tenants().find(name);
  }

  /** Removes all tenants; then nothing may be left. */
  @Override
  public void close() throws Exception {
    http.shutdownNow();
    application.stop();
    application.kmalloc().close();
    tenants().drain();
    if (tenants().usage() != 0) {
      throw new AssertionError("drift: usage=" + tenants().usage());
    }
    Files.deleteIfExists(file);
    Files.deleteIfExists(folder);
  }
}
