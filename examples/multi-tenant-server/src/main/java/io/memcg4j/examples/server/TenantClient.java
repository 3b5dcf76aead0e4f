package io.memcg4j.examples.server;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.Recorder;
import org.jspecify.annotations.Nullable;

/** A tenant of the demo as its client sees it: real HTTP, with what came of it. */
final class TenantClient implements AutoCloseable {
  private static final Duration TIMEOUT = Duration.ofSeconds(20);
  private static final int OK_BELOW = 300;
  private static final int SIGNIFICANT_DIGITS = 3;

  private final String tenant;
  private final String base;
  private final long expectedIntervalMicros;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpClient http;
  private final Recorder latencies = new Recorder(SIGNIFICANT_DIGITS);
  private final LongAdder nrRequests = new LongAdder();
  private final LongAdder nrRefused = new LongAdder();
  private final LongAdder nrFailed = new LongAdder();
  private volatile @Nullable String firstFailure;
  private volatile @Nullable String lastRefusal;

  /**
   * A client without connections.
   *
   * @param expectedIntervalMicros between two requests of one worker: what a slow answer keeps from
   *     being sent counts as waiting, too; 0 if the workers keep no time
   */
  TenantClient(int port, String tenant, long expectedIntervalMicros) {
    this.tenant = tenant;
    this.base = "http://127.0.0.1:" + port + "/v1/" + tenant + "/";
    this.expectedIntervalMicros = expectedIntervalMicros;
    this.http =
        HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).executor(threads).build();
  }

  /** One request. Returns its status; 0 if it failed. */
  int send(String method, String path, byte @Nullable [] body) throws InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(base + path))
            .timeout(TIMEOUT)
            .method(
                method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body))
            .build();
    long begin = System.nanoTime();
    int status = 0;
    try {
      HttpResponse<byte[]> response = http.send(request, BodyHandlers.ofByteArray());
      status = response.statusCode();
      note(status, response.body());
    } catch (IOException e) {
      fail(e.toString());
    }
    long micros = (System.nanoTime() - begin) / 1000;
    latencies.recordValueWithExpectedInterval(micros, expectedIntervalMicros);
    nrRequests.increment();
    return status;
  }

  private void note(int status, byte[] body) {
    if (status == 507 || status == 429) {
      nrRefused.increment();
      lastRefusal = new String(body, StandardCharsets.UTF_8);
    } else if (status >= OK_BELOW && status != 404) {
      fail("status " + status);
    }
  }

  private void fail(String reason) {
    nrFailed.increment();
    if (firstFailure == null) {
      firstFailure = reason;
    }
  }

  String tenant() {
    return tenant;
  }

  Recorder latencies() {
    return latencies;
  }

  long nrRequests() {
    return nrRequests.sum();
  }

  long nrRefused() {
    return nrRefused.sum();
  }

  long nrFailed() {
    return nrFailed.sum();
  }

  /** Why the first one failed; null if none did. */
  @Nullable String firstFailure() {
    return firstFailure;
  }

  /** The body of the last refusal; null if there was none. */
  @Nullable String lastRefusal() {
    return lastRefusal;
  }

  @Override
  public void close() {
    http.shutdownNow();
    http.close();
    threads.close();
  }
}
