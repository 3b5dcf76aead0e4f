package io.memcg4j.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.leak.Kmemleak;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryLimitException;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ControlPlaneTest {
  private static final int MIB = 1 << 20;

  private final MemCgroup root = MemCgroup.root();
  private final MemCgroup tenants = root.create("tenants");
  private final MemCgroup acme = tenants.create("acme");
  private final List<Long> allocated = new ArrayList<>();
  private Kmalloc kmalloc;
  private Kmemleak leaks;
  private Console console;
  private ConsoleClient client;

  @BeforeEach
  void start() {
    kmalloc = Kmalloc.create(root);
    leaks = Kmemleak.builder(kmalloc).minAge(Duration.ZERO).withoutJavaHeap().build();
    console =
        Console.builder(kmalloc).leaks(leaks).period(Duration.ofMillis(100)).unlisted().start();
    client = new ConsoleClient(console);
  }

  @AfterEach
  void close() {
    client.close();
    console.close();
    allocated.forEach(kmalloc::free);
    kmalloc.close();
  }

  private void allocate(MemCgroup group, int nrBytes) {
    try (Scope scope = ObjCgroup.of(group).enter()) {
      allocated.add(kmalloc.allocate(nrBytes));
    }
  }

  @Test
  void aFileOfAGroup_readsAsTheGroupSays() throws Exception {
    acme.setHigh(64 * MIB);
    assertEquals("67108864\n", client.text("groups/tenants/acme/memory.high"));
    assertEquals("max\n", client.text("groups/memory.max"));
    assertEquals(acme.events().format(), client.text("groups/tenants/acme/memory.events"));
  }

  @Test
  void aWrite_takesEffectAndAnswersWithWhatItIsNow() throws Exception {
    HttpResponse<String> written = client.put("groups/tenants/acme/memory.max", "8M");
    assertEquals(200, written.statusCode(), written.body());
    assertEquals("8388608\n", written.body());
    assertEquals(8 * MIB, acme.max());
    assertEquals(200, client.put("groups/tenants/acme/memory.max?noblock", "max").statusCode());
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @Test
  void badWrites_areRefusedByName() throws Exception {
    HttpResponse<String> text = client.put("groups/tenants/acme/memory.max", "much");
    assertEquals(400, text.statusCode());
    assertTrue(text.body().contains("text=\"much\""), text.body());
    assertEquals(400, client.put("groups/tenants/acme/memory.current", "1").statusCode());
    assertEquals(404, client.put("groups/nobody/memory.max", "1M").statusCode());
    assertEquals(405, client.put("groups/tenants/acme/", "1M").statusCode());
    assertEquals(409, client.put("groups/tenants/acme/memory.reclaim", "1G").statusCode());
    assertEquals(405, client.put("slabinfo", "0").statusCode());
    assertEquals(MemCgroup.UNLIMITED, acme.max());
  }

  @Test
  void aGroup_listsFiguresFilesAndChildren() throws Exception {
    allocate(acme, 8000);
    acme.setMax(16 * MIB);
    String json = client.text("groups/tenants/");
    assertTrue(json.contains("\"path\":\"/tenants\""), json);
    assertTrue(json.contains("\"memory.pressure\""), json);
    assertTrue(json.contains("{\"path\":\"/tenants/acme\",\"name\":\"acme\",\"usage\":"), json);
    assertTrue(json.contains("\"max\":16777216"), json);
    assertEquals(json, client.text("groups/tenants"));
    assertTrue(client.text("groups").contains("\"path\":\"/\""));
    String tree = client.text("tree");
    assertTrue(tree.contains("{\"path\":\"/tenants/acme\",\"usage\":"), tree);
  }

  @Test
  void aGroupNamedAsAFile_isReachedByASlash() throws Exception {
    tenants.create("memory.max");
    assertEquals("max\n", client.text("groups/tenants/memory.max"));
    assertTrue(
        client.text("groups/tenants/memory.max/").contains("\"path\":\"/tenants/memory.max\""));
  }

  @Test
  void slabsAndStat_asTextAndAsJson() throws Exception {
    allocate(acme, 100);
    assertTrue(client.text("slabinfo").startsWith("slabinfo - version: 2.1"));
    assertTrue(client.text("slabinfo?format=json").contains("\"name\":\"kmalloc-112\""));
    assertTrue(client.text("stat").contains("in_use "));
    assertTrue(client.text("stat?format=json").contains("\"fragmentation\":"));
    long area;
    try (Scope scope = ObjCgroup.of(acme).enter()) {
      area = kmalloc.vmalloc().allocate(MIB);
    }
    assertTrue(client.text("vmallocinfo").contains("/tenants/acme"));
    assertTrue(client.text("vmallocinfo?format=json").contains("\"group\":\"/tenants/acme\""));
    kmalloc.vmalloc().free(area);
  }

  @Test
  void metrics_areWhatPrometheusScrapes() throws Exception {
    HttpResponse<String> scrape = client.get("metrics");
    assertEquals(200, scrape.statusCode());
    assertTrue(scrape.body().contains("memcg_usage_bytes{group=\"/tenants/acme\"}"));
    assertTrue(
        scrape.headers().firstValue("Content-Type").orElse("").startsWith("text/plain; version="));
  }

  @Test
  void kmemleak_takesCommandsAndShowsWhatItFound() throws Exception {
    client.put("profile", "exact");
    for (int i = 0; i < 3; i++) {
      allocate(acme, 3000);
    }
    client.put("kmemleak", "scan");
    Thread.sleep(20);
    client.put("kmemleak", "scan");
    HttpResponse<String> scan = client.put("kmemleak", "scan");
    assertEquals(200, scan.statusCode(), scan.body());
    assertTrue(client.text("kmemleak").contains("unreferenced object"), scan.body());
    String json = client.text("kmemleak?format=json");
    assertTrue(json.contains("\"nrSuspects\":3"), json);
    assertTrue(json.contains("\"group\":\"/tenants/acme\""), json);
    assertTrue(json.contains("ControlPlaneTest.allocate("), json);
    assertEquals(400, client.put("kmemleak", "dance").statusCode());
    assertTrue(client.text("profile?format=json").contains("ControlPlaneTest.allocate("));
  }

  @Test
  void events_tellWhoseLimitItWas() throws Exception {
    acme.setMax(MIB);
    try (BufferedReader events =
        new BufferedReader(
            new InputStreamReader(client.stream("events").body(), StandardCharsets.UTF_8))) {
      assertEquals(": ", events.readLine());
      try (Scope scope = ObjCgroup.of(acme).enter()) {
        kmalloc.allocate(2 * MIB);
      } catch (MemoryLimitException e) {
        assertEquals(MIB, acme.max());
      }
      String line = events.readLine();
      while (!line.startsWith("data: ")) {
        line = events.readLine();
      }
      assertTrue(line.contains("\"group\":\"/tenants/acme\""), line);
      assertTrue(line.contains("\"before\":{\"low\":0,\"high\":0,\"max\":0"), line);
    }
  }

  @Test
  void live_beginsWithAllGroupsAndGoesOnWithWhatChanges() throws Exception {
    try (BufferedReader live =
        new BufferedReader(
            new InputStreamReader(client.stream("live").body(), StandardCharsets.UTF_8))) {
      assertEquals("event: snapshot", live.readLine());
      String snapshot = live.readLine();
      assertTrue(snapshot.contains("[1,0,\"tenants\","), snapshot);
      assertTrue(snapshot.contains("[2,1,\"acme\","), snapshot);
      acme.setMax(7 * MIB);
      String line = live.readLine();
      while (!line.contains("7340032")) {
        line = live.readLine();
      }
      assertTrue(line.contains("\"changed\":[[2,"), line);
      acme.remove();
      while (!line.contains("\"gone\":[2]")) {
        line = live.readLine();
      }
    }
  }

  @Test
  void history_growsWithTime() throws Exception {
    client.text("history/tenants/acme");
    Thread.sleep(350);
    String json = client.text("history/tenants/acme");
    assertTrue(json.contains("\"path\":\"/tenants/acme\""), json);
    int nrTimes = json.substring(json.indexOf("\"t\":["), json.indexOf(']')).split(",", -1).length;
    assertTrue(nrTimes >= 3, json);
    assertEquals(404, client.get("history/nobody").statusCode());
  }

  @Test
  void head_hasNoBody() throws Exception {
    HttpResponse<String> head =
        client.send(client.request("slabinfo").method("HEAD", HttpRequest.BodyPublishers.noBody()));
    assertEquals(200, head.statusCode());
    assertEquals("", head.body());
    assertFalse(head.headers().firstValue("Content-Length").isEmpty());
  }
}
