package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.leak.LeakReport;
import io.memcg4j.memcg.MemCgroup;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class TenantsHttpTest {
  private static final String A = "[a]\nmax=8m\n";
  private static final String HOST = " HTTP/1.1\r\nHost: x\r\n";

  @Test
  void file_changesLimitsAddsAndRemoves_whileItRuns() throws Exception {
    try (TestServer server = new TestServer(A)) {
      assertEquals(201, server.put("/v1/a/values/k", "kept").status());
      Tenant a = server.tenant("a");
      server.rewrite("[a]\nlow=1m\nhigh=2m\nmax=4m\n[b]\nmax=8m\n");
      assertEquals("tenants.ini: changed a, added b", server.awaitReport());
      assertSame(a, server.tenant("a"));
      assertEquals(4 << 20, a.group().max());
      assertEquals(2 << 20, a.group().high());
      assertEquals(1 << 20, a.group().low());
      assertEquals("kept", server.get("/v1/a/values/k").text());
      assertEquals(201, server.put("/v1/b/values/k", "new").status());

      server.rewrite("max=64m\n[b]\nmax=8m\n");
      assertEquals("tenants.ini: changed max of all, removed a", server.awaitReport());
      assertEquals(404, server.get("/v1/a/values/k").status());
      assertNull(server.group("a"));
      assertEquals(64 << 20, server.tenants().max());
      assertEquals("new", server.get("/v1/b/values/k").text());
    }
  }

  @Test
  void wrongFile_isReported_andChangesNothing() throws Exception {
    try (TestServer server = new TestServer(A)) {
      assertEquals(201, server.put("/v1/a/values/k", "kept").status());
      server.rewrite("[a]\nmax=8m\n[b]\nmax=many\n");
      String report = server.awaitReport();
      assertTrue(report.contains("line 4") && report.contains("not a size"), report);
      assertTrue(server.get("/v1").json().path("fileError").asText().startsWith("line 4"));
      assertNull(server.group("b"));
      assertEquals("kept", server.get("/v1/a/values/k").text());

      server.rewrite("");
      assertTrue(server.awaitReport().contains("no tenant"));
      assertEquals("kept", server.get("/v1/a/values/k").text());

      Files.delete(server.file());
      assertTrue(server.awaitReport().contains("not readable"));
      assertEquals("kept", server.get("/v1/a/values/k").text());

      server.rewrite("[a]\nmax=9m\n");
      assertEquals("tenants.ini: changed a", server.awaitReport());
      assertTrue(server.get("/v1").json().path("fileError").isMissingNode());
    }
  }

  @Test
  void newTenantWithoutRoom_isReported_andLeavesNothing() throws Exception {
    try (TestServer server = new TestServer("max=1m\n" + A)) {
      TestServer.Answer filled;
      do {
        filled = server.put("/v1/a/values/" + System.nanoTime(), new byte[1000]);
      } while (filled.status() == 201);
      assertEquals(507, filled.status());
      server.rewrite("max=1m\n" + A + "[b]\nmax=1m\n");
      String report = server.awaitReport();
      assertTrue(report.contains("memory.max exceeded"), report);
      assertNull(server.group("b"));
      assertNotNull(server.group("a"));
    }
  }

  @Test
  void removedTenant_givesItsMemoryBack() throws Exception {
    try (TestServer server = new TestServer(A + "[b]\nmax=8m\n")) {
      for (int i = 0; i < 50; i++) {
        assertEquals(201, server.put("/v1/a/values/" + i, new byte[100_000]).status());
      }
      assertEquals(201, server.put("/v1/a/documents/d", "{\"x\":1}").status());
      assertEquals("1", server.get("/v1/a/documents/d?at=/x").text());
      assertTrue(server.tenants().usage() > 4 << 20);
      Tenant a = server.tenant("a");
      server.rewrite("[b]\nmax=8m\n");
      assertEquals("tenants.ini: removed a", server.awaitReport());
      a.awaitGone();
      server.tenants().drain();
      assertTrue(server.tenants().usage() < 1 << 20, "usage=" + server.tenants().usage());
    }
  }

  @Test
  void tenantRemovedUnderAReader_isReadToTheEnd_atTheParentsExpense() throws Exception {
    try (TestServer server = new TestServer(A + "[b]\nmax=8m\n")) {
      byte[] large = new byte[6 << 20];
      large[large.length - 1] = 42;
      assertEquals(201, server.put("/v1/a/values/large", large).status());
      Tenant a = server.tenant("a");
      try (Socket reader = server.connect();
          Socket writer = server.connect()) {
        reader
            .getOutputStream()
            .write(("GET /v1/a/values/large" + HOST + "\r\n").getBytes(StandardCharsets.US_ASCII));
        writer
            .getOutputStream()
            .write(
                ("PUT /v1/a/values/late" + HOST + "Content-Length: 5\r\n\r\nabc")
                    .getBytes(StandardCharsets.US_ASCII));
        TestServer.await("both at work", () -> a.admission().nrInside() == 2);
        TestServer.await("both hold", () -> a.store().nrHeld() == 1);
        server.rewrite("[b]\nmax=8m\n");
        assertEquals("tenants.ini: removed a", server.awaitReport());
        assertNull(server.group("a"));
        assertEquals(404, server.get("/v1/a/values/large").status());
        assertTrue(!a.isGone());
        assertTrue(server.tenants().usage() >= 6 << 20, "usage=" + server.tenants().usage());
        // A tenant of the same name is another one.
        server.rewrite(A + "[b]\nmax=8m\n");
        assertEquals("tenants.ini: added a", server.awaitReport());
        assertEquals(404, server.get("/v1/a/values/large").status());

        writer.getOutputStream().write("de".getBytes(StandardCharsets.US_ASCII));
        byte[] head = reader.getInputStream().readNBytes(12);
        assertEquals("HTTP/1.1 200", new String(head, StandardCharsets.US_ASCII));
        int last = 0;
        byte[] some = new byte[1 << 16];
        for (int seen = 0; seen < large.length; ) {
          int nrRead = reader.getInputStream().read(some);
          seen += nrRead;
          last = some[nrRead - 1];
        }
        assertEquals(42, last);
      }
      a.awaitGone();
      server.tenants().drain();
      assertTrue(server.tenants().usage() < 1 << 20, "usage=" + server.tenants().usage());
    }
  }

  @Test
  void leakOfATenantsCode_isFoundWithItsCallSite_alsoAfterTheRemoval() throws Exception {
    try (AuditTrail trail = new AuditTrail()) {
      ServerSettings settings = ServerSettings.DEFAULT.withPlugin("a", trail);
      TestServer server = new TestServer(A + "[b]\nmax=8m\n", settings);
      server.kmalloc().profile().exact();
      int nrLost = 20;
      for (int i = 0; i < AuditTrail.NR_KEPT + nrLost; i++) {
        server.put("/v1/a/values/" + i % 10, new byte[200]);
        server.put("/v1/b/values/" + i % 10, new byte[200]);
      }
      Kmemleak kmemleak = Kmemleak.builder(server.kmalloc()).minAge(Duration.ZERO).build();
      LeakReport report = scan(kmemleak, nrLost);
      assertEquals(nrLost, report.suspects().size(), report::toString);
      assertEquals("/tenants/a", report.suspects().getFirst().cgroup());
      assertEquals(1, report.groups().size());
      assertTrue(
          report.groups().getFirst().first().frames().stream()
              .anyMatch(frame -> frame.getClassName().equals(AuditTrail.class.getName())),
          report::toString);

      MemCgroup tenants = server.tenants();
      server.rewrite("[b]\nmax=8m\n");
      server.awaitReport();
      report = scan(kmemleak, nrLost);
      assertEquals(nrLost, report.suspects().size(), report::toString);
      assertEquals("/tenants", report.suspects().getFirst().cgroup(), "its heir pays now");
      tenants.drain();
      assertTrue(tenants.usage() >= (long) nrLost * AuditTrail.recordBytes());
      report.suspects().forEach(suspect -> server.kmalloc().free(suspect.address()));
      trail.close();
      server.close();
    }
  }

  private static LeakReport scan(Kmemleak kmemleak, int nrLost) {
    LeakReport report = kmemleak.scan();
    for (int i = 0; i < 4 && report.suspects().size() != nrLost; i++) {
      report = kmemleak.scan();
    }
    return report;
  }
}
