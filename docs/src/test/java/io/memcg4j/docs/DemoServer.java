package io.memcg4j.docs;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** {@code ./memcg4j serve} in a JVM of its own, with a client that wants more than it may have. */
final class DemoServer implements AutoCloseable {
  private static final int VALUE_BYTES = 1 << 20;

  private final Process process;
  private final String store;
  private final URI console;
  private final Thread greedy;
  private volatile boolean isClosed;

  private DemoServer(Process process, String store, URI console) {
    this.process = process;
    this.store = store;
    this.console = console;
    this.greedy = Thread.ofVirtual().name("greedy").start(this::fill);
  }

  /** Starts it and waits until it serves; its recordings go to the folder. */
  static DemoServer start(Path folder, Path tenants) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                io.memcg4j.examples.server.Main.class.getName(),
                "serve",
                "--port",
                "0",
                tenants.toString())
            .directory(folder.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    try {
      String store = after(out, "serving ");
      URI console = URI.create(after(out, "console: "));
      return new DemoServer(process, store, console);
    } catch (IOException | IllegalArgumentException e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private static String after(BufferedReader out, String prefix) throws IOException {
    for (String line = out.readLine(); line != null; line = out.readLine()) {
      if (line.startsWith(prefix)) {
        return line.substring(prefix.length());
      }
    }
    throw new IOException("server ended before it said: " + prefix);
  }

  /** Above its limit again and again, so that there is something to be seen. */
  private void fill() {
    try (HttpClient client = HttpClient.newHttpClient()) {
      for (int i = 0; !isClosed; i = (i + 1) % 64) {
        client.send(
            HttpRequest.newBuilder(URI.create(store + "/greedy/values/" + i))
                .PUT(BodyPublishers.ofByteArray(new byte[VALUE_BYTES]))
                .build(),
            BodyHandlers.discarding());
      }
    } catch (IOException e) {
      if (!isClosed) {
        throw new UncheckedIOException(e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  long pid() {
    return process.pid();
  }

  /** Address and port of the store. */
  String storeAddress() {
    return URI.create(store).getAuthority();
  }

  /** Address of the console, without the token. */
  String consoleAddress() {
    return "http://" + console.getAuthority();
  }

  String token() {
    return console.getFragment().substring("token=".length());
  }

  @Override
  public void close() throws InterruptedException {
    isClosed = true;
    process.destroy();
    if (!process.waitFor(10, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
    greedy.interrupt();
    greedy.join();
  }
}
