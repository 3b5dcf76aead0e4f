package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.http.HttpRequest.BodyPublishers;
import java.util.Random;
import org.junit.jupiter.api.Test;

class StoreHttpTest {
  private static final String TWO = "[a]\nmax=16m\n[b]\nmax=16m\n";

  @Test
  void values_putGetReplaceDelete() throws Exception {
    try (TestServer server = new TestServer(TWO)) {
      assertEquals(404, server.get("/v1/a/values/k").status());
      assertEquals(201, server.put("/v1/a/values/k", "one").status());
      assertEquals("one", server.get("/v1/a/values/k").text());
      assertEquals(204, server.put("/v1/a/values/k", "two, longer").status());
      assertEquals("two, longer", server.get("/v1/a/values/k").text());
      assertEquals(404, server.get("/v1/b/values/k").status(), "tenants see their own only");
      assertEquals(404, server.get("/v1/a/documents/k").status(), "kinds do not mix");
      assertEquals(204, server.delete("/v1/a/values/k").status());
      assertEquals(404, server.delete("/v1/a/values/k").status());
      assertEquals(404, server.get("/v1/a/values/k").status());
    }
  }

  @Test
  void values_ofAllSizes_comeBackWhole() throws Exception {
    try (TestServer server = new TestServer(TWO)) {
      Random random = new Random(1);
      for (int nrBytes : new int[] {0, 1, 64, 8192, 8193, 70_000, 128 << 10, 1 << 20, 8 << 20}) {
        byte[] bytes = new byte[nrBytes];
        random.nextBytes(bytes);
        assertEquals(201, server.put("/v1/a/values/" + nrBytes, bytes).status());
        TestServer.Answer answer = server.get("/v1/a/values/" + nrBytes);
        assertArrayEquals(bytes, answer.body());
        assertEquals(
            "nosniff", answer.response().headers().firstValue("X-Content-Type-Options").orElse(""));
        TestServer.Answer head =
            server.send("HEAD", "/v1/a/values/" + nrBytes, BodyPublishers.noBody());
        assertEquals(200, head.status());
        assertEquals(
            nrBytes, head.response().headers().firstValueAsLong("Content-Length").orElse(0));
        assertEquals(0, head.body().length);
      }
    }
  }

  @Test
  void values_liveOffHeap_atTheirTenantsExpense() throws Exception {
    try (TestServer server = new TestServer(TWO)) {
      assertEquals(201, server.put("/v1/a/values/small", new byte[100]).status());
      assertEquals(201, server.put("/v1/a/values/large", new byte[1 << 20]).status());
      long usage = server.tenant("a").group().usage();
      assertTrue(usage > 1 << 20 && usage < 2 << 20, "usage=" + usage);
      assertEquals(1, server.kmalloc().vmalloc().info().nrAreas());
      assertTrue(server.tenant("b").group().usage() < 1 << 20);
    }
  }

  @Test
  void documents_areCheckedDecodedAndCharged() throws Exception {
    try (TestServer server = new TestServer(TWO)) {
      String text = "{\"owner\":{\"name\":\"Ada\"},\"tags\":[1,2,{\"x\":true}]}";
      assertEquals(201, server.put("/v1/a/documents/d", text).status());
      TestServer.Answer whole = server.get("/v1/a/documents/d");
      assertEquals(text, whole.text());
      assertEquals(
          "application/json", whole.response().headers().firstValue("Content-Type").orElse(""));
      assertEquals("\"Ada\"", server.get("/v1/a/documents/d?at=/owner/name").text());
      assertEquals("true", server.get("/v1/a/documents/d?at=/tags/2/x").text());
      assertEquals(text, server.get("/v1/a/documents/d?at=").text());
      assertEquals(404, server.get("/v1/a/documents/d?at=/nobody").status());
      assertEquals(400, server.get("/v1/a/documents/d?at=owner").status());
      assertEquals(400, server.get("/v1/a/documents/d?from=/owner").status());
      assertEquals(400, server.get("/v1/a/values/d?at=/owner").status());
      assertTrue(server.tenant("a").group().flush().heap() > text.length());

      assertEquals(204, server.put("/v1/a/documents/d", "{\"owner\":{\"name\":\"Bo\"}}").status());
      assertEquals("\"Bo\"", server.get("/v1/a/documents/d?at=/owner/name").text());
    }
  }

  @Test
  void figures_countWhatWasDone() throws Exception {
    try (TestServer server = new TestServer(TWO)) {
      server.put("/v1/a/values/k", new byte[100]);
      server.get("/v1/a/values/k");
      server.get("/v1/a/values/k");
      server.get("/v1/a/values/none");
      server.delete("/v1/a/values/k");
      JsonNode figures = server.get("/v1/a").json();
      assertEquals("/tenants/a", figures.path("group").asText());
      assertEquals(16 << 20, figures.path("maxBytes").asLong());
      assertEquals("max", figures.path("highBytes").asText());
      assertEquals(0, figures.path("values").asInt());
      JsonNode requests = figures.path("requests");
      assertEquals(1, requests.path("puts").asInt());
      assertEquals(3, requests.path("gets").asInt());
      assertEquals(1, requests.path("deletes").asInt());
      assertEquals(1, requests.path("rejected").asInt());
      assertEquals(100, requests.path("bytesIn").asInt());
      assertEquals(200, requests.path("bytesOut").asInt());
      JsonNode all = server.get("/v1").json();
      assertEquals(2, all.path("tenants").size());
    }
  }
}
