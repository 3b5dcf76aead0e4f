package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Tenant files and requests of any bytes. */
class HostileInputTest {
  private static final int NR_FILES = 60_000;
  private static final int NR_REQUESTS = 1_500;
  private static final String ONE = "[a]\nmax=32m\n";

  private final long seed = Long.getLong("memcg4j.hostile.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);

  private String mix(String[] pieces, int most) {
    StringBuilder text = new StringBuilder();
    for (int n = random.nextInt(most); n > 0; n--) {
      text.append(
          random.nextInt(40) == 0
              ? String.valueOf((char) random.nextInt(0x10000))
              : pieces[random.nextInt(pieces.length)]);
    }
    return text.toString();
  }

  @Test
  void tenantFiles_areTakenWholeOrRefusedWithTheirLine() {
    String[] pieces =
        ("[|]|a|b|[a]~max=1m~|[b]~max=max~|max|min|low|high|oom|=|=|=|1|2|m|k|g|~|~|~| |refuse|"
                + "clear|#|;|-|..|/|\u0000|9223372036854775807|99999999999999999999|\ud800|%s|1e9")
            .replace('~', '\n')
            .split("\\|", -1);
    int nrTaken = 0;
    for (int round = 0; round < NR_FILES; round++) {
      String text = (random.nextInt(4) == 0 ? ONE : "") + mix(pieces, 16);
      String where = "seed=" + seed + " round=" + round + " text=" + text;
      try {
        TenantsFile file = TenantsFile.parse(text);
        nrTaken++;
        assertTrue(!file.tenants().isEmpty(), where);
        Set<String> names = new HashSet<>();
        for (TenantSettings tenant : file.tenants()) {
          assertTrue(names.add(tenant.name()), where);
          assertTrue(tenant.name().matches("[A-Za-z0-9][A-Za-z0-9._-]{0,63}"), where);
          assertTrue(0 <= tenant.min(), where);
          assertTrue(tenant.min() <= tenant.low(), where);
          assertTrue(tenant.low() <= tenant.max(), where);
        }
      } catch (TenantsFile.SyntaxException e) {
        int line = Integer.parseInt(String.valueOf(e.getMessage()).split("[ :]", 3)[1]);
        assertTrue(1 <= line && line <= text.split("\n", -1).length, where);
      } catch (RuntimeException e) {
        throw new AssertionError(where, e);
      }
    }
    assertTrue(nrTaken > NR_FILES / 200, "nrTaken=" + nrTaken);
  }

  /** Bytes that begin like requests: an answer of HTTP or a closed connection, and nothing kept. */
  @Test
  void requestsOfAnyBytes_areAnsweredOrCutOff_andHoldNothing() throws Exception {
    String[] pieces =
        ("GET |PUT |DELETE |HEAD |POST |FOO |/v1/a/values/k|/v1/a/documents/d|/v1|/|/../|%2e|%00|"
                + "%zz| HTTP/1.1~| HTTP/9.9~|Host: x~|Content-Length: 3~|Content-Length: -1~|"
                + "Content-Length: 99999999999999999999~|Content-Length: 2~Content-Length: 3~|"
                + "Transfer-Encoding: chunked~|~|~|~~|abc|{}|ffffffffffffffff~|0~~|: |\u0000|\t|?a=b|#|"
                + "Connection: close~|Expect: 100-continue~|Range: bytes=0-~|\u00ff")
            .replace("~", "\r\n")
            .split("\\|", -1);
    try (TestServer server = new TestServer(ONE)) {
      int nrAnswers = 0;
      for (int round = 0; round < NR_REQUESTS; round++) {
        String request = (random.nextInt(3) == 0 ? "" : start()) + mix(pieces, 14);
        String answer = answer(server, request);
        if (!answer.isEmpty()) {
          nrAnswers++;
          assertTrue(
              answer.startsWith("HTTP/1.1 ") && !answer.startsWith("HTTP/1.1 500"),
              "seed=" + seed + " round=" + round + " request=" + request + " answer=" + answer);
        }
      }
      assertTrue(nrAnswers > NR_REQUESTS / 4, "seed=" + seed + " nrAnswers=" + nrAnswers);
      server.delete("/v1/a/values/k");
      server.delete("/v1/a/documents/d");
      TestServer.await("idle", () -> server.tenant("a").admission().nrInside() == 0);
      assertEquals(201, server.put("/v1/a/values/after", "still here").status());
      assertEquals("still here", server.get("/v1/a/values/after").text());
      assertEquals(1, server.tenants().children().size());
    }
  }

  private String start() {
    return (random.nextBoolean() ? "GET /v1/a/values/k" : "PUT /v1/a/values/k")
        + " HTTP/1.1\r\nHost: x\r\n";
  }

  private static String answer(TestServer server, String request) throws IOException {
    try (Socket socket = server.connect()) {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      socket.shutdownOutput();
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    } catch (SocketException e) {
      return ""; // cut off with bytes unread
    }
  }
}
