package io.memcg4j.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.slab.Kmalloc;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests of any bytes, and groups with every name that a group may have. */
class HostileConsoleTest {
  /** Coding of the transfer, version of the protocol: the JDK's server answers these by itself. */
  private static final Set<String> NOT_SUPPORTED = Set.of("501", "505");

  private static final int NR_REQUESTS = 600;
  private static final long LIMIT = 64 << 20;

  /** What JSON, Prometheus, paths, shells and terminals give a meaning to. */
  private static final List<String> NAMES =
      List.of(
          "\"},{\"name\":\"forged\"",
          "\\",
          "\\\"",
          "a\\nb",
          "{}[],:=",
          "\"} 1 # HELP forged forged",
          "*?",
          "%2e%2e",
          "...",
          " ",
          "'; rm -rf ~ #",
          "<script>alert(1)<!--",
          "${jndi:dns:x}",
          "\u202e\u2066",
          "\ufeff",
          "\ud83d\udc27",
          "\u0300",
          "x".repeat(255));

  private final long seed = Long.getLong("memcg4j.hostile.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup acme = root.create("acme");
  private Kmalloc kmalloc;
  private Console console;
  private ConsoleClient client;

  @BeforeEach
  void start() {
    acme.setMax(LIMIT);
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

  private String answer(String request) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), console.uri().getPort())) {
      socket.setSoTimeout(10_000);
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      socket.shutdownOutput();
      byte[] start = socket.getInputStream().readNBytes(64); // a stream of events has no end
      return new String(start, StandardCharsets.ISO_8859_1);
    } catch (SocketTimeoutException e) {
      throw new AssertionError("neither answered nor cut off: seed=" + seed + " " + request, e);
    } catch (SocketException e) {
      return ""; // closed with bytes unread
    }
  }

  /** Without the token nothing is changed, whatever is sent; and then everybody is served. */
  @Test
  void requestsOfAnyBytes_changeNothing_andOthersAreServed() throws Exception {
    String[] pieces =
        ("GET |PUT |POST |DELETE |HEAD |/groups/acme/memory.max|/groups/|/tree|/metrics|/kmemleak|/|"
                + "/..|%2e|%00|%zz|?format=json|?x| HTTP/1.1~| HTTP/9.9~|Host: localhost~|"
                + "Host: evil~|Content-Length: 1~|Content-Length: -1~|"
                + "Content-Length: 99999999999999999999~|Transfer-Encoding: chunked~|"
                + "Authorization: Bearer ~|Authorization: Bearer x~|Origin: null~|"
                + "Accept: application/json~|~|~|~~|0|max|clear|ffffffffffffffff~|0~~|: |\u0000|\t|\u00ff")
            .replace("~", "\r\n")
            .split("\\|", -1);
    int nrAnswers = 0;
    for (int round = 0; round < NR_REQUESTS; round++) {
      StringBuilder request = new StringBuilder();
      if (random.nextInt(3) > 0) {
        request.append("PUT /groups/acme/memory.max HTTP/1.1\r\nHost: localhost\r\n");
      }
      for (int n = random.nextInt(14); n > 0; n--) {
        request.append(
            random.nextInt(40) == 0
                ? String.valueOf((char) random.nextInt(256))
                : pieces[random.nextInt(pieces.length)]);
      }
      String answer = answer(request.toString());
      if (!answer.isEmpty()) {
        nrAnswers++;
        assertTrue(
            answer.startsWith("HTTP/1.1 ")
                && (!answer.startsWith("HTTP/1.1 5")
                    || NOT_SUPPORTED.contains(answer.substring(9, 12))),
            "seed=" + seed + " round=" + round + " request=" + request + " answer=" + answer);
      }
      assertEquals(LIMIT, acme.max(), "seed=" + seed + " request=" + request);
    }
    assertTrue(nrAnswers > NR_REQUESTS / 10, "seed=" + seed + " nrAnswers=" + nrAnswers);
    assertEquals(LIMIT + "\n", client.text("groups/acme/memory.max"));
  }

  @Test
  void everyNameOfAGroup_isOneNameInPathsJsonAndMetrics() throws Exception {
    for (String name : NAMES) {
      root.create(name).setMax(LIMIT);
    }
    for (String name : NAMES) {
      String encoded = URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
      assertEquals(LIMIT + "\n", client.text("groups/" + encoded + "/memory.max"), name);
    }
    String list = client.text("groups/");
    assertTrue(list.chars().noneMatch(c -> Character.isISOControl(c) && c != '\n'), list);
    String metrics = client.text("metrics");
    assertTrue(metrics.lines().count() > 10, metrics);
    for (String line : metrics.lines().toList()) {
      assertTrue(
          line.startsWith("# ")
              || line.matches(
                  "[a-zA-Z_:][\\w:]*(\\{(\\w+=\"([^\"\\\\]|\\\\[\\\\\"n])*\",?)*\\})? [-+.\\deENaIinf]+"),
          line);
    }
    assertTrue(metrics.lines().noneMatch(line -> line.startsWith("# HELP forged")), metrics);
  }
}
