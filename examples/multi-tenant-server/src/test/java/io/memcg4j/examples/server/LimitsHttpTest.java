package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.memcg4j.examples.server.RequestCounters.Counter;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

class LimitsHttpTest {
  private static final int VALUE_BYTES = 100_000;

  /** Puts values until one is refused. */
  private static TestServer.Answer fill(TestServer server, String tenant) throws Exception {
    for (int i = 0; i < 1000; i++) {
      TestServer.Answer answer =
          server.put("/v1/" + tenant + "/values/" + i, new byte[VALUE_BYTES]);
      if (answer.status() != 201) {
        return answer;
      }
    }
    throw new AssertionError("never refused");
  }

  @Test
  void overMax_is507WithGroupAndFigures_andOthersGoOn() throws Exception {
    try (TestServer server = new TestServer("[full]\nmax=4m\n[other]\nmax=4m\n")) {
      TestServer.Answer refused = fill(server, "full");
      assertEquals(507, refused.status());
      JsonNode body = refused.json();
      assertEquals("/tenants/full", body.path("group").asText());
      assertEquals("/tenants/full", body.path("limitedBy").asText());
      assertEquals(VALUE_BYTES, body.path("requestedBytes").asInt());
      assertEquals(4 << 20, body.path("maxBytes").asInt());
      assertTrue(body.path("usageBytes").asInt() > (4 << 20) - 2 * VALUE_BYTES, refused.text());
      assertTrue(body.path("retryable").asBoolean());
      assertEquals("1", refused.response().headers().firstValue("Retry-After").orElse(""));
      assertTrue(server.tenant("full").group().peak() <= 4 << 20);
      assertEquals(1, server.tenant("full").counters().sum(Counter.REFUSED));

      assertEquals(201, server.put("/v1/other/values/1", new byte[VALUE_BYTES]).status());
      assertEquals(0, server.tenant("other").counters().sum(Counter.REFUSED));
      assertEquals(204, server.delete("/v1/full/values/0").status());
      assertEquals(201, server.put("/v1/full/values/again", new byte[VALUE_BYTES]).status());
    }
  }

  @Test
  void largerThanMax_is507WithoutRetryAfter() throws Exception {
    try (TestServer server = new TestServer("[small]\nmax=1m\n")) {
      TestServer.Answer refused = server.put("/v1/small/values/k", new byte[2 << 20]);
      assertEquals(507, refused.status());
      assertTrue(!refused.json().path("retryable").asBoolean(true));
      assertTrue(refused.response().headers().firstValue("Retry-After").isEmpty());
    }
  }

  @Test
  void overMaxOfAll_namesTheGroupAbove() throws Exception {
    try (TestServer server = new TestServer("max=4m\n[a]\nmax=64m\n")) {
      TestServer.Answer refused = fill(server, "a");
      assertEquals(507, refused.status());
      assertEquals("/tenants/a", refused.json().path("group").asText());
      assertEquals("/tenants", refused.json().path("limitedBy").asText());
    }
  }

  @Test
  void overHigh_isSlowed_andStillStored() throws Exception {
    try (TestServer server = new TestServer("[slow]\nhigh=1m\nmax=16m\n[other]\nmax=16m\n")) {
      for (int i = 0; i < 12; i++) {
        assertEquals(201, server.put("/v1/slow/values/" + i, new byte[VALUE_BYTES]).status());
        assertEquals(201, server.put("/v1/other/values/" + i, new byte[VALUE_BYTES]).status());
      }
      RequestCounters slow = server.tenant("slow").counters();
      assertTrue(slow.sum(Counter.THROTTLED) > 0);
      assertTrue(slow.sum(Counter.THROTTLED_NANOS) >= 10_000_000 * slow.sum(Counter.THROTTLED));
      assertTrue(server.tenant("slow").group().events().high() > 0);
      assertTrue(server.tenant("slow").group().pressure().some().totalMicros() > 0);
      assertEquals(0, server.tenant("other").counters().sum(Counter.THROTTLED));
    }
  }

  @Test
  void policyClear_dropsTheValuesInsteadOfRefusing() throws Exception {
    try (TestServer server = new TestServer("[cache]\nmax=2m\noom=clear\n")) {
      for (int i = 0; i < 60; i++) {
        TestServer.Answer answer = server.put("/v1/cache/values/" + i, new byte[VALUE_BYTES]);
        assertEquals(201, answer.status(), answer::text);
      }
      assertEquals(404, server.get("/v1/cache/values/0").status());
      assertTrue(server.tenant("cache").group().events().oomKill() > 1);
    }
  }

  @Test
  void decodedDocuments_giveWayToValues() throws Exception {
    try (TestServer server = new TestServer("[a]\nmax=4m\n")) {
      String text = "[" + "{\"k\":1},".repeat(8000) + "0]";
      for (int i = 0; i < 4; i++) {
        assertEquals(201, server.put("/v1/a/documents/" + i, text).status());
        assertEquals("1", server.get("/v1/a/documents/" + i + "?at=/0/k").text());
      }
      assertTrue(server.get("/v1/a").json().path("decodedBytes").asLong() > 1 << 20);
      assertEquals(201, server.put("/v1/a/values/big", new byte[3 << 20]).status());
      assertTrue(server.get("/v1/a").json().path("decodedBytes").asLong() < 1 << 20);
      assertEquals("1", server.get("/v1/a/documents/0?at=/0/k").text(), "decoded again");
    }
  }

  @Test
  void tooManyAtATime_is429() throws Exception {
    CountDownLatch inside = new CountDownLatch(2);
    CountDownLatch go = new CountDownLatch(1);
    Plugin stops =
        (kmalloc, key, nrBytes) -> {
          inside.countDown();
          try {
            go.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        };
    ServerSettings settings = ServerSettings.DEFAULT.withMaxRequests(2).withPlugin("a", stops);
    try (TestServer server = new TestServer("[a]\nmax=4m\n[b]\nmax=4m\n", settings)) {
      CompletableFuture<Integer> first = putAsync(server, "/v1/a/values/1");
      CompletableFuture<Integer> second = putAsync(server, "/v1/a/values/2");
      inside.await();
      TestServer.Answer turnedAway = server.put("/v1/a/values/3", new byte[1000]);
      assertEquals(429, turnedAway.status());
      assertEquals("/tenants/a", turnedAway.json().path("group").asText());
      assertEquals("1", turnedAway.response().headers().firstValue("Retry-After").orElse(""));
      assertEquals(201, server.put("/v1/b/values/3", new byte[1000]).status());
      go.countDown();
      assertEquals(201, first.get());
      assertEquals(201, second.get());
    }
  }

  static CompletableFuture<Integer> putAsync(TestServer server, String path) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return server.put(path, new byte[1000]).status();
          } catch (Exception e) {
            throw new AssertionError(e);
          }
        },
        task -> Thread.ofVirtual().start(task));
  }
}
