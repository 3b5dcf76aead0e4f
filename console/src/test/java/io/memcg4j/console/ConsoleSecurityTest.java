package io.memcg4j.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConsoleSecurityTest {
  private static final String LIMIT = "groups/acme/memory.max";

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup acme = root.create("acme");
  private Kmalloc kmalloc;
  private Console console;
  private ConsoleClient client;

  @BeforeEach
  void start() {
    kmalloc = Kmalloc.create(root);
    console =
        Console.builder(kmalloc)
            .period(Duration.ofMillis(100))
            .ioLimit(Duration.ofMillis(600))
            .unlisted()
            .start();
    client = new ConsoleClient(console);
  }

  @AfterEach
  void close() {
    client.close();
    console.close();
    kmalloc.close();
  }

  private Socket connect() throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), console.uri().getPort());
    socket.setSoTimeout(10_000);
    return socket;
  }

  /** What comes back for these very bytes. */
  private String raw(String request) throws IOException {
    try (Socket socket = connect()) {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      return readAll(socket);
    }
  }

  private static String readAll(Socket socket) throws IOException {
    try {
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } catch (SocketException e) {
      return "reset"; // the server closed with bytes unread
    }
  }

  private String put(String headers) throws IOException {
    return raw(
        "PUT /"
            + LIMIT
            + " HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n"
            + headers
            + "\r\n1M");
  }

  private String get(String path, String headers) throws IOException {
    return raw("GET " + path + " HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n");
  }

  private String token() {
    return "Authorization: Bearer " + console.token() + "\r\n";
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: evil.example\r\n",
        "Host: localhost.evil.example\r\n",
        "Host: 127.0.0.1.evil.example:80\r\n",
        "Host: localhost@evil.example\r\n",
        "Host: 127.0.0.1\r\nHost: evil.example\r\n",
        "Host: 0.0.0.0\r\n",
        "Host: \r\n",
        ""
      })
  void hostsOtherThanLoopback_areRefused(String host) throws IOException {
    String answer = get("/" + LIMIT, host);
    assertTrue(answer.matches("(?s)HTTP/1\\.1 40[03] .*"), answer);
    put(host + token());
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @ParameterizedTest
  @ValueSource(strings = {"localhost", "localhost:9000", "127.0.0.1", "[::1]:1"})
  void namesOfLoopback_areServed(String host) throws IOException {
    String answer = get("/" + LIMIT, "Host: " + host + "\r\n");
    assertTrue(answer.startsWith("HTTP/1.1 200 "), answer);
    assertTrue(answer.endsWith("max\n"), answer);
  }

  @Test
  void withoutTheToken_nothingIsWritten() throws Exception {
    HttpResponse<String> none =
        client.send(client.request(LIMIT).PUT(HttpRequest.BodyPublishers.ofString("1M")));
    assertEquals(401, none.statusCode());
    String token = console.token();
    for (String wrong :
        List.of(
            "Bearer ",
            "Bearer " + token + "x",
            "Bearer " + token.substring(1),
            "bearer" + token,
            "Basic " + token,
            "Bearer " + token.toLowerCase(java.util.Locale.ROOT),
            "Bearer \u00e9")) {
      assertEquals(
          401,
          client
              .send(
                  client
                      .request(LIMIT)
                      .header("Authorization", wrong)
                      .POST(HttpRequest.BodyPublishers.ofString("1M")))
              .statusCode(),
          wrong);
    }
    String both = put("Host: localhost\r\nAuthorization: Bearer x\r\n" + token());
    assertTrue(both.startsWith("HTTP/1.1 401 "), both);
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @Test
  void manyWrongTokens_areSlowedDown() throws Exception {
    int nrRefused = 0;
    for (int i = 0; i < 40; i++) {
      String answer = put("Host: localhost\r\nAuthorization: Bearer guess" + i + "\r\n");
      nrRefused += answer.startsWith("HTTP/1.1 429 ") ? 1 : 0;
    }
    assertTrue(nrRefused > 0, "no guess was refused for the rate");
    assertEquals(200, client.put(LIMIT, "2M").statusCode());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:1\r\n",
        "Origin: https://localhost\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n"
      })
  void writesFromOtherOrigins_areRefusedEvenWithTheToken(String header) throws IOException {
    String answer = put("Host: localhost\r\n" + token() + header);
    assertTrue(answer.startsWith("HTTP/1.1 403 "), answer);
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @Test
  void aWriteOfThePageItself_isTaken() throws IOException {
    String same = "Host: localhost\r\nOrigin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n";
    String answer = put(same + token());
    assertTrue(answer.startsWith("HTTP/1.1 200 "), answer);
    assertEquals(1 << 20, acme.max());
  }

  @Test
  void hugeBodies_areRefusedUnread() throws Exception {
    HttpResponse<String> huge = client.put(LIMIT, "1".repeat(Request.MAX_BODY_BYTES + 1));
    assertEquals(413, huge.statusCode());
    String claimed =
        raw(
            "PUT /"
                + LIMIT
                + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n"
                + token()
                + "\r\n"
                + "1".repeat(5_000));
    assertTrue(claimed.startsWith("HTTP/1.1 413 ") || claimed.equals("reset"), claimed);
    assertEquals(400, client.send(notUtf8()).statusCode());
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  private HttpRequest.Builder notUtf8() {
    return client
        .request(LIMIT)
        .header("Authorization", "Bearer " + console.token())
        .PUT(HttpRequest.BodyPublishers.ofByteArray(new byte[] {'1', (byte) 0xff}));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/page/../Console.class",
        "/..%2fConsole.class",
        "/Console.class",
        "/vendor/",
        "/vendor/..%5c..%5cConsole.class",
        "/groups/../groups",
        "/groups/acme/..",
        "/groups/acme%2fmemory.max",
        "/groups//acme/memory.max",
        "/groups/acme/memory.max%00",
        "/groups/%ff",
        "/groups/%c0%ae%c0%ae/memory.max",
        "/groups/%zz",
        "/groups/%4",
        "//evil.example/groups"
      })
  void strangePaths_leadNowhere(String path) throws IOException {
    String answer = get(path, "Host: localhost\r\n");
    assertTrue(answer.matches("(?s)HTTP/1\\.1 40[034] .*"), answer);
    assertFalse(answer.contains("root:"), answer);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "<img src=x onerror=alert(1)>",
        "a b+c%2F?x#y;z",
        "\u202e\u05d0",
        "\uD83D\uDE00",
        "memory.max"
      })
  void namesArePercentEncoded_andComeBackEscaped(String name) throws Exception {
    root.create(name);
    String encoded = URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
    assertEquals(200, client.put("groups/" + encoded + "/memory.high", "3M").statusCode());
    assertEquals("3145728\n", client.text("groups/" + encoded + "/memory.high"));
    HttpResponse<String> json = client.get("groups/");
    assertEquals(
        "application/json; charset=utf-8", json.headers().firstValue("Content-Type").get());
    assertEquals("nosniff", json.headers().firstValue("X-Content-Type-Options").get());
    assertFalse(json.body().contains("\u202e"), "direction of text is changed by a name");
  }

  @Test
  void allAnswers_forbidScriptsOfOthers() throws Exception {
    for (String path : List.of("", "tree", "nothing", "app.js")) {
      HttpResponse<String> answer = client.get(path);
      String policy = answer.headers().firstValue("Content-Security-Policy").orElse("");
      assertTrue(policy.startsWith("default-src 'none'"), path);
      assertFalse(policy.contains("unsafe"), path);
      assertTrue(policy.contains("frame-ancestors 'none'"), path);
      assertTrue(answer.headers().firstValue("Access-Control-Allow-Origin").isEmpty(), path);
      assertFalse(answer.body().contains(console.token()), path);
    }
    assertEquals(
        405,
        client
            .send(
                client
                    .request("tree")
                    .DELETE()
                    .header("Authorization", "Bearer " + console.token()))
            .statusCode());
  }

  @Test
  void thePage_hasNoInlineScriptAndLoadsNothingFromElsewhere() throws Exception {
    String index = client.text("");
    assertFalse(index.matches("(?s).*<script(?![^>]*src=).*"), index);
    assertFalse(index.matches("(?s).*\\son\\w+=.*"), index);
    assertFalse(index.contains("//"), index);
    for (String script : List.of("app.js", "groups.js", "detail.js", "leaks.js", "dom.js")) {
      assertFalse(client.text(script).contains("innerHTML"), script);
    }
  }

  @Test
  void clientsThatDribble_areCutOffAndHoldNobodyUp() throws Exception {
    List<Socket> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 40; i++) {
        Socket socket = connect();
        String head =
            i % 2 == 0
                ? "GET /tree HT"
                : "PUT /"
                    + LIMIT
                    + " HTTP/1.1\r\nHost: localhost\r\n"
                    + "Content-Length: 1000\r\n"
                    + token()
                    + "\r\n1";
        socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
        slow.add(socket);
      }
      assertEquals("max\n", client.text(LIMIT));
      for (Socket socket : slow) {
        readAll(socket); // ends: the server closes, after 600 ms, what goes on no further
      }
    } finally {
      for (Socket socket : slow) {
        socket.close();
      }
    }
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @Test
  void aStreamThatIsNotRead_isCutOffAndHoldsNobodyUp() throws Exception {
    for (int i = 0; i < 2_000; i++) {
      root.create("group-" + i);
    }
    try (Socket slow = connect()) {
      slow.setReceiveBufferSize(1024);
      slow.getOutputStream()
          .write(
              "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
                  .getBytes(StandardCharsets.ISO_8859_1));
      for (int round = 0; round < 12; round++) {
        for (MemCgroup group : root.children()) {
          group.setLow(4096L * (round + 1));
        }
        Thread.sleep(100);
        assertTrue(client.text("groups/acme/memory.low").endsWith("\n"));
      }
      try (InputStream live = client.stream("live").body()) {
        assertEquals('e', live.read()); // another client gets its snapshot at once
      }
    }
  }

  @Test
  void tooManyStreams_areRefused() throws Exception {
    List<HttpResponse<InputStream>> streams = new ArrayList<>();
    for (int i = 0; i < Ticker.MAX_SUBSCRIBERS; i++) {
      HttpResponse<InputStream> stream = client.stream("events");
      assertEquals(200, stream.statusCode());
      streams.add(stream);
    }
    assertEquals(503, client.get("events").statusCode());
    for (HttpResponse<InputStream> stream : streams) {
      stream.body().close();
    }
  }

  @Test
  void closingTheConsole_endsItsStreams() throws Exception {
    try (InputStream stream = client.stream("events").body()) {
      assertEquals(':', stream.read());
      console.close();
      try {
        stream.readAllBytes();
      } catch (IOException e) {
        assertFalse(String.valueOf(e.getMessage()).contains("timed out"), e.toString());
      }
    }
  }

  @Test
  void aConsoleThatIsNotClosed_keepsNoJvmFromItsEnd() {
    List<Thread> staying =
        Thread.getAllStackTraces().keySet().stream()
            .filter(
                thread -> thread.getName().contains("HTTP") || thread.getName().contains("memcg4j"))
            .filter(thread -> !thread.isDaemon())
            .toList();
    assertEquals(List.of(), staying);
  }

  @Test
  void readsNeedToken_ifTheBuilderSaysSo() throws Exception {
    try (Console closed = Console.builder(kmalloc).readsNeedToken().unlisted().start();
        ConsoleClient visitor = new ConsoleClient(closed)) {
      assertEquals(401, visitor.get("tree").statusCode());
      assertEquals(401, visitor.get("live").statusCode());
      assertEquals(401, visitor.get("metrics").statusCode());
      assertEquals(200, visitor.get("app.js").statusCode());
      HttpRequest.Builder tree =
          visitor.request("tree").header("Authorization", "Bearer " + closed.token());
      assertEquals(200, visitor.send(tree).statusCode());
      assertEquals(200, visitor.put(LIMIT, "1M").statusCode());
    }
  }
}
