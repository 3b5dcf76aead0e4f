package io.memcg4j.examples.server;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** What one tenant's clients do: some workers, until they are stopped. May be started again. */
final class Load implements AutoCloseable {
  private static final int STEADY_WORKERS = 4;
  private static final long STEADY_INTERVAL_NANOS = 8_000_000;
  private static final int STEADY_KEYS = 2000;
  private static final int GREEDY_VALUE_BYTES = 60_000;
  private static final int BURST_REQUESTS = 12;
  private static final long BURST_INTERVAL_NANOS = 500_000_000;
  private static final int BURST_KEYS = 300;
  private static final int BURST_VALUE_BYTES = 150_000;
  private static final long LEAKY_INTERVAL_NANOS = 10_000_000;
  private static final int LEAKY_KEYS = 200;

  private interface Worker {
    void work(TenantClient client, SplittableRandom random) throws InterruptedException;
  }

  private final TenantClient client;
  private final int nrWorkers;
  private final long intervalNanos;
  private final Worker worker;
  private final List<Thread> threads = new ArrayList<>();
  private volatile boolean running;

  private Load(TenantClient client, int nrWorkers, long intervalNanos, Worker worker) {
    this.client = client;
    this.nrWorkers = nrWorkers;
    this.intervalNanos = intervalNanos;
    this.worker = worker;
  }

  // ---- the four

  /** Looks values and documents up, and replaces some, 500 times a second; well within limits. */
  static Load steady(int port, String tenant) {
    return new Load(
        new TenantClient(port, tenant, STEADY_INTERVAL_NANOS / 1000),
        STEADY_WORKERS,
        STEADY_INTERVAL_NANOS,
        (client, random) -> {
          int key = random.nextInt(STEADY_KEYS);
          switch (random.nextInt(10)) {
            case 0 -> client.send("PUT", "values/" + key, bytes(random, 200 + key));
            case 1 -> client.send("PUT", "documents/" + key, document(key));
            case 2, 3 -> client.send("GET", "documents/" + key + "?at=/owner/name", null);
            default -> client.send("GET", "values/" + key, null);
          }
        });
  }

  /** Twice a second several large values at once; below its limit. */
  static Load bursty(int port, String tenant) {
    return new Load(
        new TenantClient(port, tenant, 0),
        2,
        BURST_INTERVAL_NANOS,
        (client, random) -> {
          for (int i = 0; i < BURST_REQUESTS; i++) {
            String key = "values/" + random.nextInt(BURST_KEYS);
            if (random.nextInt(3) == 0) {
              client.send("DELETE", key, null);
            } else {
              client.send("PUT", key, bytes(random, BURST_VALUE_BYTES));
            }
          }
        });
  }

  /** Stores more and more, as fast as it is answered, whatever it is answered. */
  static Load greedy(int port, String tenant) {
    AtomicLong next = new AtomicLong();
    return new Load(
        new TenantClient(port, tenant, 0),
        2,
        0,
        (client, random) ->
            client.send(
                "PUT", "values/" + next.getAndIncrement(), bytes(random, GREEDY_VALUE_BYTES)));
  }

  /** Stores little; what its {@link AuditTrail} does about that is another matter. */
  static Load leaky(int port, String tenant) {
    return new Load(
        new TenantClient(port, tenant, 0),
        1,
        LEAKY_INTERVAL_NANOS,
        (client, random) ->
            client.send("PUT", "values/" + random.nextInt(LEAKY_KEYS), bytes(random, 300)));
  }

  private static byte[] bytes(SplittableRandom random, int nrBytes) {
    byte[] bytes = new byte[nrBytes];
    bytes[random.nextInt(nrBytes)] = 1;
    return bytes;
  }

  private static byte[] document(int key) {
    return String.format(
            Locale.ROOT,
            "{\"id\":%d,\"owner\":{\"name\":\"owner %d\"},\"tags\":[\"a\",\"b\",%d],\"text\":\"%s\"}",
            key,
            key,
            key,
            "x".repeat(100 + key % 400))
        .getBytes(StandardCharsets.UTF_8);
  }

  // ---- run

  /** Begins; unpaced, the workers do not wait between two requests. */
  void start(boolean paced) {
    running = true;
    for (int i = 0; i < nrWorkers; i++) {
      int number = i;
      threads.add(
          Thread.ofVirtual()
              .name(client.tenant() + "-client-" + i)
              .start(() -> run(number, paced ? intervalNanos : 0)));
    }
  }

  private void run(int number, long pauseNanos) {
    SplittableRandom random = new SplittableRandom(client.tenant().hashCode() + number);
    long next = System.nanoTime() + pauseNanos * number / nrWorkers;
    try {
      while (running) {
        for (long left = next - System.nanoTime(); left > 0; left = next - System.nanoTime()) {
          LockSupport.parkNanos(left);
        }
        worker.work(client, random);
        next = Math.max(next + pauseNanos, System.nanoTime());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // stopped
    }
  }

  /** Ends; waits for the answers of what is under way. */
  void stop() throws InterruptedException {
    running = false;
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
      thread.join();
    }
    threads.clear();
  }

  TenantClient client() {
    return client;
  }

  @Override
  public void close() {
    running = false;
    threads.forEach(Thread::interrupt);
    client.close();
  }
}
