package io.memcg4j.examples.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class DemoTest {
  private static final Demo.Plan SHORT = new Demo.Plan(1, 1, 2);

  @Test
  void once_asText_keepsAllPromisesAndNamesTheLeak() throws Exception {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(text, true, StandardCharsets.UTF_8);
    assertEquals(List.of(), new Demo(new DemoOutput(out, false), SHORT).run(true));
    String printed = text.toString(StandardCharsets.UTF_8);
    assertTrue(printed.contains("all promises kept"), printed);
    assertTrue(printed.contains("AuditTrail.storing"), printed);
    assertTrue(printed.contains("p99 of steady"), printed);
  }

  @Test
  void once_asJson_isOneObjectPerLine() throws Exception {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(text, true, StandardCharsets.UTF_8);
    assertEquals(List.of(), new Demo(new DemoOutput(out, true), SHORT).run(true));
    List<String> tenants = new ArrayList<>();
    List<String> events = new ArrayList<>();
    ObjectMapper mapper = new ObjectMapper();
    for (String line : text.toString(StandardCharsets.UTF_8).lines().toList()) {
      JsonNode object = mapper.readTree(line);
      events.add(object.path("event").asText());
      if (object.path("event").asText().equals("tenant")) {
        tenants.add(object.path("tenant").asText());
        assertTrue(object.path("peakBytes").asLong() <= object.path("maxBytes").asLong(), line);
      }
    }
    assertEquals(List.of("steady", "bursty", "greedy", "leaky"), tenants);
    assertTrue(
        events.containsAll(List.of("up", "second", "leak", "p99", "promise", "end")),
        events::toString);
  }
}
