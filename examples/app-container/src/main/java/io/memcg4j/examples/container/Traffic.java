package io.memcg4j.examples.container;

import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Arrays;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** Requests to one application, one after the other, and how they were answered. */
final class Traffic implements Runnable {
  private static final int NR_LATENCIES = 1 << 16;
  private static final long NANOS_PER_MICRO = 1000;

  private final HttpClient client;
  private final IntFunction<HttpRequest> requests;
  private final int maxRequests;
  private final long pauseMillis;
  private final long[] latencies = new long[NR_LATENCIES];
  private int nrRequests;
  private int nrOk;
  private int nrRefused;
  private @Nullable String failure;
  private volatile boolean stopped;

  /**
   * To be run by a thread.
   *
   * @param requests gives the request of a number
   * @param maxRequests after which it ends
   * @param pauseMillis between requests
   */
  Traffic(HttpClient client, IntFunction<HttpRequest> requests, int maxRequests, long pauseMillis) {
    this.client = client;
    this.requests = requests;
    this.maxRequests = maxRequests;
    this.pauseMillis = pauseMillis;
  }

  @Override
  public void run() {
    try {
      for (int i = 0; i < maxRequests && !stopped; i++) {
        long start = System.nanoTime();
        HttpResponse<String> response =
            client.send(requests.apply(i), HttpResponse.BodyHandlers.ofString());
        note(System.nanoTime() - start, response);
        Thread.sleep(pauseMillis);
      }
    } catch (IOException e) {
      fail(e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void note(long nanos, HttpResponse<String> response) {
    latencies[nrRequests++ % NR_LATENCIES] = nanos;
    switch (response.statusCode()) {
      case 200, 201, 204 -> nrOk++;
      case 507, 429 -> nrRefused++;
      default -> fail(response.statusCode() + " " + response.uri());
    }
  }

  private synchronized void fail(String what) {
    if (failure == null) {
      failure = what;
    }
  }

  void stop() {
    stopped = true;
  }

  synchronized int nrRequests() {
    return nrRequests;
  }

  synchronized int nrOk() {
    return nrOk;
  }

  synchronized int nrRefused() {
    return nrRefused;
  }

  /** The first answer that was neither good nor a refusal. */
  synchronized @Nullable String failure() {
    return failure;
  }

  /** Microseconds within which a part of the requests was answered. */
  synchronized long percentileMicros(double percent) {
    long[] sorted = Arrays.copyOf(latencies, Math.min(nrRequests, NR_LATENCIES));
    Arrays.sort(sorted);
    return sorted.length == 0
        ? 0
        : sorted[(int) Math.min(sorted.length - 1, sorted.length * percent / 100)]
            / NANOS_PER_MICRO;
  }
}
