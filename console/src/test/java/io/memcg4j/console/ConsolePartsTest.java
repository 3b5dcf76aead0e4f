package io.memcg4j.console;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.MemCgroup;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ConsolePartsTest {
  @Test
  void json_isEscapedAndShort() {
    Json json = new Json().beginObject().put("a\"\\", "x\n\u202e\ud800</b>");
    json.beginArray("n").add(1.5).add(-0.25).add(3.0).add(Double.NaN).add(-7).add("");
    json.endArray().put("t", true).beginObject("o").endObject().endObject();
    assertEquals(
        "{\"a\\\"\\\\\":\"x\\u000a\\u202e\\ud800</b>\",\"n\":[1.5,-0.25,3,null,-7,\"\"],"
            + "\"t\":true,\"o\":{}}",
        json.toString());
  }

  @Test
  void whatJsonWrites_theReaderReads() {
    String text = "q\" b\\ \u0001 \u202e \ud83d\ude00 / \u05d0";
    String json = new Json().beginObject().put("k", text).put("n", -12).endObject().toString();
    assertEquals(Map.of("k", text, "n", "-12"), JsonReader.object(json));
    for (String bad : List.of("", "{", "[]", "{\"a\"}", "{\"a\":x}", "{\"a\":\"\\u12\"}")) {
      assertThrows(IllegalArgumentException.class, () -> JsonReader.object(bad), bad);
    }
  }

  @Test
  void aRate_allowsABurstAndThenSoManyASecond() {
    long[] now = {0};
    RateLimit limit = new RateLimit(10, 3, () -> now[0]);
    for (int i = 0; i < 3; i++) {
      assertTrue(limit.tryAcquire());
    }
    assertFalse(limit.tryAcquire());
    now[0] += 100_000_000;
    assertTrue(limit.tryAcquire());
    assertFalse(limit.tryAcquire());
    now[0] += 3_600_000_000_000L;
    for (int i = 0; i < 3; i++) {
      assertTrue(limit.tryAcquire());
    }
    assertFalse(limit.tryAcquire());
  }

  @Test
  void aSlowSubscriber_losesItsOwnMessagesAndIsToldHowMany() throws InterruptedException {
    Subscriber slow = new Subscriber(2);
    Subscriber quick = new Subscriber(2);
    for (byte i = 0; i < 5; i++) {
      byte[] message = {i};
      slow.offer(message);
      quick.offer(message);
      assertArrayEquals(message, quick.poll(0));
    }
    assertEquals(3, slow.takeLost());
    assertEquals(0, slow.takeLost());
    assertEquals(0, quick.takeLost());
    assertArrayEquals(new byte[] {0}, slow.poll(0));
    slow.clear();
    assertNull(slow.poll(0));
  }

  @Test
  void theHistory_isBoundedAndKeepsTheLargestAndTheWanted() {
    MemCgroup root = MemCgroup.root();
    List<MemCgroup> groups = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      groups.add(root.create("g" + i));
      groups.get(i).forceCharge(1 + i);
    }
    GroupTable table = new GroupTable(root);
    History history = new History();
    for (int tick = 0; tick < History.NR_TICKS + 20; tick++) {
      table.read();
      history.want(groups.get(tick % 40));
      history.want(groups.get(50));
      history.record(1000L * tick, table);
      assertTrue(history.groups().size() <= History.MAX_GROUPS);
    }
    assertTrue(history.groups().containsAll(List.of(root, groups.get(299), groups.get(50))));
    Json json = new Json().beginObject();
    history.append(json, groups.get(50));
    String text = json.endObject().toString();
    assertTrue(text.startsWith("{\"t\":[20000,21000,"), text.substring(0, 40));
    String usage = text.substring(text.indexOf("\"usage\":["), text.indexOf("],\"high\""));
    assertEquals(History.NR_TICKS, usage.split(",", -1).length);
    groups.get(50).unchargeNow(51);
    groups.get(50).remove();
    table.read();
    history.record(0, table);
    assertFalse(history.groups().contains(groups.get(50)));
  }

  @Test
  void aTable_tellsWhatComesChangesAndGoes() {
    MemCgroup root = MemCgroup.root();
    MemCgroup a = root.create("a");
    GroupTable table = new GroupTable(root);
    assertEquals(2, table.read().appeared().size());
    assertTrue(table.read().isEmpty());
    a.setMax(4096);
    GroupTable.Changes changes = table.read();
    assertEquals(List.of(a), changes.changed().stream().map(row -> row.group).toList());
    a.remove();
    MemCgroup again = root.create("a");
    changes = table.read();
    assertEquals(List.of(1), changes.gone());
    assertEquals(List.of(again), changes.appeared().stream().map(row -> row.group).toList());
  }
}
