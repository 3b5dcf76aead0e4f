package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.net.Socket;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostileHttpTest {
  private static final String ONE = "[a]\nmax=32m\n";
  private static final String HOST = " HTTP/1.1\r\nHost: x\r\n";

  @Test
  void unknownTenant_is404_andMakesNoGroup() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      assertEquals(404, server.get("/v1/nobody/values/k").status());
      assertEquals(404, server.put("/v1/nobody/values/k", new byte[100_000]).status());
      assertEquals(404, server.get("/v1/nobody").status());
      assertEquals(1, server.tenants().children().size());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "[1] [2]",
        "nul",
        "\"\u0001\"",
        "{\"a\":'b'}",
        "<html>",
      })
  void brokenJson_is400_andIsNotStored(String text) throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      TestServer.Answer answer = server.put("/v1/a/documents/d", text);
      assertEquals(400, answer.status());
      assertTrue(answer.json().path("error").asText().startsWith("not JSON"), answer.text());
      assertEquals(404, server.get("/v1/a/documents/d").status());
      assertEquals(0, server.tenant("a").store().nrHeld());
    }
  }

  @Test
  void deepJson_is400() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      assertEquals(400, server.put("/v1/a/documents/d", "[".repeat(100_000)).status());
      assertEquals(
          400, server.put("/v1/a/documents/d", "1".repeat(100_000)).status(), "a huge number");
    }
  }

  @Test
  void bodyTooLarge_is413_andTheAnswerArrives() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      TestServer.Answer value = server.put("/v1/a/values/k", new byte[(8 << 20) + 1]);
      assertEquals(413, value.status());
      assertTrue(value.text().contains("legal=0..8388608"), value.text());
      assertEquals(413, server.put("/v1/a/documents/k", new byte[300 << 10]).status());
      String huge =
          server.raw("PUT /v1/a/values/k" + HOST + "Content-Length: 1000000000000\r\n\r\nabc");
      assertTrue(huge.startsWith("HTTP/1.1 413"), huge);
      assertEquals(0, server.tenant("a").store().nrValues());
    }
  }

  @Test
  void noLength_is411() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      TestServer.Answer chunked =
          server.send(
              "PUT",
              "/v1/a/values/k",
              BodyPublishers.ofInputStream(() -> InputStream.nullInputStream()));
      assertEquals(411, chunked.status());
    }
  }

  @Test
  void badMethod_is405WithTheGoodOnes() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      TestServer.Answer answer = server.send("POST", "/v1/a/values/k", BodyPublishers.noBody());
      assertEquals(405, answer.status());
      assertEquals(
          "GET, HEAD, PUT, DELETE", answer.response().headers().firstValue("Allow").orElse(""));
      assertEquals(405, server.delete("/v1/a").status());
      assertEquals(405, server.delete("/v1").status());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "GET /v1/%2e%2e/values/k",
        "GET /v1/a%00b/values/k",
        "GET /v1/a/values/%ff",
        "GET /v1/a/values/%c0%ae",
        "GET /v1/a/values/x%0d%0aSet-Cookie:%20a=b",
        "GET /v1/<script>/values/k",
        "GET v1",
        "GET /v1/a/values/" + "\u00e4",
      })
  void hostilePath_is4xx_andEchoesNothing(String line) throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      String answer = server.raw(line + HOST + "Connection: close\r\n\r\n");
      assertTrue(answer.startsWith("HTTP/1.1 4"), answer);
      assertTrue(!answer.contains("<script>") && !answer.contains("Set-Cookie"), answer);
    }
  }

  @Test
  void hostileKey_isAnOrdinaryKey() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      for (String key : List.of("..", "%2e%2e%2f%2e%2e", "%3Cscript%3E", "%F0%9F%90%A7", "a%20b")) {
        assertEquals(201, server.put("/v1/a/values/" + key, key).status(), key);
        assertEquals(key, server.get("/v1/a/values/" + key).text());
      }
      assertEquals(5, server.tenant("a").store().nrValues());
    }
  }

  @Test
  void bodyThatBreaksOff_isNotStored_andIsFreed() throws Exception {
    try (TestServer server = new TestServer(ONE)) {
      server.raw("PUT /v1/a/values/k" + HOST + "Content-Length: 1000000\r\n\r\nabc");
      TestServer.await("freed", () -> server.tenant("a").store().nrHeld() == 0);
      assertEquals(404, server.get("/v1/a/values/k").status());
      assertEquals(0, server.kmalloc().vmalloc().info().nrAreas());
    }
  }

  @Test
  void slowClients_harmNobody() throws Exception {
    try (TestServer server = new TestServer("[slow]\nmax=32m\n[a]\nmax=32m\n")) {
      byte[] large = new byte[4 << 20];
      assertEquals(201, server.put("/v1/slow/values/large", large).status());
      List<Socket> sockets = new ArrayList<>();
      try {
        for (int i = 0; i < 30; i++) { // more than there are slots
          Socket sends = server.connect();
          sends
              .getOutputStream()
              .write(
                  ("PUT /v1/slow/values/s" + i + HOST + "Content-Length: 1000\r\n\r\nabc")
                      .getBytes(StandardCharsets.US_ASCII));
          sockets.add(sends);
          Socket reads = server.connect();
          reads
              .getOutputStream()
              .write(
                  ("GET /v1/slow/values/large" + HOST + "\r\n")
                      .getBytes(StandardCharsets.US_ASCII));
          sockets.add(reads);
        }
        Tenant slow = server.tenant("slow");
        TestServer.await("all at work", () -> slow.admission().nrInside() == 60);
        long usage = slow.group().usage();
        // Its own value is replaced under its readers, and others are served as ever.
        assertEquals(204, server.put("/v1/slow/values/large", "short").status());
        assertEquals("short", server.get("/v1/slow/values/large").text());
        for (int i = 0; i < 200; i++) {
          assertEquals(201, server.put("/v1/a/values/" + i, new byte[1000]).status());
          assertEquals(204, server.delete("/v1/a/values/" + i).status());
        }
        assertTrue(slow.group().usage() <= usage + (1 << 20), "one copy for 30 readers");
        // Memory of others that is freed meanwhile does not wait for the slow readers.
        server.tenant("a").group().drain();
        assertTrue(server.tenant("a").group().usage() < 1 << 20);
        byte[] seen = sockets.get(1).getInputStream().readNBytes(large.length);
        assertEquals(large.length, seen.length, "the old value, to its end");
      } finally {
        for (Socket socket : sockets) {
          socket.close();
        }
      }
      TestServer.await("freed", () -> server.tenant("slow").store().nrHeld() == 0);
    }
  }
}
